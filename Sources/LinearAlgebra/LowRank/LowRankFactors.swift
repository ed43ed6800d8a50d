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
    /// Rows of ΔW that passes over it form at a time.
    public static let denseTile = 64

    /// ΔW as a dense matrix, in single precision.
    public func dense() -> Matrix<Float> {
        let packed = PackedFactors(self)
        return Matrix(rows: rows, columns: columns, writtenBy: { packed.product(rows: 0..<rows, into: $0) })
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
