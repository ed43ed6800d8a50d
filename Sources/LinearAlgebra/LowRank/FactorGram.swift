import Diagnostics
import Tensors

/// Inner products between the factors of several updates Δ_i = s_i·B_i·A_i of the same shape, in double precision.
public struct FactorGram: Sendable {
    public let factors: [LowRankFactors]
    /// Columns of the joint factors that belong to update i.
    public let ranges: [Range<Int>]
    /// [B_0 B_1 …]ᵀ[B_0 B_1 …], R×R with R = Σ r_i.
    public let left: Matrix<Double>
    /// [A_0; A_1; …][A_0; A_1; …]ᵀ, R×R.
    public let right: Matrix<Double>

    /// One pass over all factors, O(R²(m + n)).
    ///
    /// - Throws: `merge.shape_mismatch`, `merge.non_finite` with `place`, `numeric.dimension_limit`.
    public init(_ factors: [LowRankFactors], place: String = "low-rank factors") throws {
        if let first = factors.first {
            for (i, other) in factors.enumerated() where other.rows != first.rows || other.columns != first.columns {
                throw Failure(
                    .mergeShapeMismatch,
                    "update \(i) is \(other.rows)×\(other.columns), update 0 is \(first.rows)×\(first.columns)",
                    place: place)
            }
        }
        self.factors = factors
        var start = 0
        ranges = factors.map { factor in
            defer { start += factor.rank }
            return start..<start + factor.rank
        }
        left = try FactorStack(factors.map(\.b), side: .left).gram()
        right = try FactorStack(factors.map(\.a), side: .right).gram()
        for (i, range) in ranges.enumerated() {
            try FactorGram.checkFinite(left, range, factors[i].b, "B of update \(i)", place)
            try FactorGram.checkFinite(right, range, factors[i].a, "A of update \(i)", place)
            guard factors[i].scale.isFinite else {
                throw Failure(.mergeNonFinite, "the scale of update \(i) is \(factors[i].scale)", place: place)
            }
        }
    }

    /// A squared norm of single precision numbers cannot overflow in double precision, so that a diagonal entry is
    /// finite exactly when its column is.
    private static func checkFinite(
        _ gram: Matrix<Double>, _ range: Range<Int>, _ part: Matrix<Float>, _ what: String, _ place: String
    ) throws {
        guard range.contains(where: { !gram[$0, $0].isFinite }) else { return }
        let bad = part.elements.indices.filter { !part.elements[$0].isFinite }
        let first = bad.first ?? 0
        throw Failure(
            .mergeNonFinite,
            "\(what) holds \(bad.count) values that are NaN or infinite, the first at row \(first / part.columns), "
                + "column \(first % part.columns)",
            place: place, details: ["count": "\(bad.count)", "first_index": "\(first)"])
    }

    /// ⟨Δ_i, Δ_j⟩, T×T.
    public var inner: Matrix<Double> {
        var result = Matrix<Double>(rows: factors.count, columns: factors.count)
        for i in factors.indices {
            for j in i..<factors.count {
                var sum = 0.0
                for row in ranges[i] {
                    for column in ranges[j] { sum += left[row, column] * right[row, column] }
                }
                result[i, j] = factors[i].scale * factors[j].scale * sum
                result[j, i] = result[i, j]
            }
        }
        return result
    }

    /// ‖Δ_i‖_F of every update.
    public var norms: [Double] {
        let products = inner
        return factors.indices.map { max(products[$0, $0], 0).squareRoot() }
    }

    /// Inner products of the rows: entry (k, i·T + j) is ⟨row k of Δ_i, row k of Δ_j⟩; m×T².
    public func rowWise() throws -> Matrix<Double> {
        try slices(FactorStack(factors.map(\.b), side: .left), other: right)
    }

    /// Inner products of the columns: entry (k, i·T + j) is ⟨column k of Δ_i, column k of Δ_j⟩; n×T².
    public func columnWise() throws -> Matrix<Double> {
        try slices(FactorStack(factors.map { $0.a.transposed() }, side: .left), other: left)
    }

    /// With row b_i of the part of update i: s_i·s_j · b_i·H_ij·b_jᵀ for all pairs, row by row.
    private func slices(_ stack: FactorStack, other h: Matrix<Double>) throws -> Matrix<Double> {
        let t = factors.count
        let total = stack.count
        let width = try blasDimension(total)
        var result = Matrix<Double>(rows: stack.length, columns: t * t)
        try stack.forEachTile { tile, rows in
            let height = tile.count
            withUnsafeTemporaryAllocation(of: Double.self, capacity: height * total) { scratch in
                guard let z = scratch.baseAddress else { return }
                for i in 0..<t {
                    multiplyPart(rows, ranges[i], h, height: Int32(height), width: width, into: z)
                    for j in 0..<t {
                        let factor = factors[i].scale * factors[j].scale
                        for k in 0..<height {
                            var sum = 0.0
                            for column in ranges[j] { sum += z[k &* total &+ column] * rows[k &* total &+ column] }
                            result[tile.lowerBound + k, i * t + j] = factor * sum
                        }
                    }
                }
            }
        }
        return result
    }

    /// z := (columns `range` of the tile) · (rows `range` of H).
    private func multiplyPart(
        _ rows: UnsafePointer<Double>, _ range: Range<Int>, _ h: Matrix<Double>, height: Int32, width: Int32,
        into z: UnsafeMutablePointer<Double>
    ) {
        h.elements.withUnsafeBufferPointer { h in
            guard let h = h.baseAddress, !range.isEmpty else { return }
            Double.gemm(
                transposeA: false, transposeB: false, m: height, n: width, k: Int32(range.count), alpha: 1,
                a: rows + range.lowerBound, lda: width, b: h + range.lowerBound * Int(width), ldb: width, beta: 0,
                c: z, ldc: width)
        }
    }
}
