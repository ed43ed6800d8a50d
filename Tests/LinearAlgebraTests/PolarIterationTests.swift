import LinearAlgebra
import Tensors
import Testing

/// The polar factor by iteration (well-conditioned matrices) and by SVD (all others).
@Suite struct PolarIterationTests {
    /// U·diag(σ)·Vᵀ with σ falling evenly from 1 to `smallest`, and the isometry U·Vᵀ.
    private func matrix(
        _ rows: Int, _ columns: Int, smallest: Double, seed: UInt64
    ) throws -> (x: Matrix<Double>, polar: Matrix<Double>) {
        var random = TestRandom(seed)
        let u = try thinQR(random.doubles(rows, columns)).q
        let v = try thinQR(random.doubles(columns, columns)).q
        let steps = Double(max(1, columns - 1))
        let sigma = (0..<columns).map { 1 - (1 - smallest) * Double($0) / steps }
        return (
            Reference.product(u.scalingColumns(by: sigma), v.transposed()), Reference.product(u, v.transposed())
        )
    }

    @Test(arguments: [1.0, 0.5, 0.1, 0.07, 0.05, 0.01, 1e-3])
    func everyConditionGivesTheSameIsometry(smallest: Double) throws {
        for (rows, columns, scale) in [(1, 1, 1.0), (7, 7, 3e5), (40, 24, 2e-7)] {
            let (x, expected) = try matrix(rows, columns, smallest: smallest, seed: UInt64(rows))
            let polar = try PolarFactor(x.scaled(by: scale))
            #expect(polar.isIsometry)
            #expect(Reference.relativeError(polar.matrix, expected) < 1e-11)
            let gram = Reference.product(polar.matrix.transposed(), polar.matrix)
            #expect(Reference.relativeError(gram, Matrix<Double>.identity(columns)) < 1e-12)
        }
    }

    @Test func missingDirectionsAreNoIsometry() throws {
        var random = TestRandom(3)
        let tall = random.doubles(12, 3)
        let dependent = Matrix.sideBySide([tall, tall.columns(0..<1)])
        #expect(try !PolarFactor(dependent).isIsometry)
        // More columns than rows cannot be orthonormal.
        #expect(try !PolarFactor(random.doubles(3, 5)).isIsometry)
        #expect(try !PolarFactor(Matrix(rows: 4, columns: 0)).isIsometry)
        #expect(try !PolarFactor(Matrix(rows: 4, columns: 2)).isIsometry)
    }

    @Test func aLargeToleranceCutsDirectionsOfAWellConditionedMatrix() throws {
        let (x, _) = try matrix(10, 4, smallest: 0.2, seed: 9)
        let cut = try PolarFactor(x, tolerance: 0.5)
        #expect(!cut.isIsometry)
        let gram = Reference.product(cut.matrix.transposed(), cut.matrix)
        let trace = (0..<4).reduce(0) { $0 + gram[$1, $1] }
        #expect(abs(trace - 2) < 1e-12)
    }
}
