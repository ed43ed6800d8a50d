import Diagnostics
import Tensors

/// One low-rank update ΔW = scale · B · A.
public struct LowRankFactors: Sendable, Equatable {
    /// m×r.
    public var b: Matrix<Float>
    /// r×n.
    public var a: Matrix<Float>
    public var scale: Double

    /// B has as many columns as A has rows.
    public init(b: Matrix<Float>, a: Matrix<Float>, scale: Double = 1) {
        precondition(b.columns == a.rows, "B is \(b.rows)×\(b.columns), A is \(a.rows)×\(a.columns)")
        self.b = b
        self.a = a
        self.scale = scale
    }

    /// m, the rows of ΔW.
    public var rows: Int { b.rows }
    /// n, the columns of ΔW.
    public var columns: Int { a.columns }
    /// r, the columns of B; the true rank may be lower.
    public var rank: Int { b.columns }
}

extension LowRankFactors {
    /// Rows that a dense product forms at a time. Fixed, and tiles begin at its multiples, so that no entry depends on
    /// which rows a caller asks for: BLAS may round differently for other heights.
    public static let denseTile = 64

    /// Writes the rows `range` of ΔW, row-major, into `target` (range.count × columns).
    ///
    /// Every entry is the same whatever `range` it is asked in. Single precision products; the scale is applied last.
    /// - Throws: `numeric.dimension_limit`.
    public func product(rows range: Range<Int>, into target: UnsafeMutableBufferPointer<Float>) throws {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows && target.count == range.count * columns)
        guard let output = target.baseAddress, rank > 0 else { return target.update(repeating: 0) }
        let sizes = try (n: blasDimension(columns), k: blasDimension(rank))
        let tile = LowRankFactors.denseTile
        b.elements.withUnsafeBufferPointer { b in
            a.elements.withUnsafeBufferPointer { a in
                guard let b = b.baseAddress, let a = a.baseAddress else { return }
                func form(_ start: Int, _ c: UnsafeMutablePointer<Float>) {
                    Float.gemm(
                        transposeA: false, transposeB: false, m: Int32(min(tile, rows - start)), n: sizes.n, k: sizes.k,
                        alpha: Float(scale), a: b + start * rank, lda: sizes.k, b: a, ldb: sizes.n, beta: 0, c: c,
                        ldc: sizes.n)
                }
                for start in stride(from: range.lowerBound / tile * tile, to: range.upperBound, by: tile) {
                    let whole = start..<min(start + tile, rows)
                    let wanted = whole.clamped(to: range)
                    let place = output + (wanted.lowerBound - range.lowerBound) * columns
                    if wanted == whole {
                        form(start, place)
                    } else {
                        withUnsafeTemporaryAllocation(of: Float.self, capacity: whole.count * columns) { scratch in
                            guard let scratch = scratch.baseAddress else { return }
                            form(start, scratch)
                            let from = scratch + (wanted.lowerBound - start) * columns
                            place.update(from: from, count: wanted.count * columns)
                        }
                    }
                }
            }
        }
    }

    /// ΔW as a dense matrix.
    ///
    /// - Throws: `numeric.dimension_limit`.
    public func dense() throws -> Matrix<Float> {
        try Matrix(rows: rows, columns: columns, writtenBy: { try product(rows: 0..<rows, into: $0) })
    }

    /// Thin SVD of ΔW restricted to its support: the singular values above `relative · σ₀`, in double precision,
    /// without forming ΔW.
    ///
    /// - Throws: `merge.non_finite`, `numeric.no_convergence`.
    public func svd(
        relative: Double = RankTolerance.fromFiles, place: String = "low-rank factors"
    ) throws -> ThinSVD<Double> {
        let core = try JointCore([self], place: place)
        let small = try core.adapterSVD(0, relative: relative)
        return try ThinSVD(
            u: core.leftProduct(small.u).doubleMatrix(), sigma: small.sigma,
            vt: core.rightProduct(small.vt.transposed()).doubleMatrix())
    }

    /// All min(m, n, r) singular values of ΔW, descending, through the r×r core in double precision.
    ///
    /// - Throws: `merge.non_finite`, `numeric.no_convergence`.
    public func singularValues(place: String = "low-rank factors") throws -> [Double] {
        try JointCore([self], place: place).adapterSingularValues(0)
    }
}
