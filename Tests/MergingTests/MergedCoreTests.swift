import LinearAlgebra
import Tensors
import Testing

@testable import Merging

/// Merged cores whose decomposition the rule knows, against the decomposition of the matrix.
@Suite struct MergedCoreTests {
    private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix<Double> {
        var source = SplitMix(seed)
        return Matrix(rows: rows, columns: columns, elements: source.matrix(rows, columns).values)
    }

    /// ‖a − b‖F / ‖b‖F
    private func distance(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Double {
        a.adding(b.scaled(by: -1)).frobeniusNorm / b.frobeniusNorm
    }

    @Test func signsAndOrderOfTheValuesDoNotMatter() throws {
        let u = try thinQR(random(6, 4, seed: 1)).q
        let v = try thinQR(random(5, 4, seed: 2)).q
        let values = [0.5, -3, 0, 2]
        let core = MergedCore(u: u, values: values, vt: v.transposed())
        let matrix = try multiply(u.scalingColumns(by: values), v, transposeB: true)
        #expect(try distance(core.matrix(), matrix) < 1e-14)
        let svd = try core.svd(place: "m")
        #expect(svd.sigma == [3, 2, 0.5, 0])
        let expected = try MergedCore(matrix).svd(place: "m")
        for (a, b) in zip(svd.sigma, expected.sigma) { #expect(abs(a - b) < 1e-13) }
        #expect(try distance(svd.product(), matrix) < 1e-14)
    }

    @Test func polarFactorsThatLackDirectionsAreMultipliedOut() throws {
        let full = try thinQR(random(6, 3, seed: 3)).q
        let lacking = Matrix.sideBySide([full.columns(0..<2), full.columns(0..<1)])
        let (left, right) = (try PolarFactor(lacking), try PolarFactor(full))
        let core = try MergedCore(left: left, values: [1, 2, 4], right: right)
        let matrix = try multiply(left.matrix.scalingColumns(by: [1, 2, 4]), right.matrix, transposeB: true)
        #expect(try distance(core.svd(place: "m").product(), matrix) < 1e-13)
    }

    @Test func valuesThatAreNotNumbersAreRefused() throws {
        let u = Matrix<Double>.identity(2)
        let failure = #expect(throws: (any Error).self) {
            try MergedCore(u: u, values: [.nan, 1], vt: u).svd(place: "layer.q")
        }
        #expect("\(String(describing: failure))".contains("layer.q"))
    }

    /// Directions outside a subspace, from factors, against the residual as a matrix.
    @Test func directionsOutsideASubspaceEqualThoseOfTheResidual() throws {
        let updates = try (0..<3).map { i in
            try multiply(random(9, 2, seed: 10 + UInt64(i)), random(2, 7, seed: 20 + UInt64(i)))
        }
        let space = CoreSpace(dense: updates)
        let p = try thinSVD(space.sum([1, 1, 1])).truncated(to: 2).u
        for i in 0..<3 {
            let scaled = updates[i].scaled(by: -0.7)
            let inside = try multiply(p, try multiply(p, scaled, transposeA: true))
            let residual = scaled.adding(inside.scaled(by: -1))
            let svd = try space.svd(i, scale: -0.7, outside: p, place: "m")
            #expect(svd.sigma.count == 2)
            #expect(try distance(svd.product(), residual) < 1e-12)
        }
        let whole = try thinQR(updates[0]).q.columns(0..<2)
        #expect(try space.svd(0, scale: 1, outside: whole, place: "m").sigma.isEmpty)
    }
}
