import Diagnostics
import Tensors

/// A thin singular value decomposition A = U·diag(σ)·Vᵀ.
public struct ThinSVD<S: BLASScalar>: Sendable {
    /// m×k with orthonormal columns.
    public var u: Matrix<S>
    /// k values, descending, non-negative.
    public var sigma: [S]
    /// k×n with orthonormal rows.
    public var vt: Matrix<S>

    public init(u: Matrix<S>, sigma: [S], vt: Matrix<S>) {
        self.u = u
        self.sigma = sigma
        self.vt = vt
    }

    /// The first `count` triples (all of them when there are fewer).
    public func truncated(to count: Int) -> ThinSVD {
        let kept = min(count, sigma.count)
        return ThinSVD(u: u.columns(0..<kept), sigma: Array(sigma.prefix(kept)), vt: vt.rows(0..<kept))
    }

    /// U·diag(σ)·Vᵀ.
    public func product() throws -> Matrix<S> { try multiply(u.scalingColumns(by: sigma), vt) }
}

/// Thin SVD of an m×n matrix, k = min(m, n) triples (`gesdd`, then `gesvd` where that does not converge).
///
/// The entry of largest magnitude in each left vector is positive (the first of equals), and the right vector follows.
/// - Parameter place: what the matrix is, for messages.
/// - Throws: `merge.non_finite`, `numeric.no_convergence`, `numeric.dimension_limit`.
public func thinSVD<S: BLASScalar>(_ a: Matrix<S>, place: String = "SVD") throws -> ThinSVD<S> {
    try requireFinite(a, place: place)
    let k = min(a.rows, a.columns)
    var u = Matrix<S>(rows: a.rows, columns: k)
    var vt = Matrix<S>(rows: k, columns: a.columns)
    var sigma = [S](repeating: 0, count: k)
    guard k > 0 else { return ThinSVD(u: u, sigma: sigma, vt: vt) }
    let m = try blasDimension(a.rows)
    let n = try blasDimension(a.columns)
    let small = try blasDimension(k)
    // In column-major order the memory of A is Aᵀ = V·diag(σ)·Uᵀ: LAPACK's left vectors fill the rows of Vᵀ, its right
    // vectors the columns of U.
    func run(_ routine: (UnsafeMutablePointer<S>, UnsafeMutablePointer<S>, UnsafeMutablePointer<S>) throws -> Int32)
        throws -> Int32
    {
        var work = a.elements
        return try work.withUnsafeMutableBufferPointer { work in
            try u.elements.withUnsafeMutableBufferPointer { u in
                try vt.elements.withUnsafeMutableBufferPointer { vt in
                    guard let work = work.baseAddress, let u = u.baseAddress, let vt = vt.baseAddress else { return 0 }
                    return try routine(work, u, vt)
                }
            }
        }
    }
    var info = try run { work, u, vt in
        try S.gesdd(m: n, n: m, a: work, lda: n, s: &sigma, u: vt, ldu: n, vt: u, ldvt: small)
    }
    if info > 0 {
        info = try run { work, u, vt in
            try S.gesvd(m: n, n: m, a: work, lda: n, s: &sigma, u: vt, ldu: n, vt: u, ldvt: small)
        }
    }
    guard info == 0 else {
        throw Failure(
            .numericNoConvergence, "the singular value decomposition of a \(m)×\(n) matrix did not converge",
            place: place)
    }
    var result = ThinSVD(u: u, sigma: sigma, vt: vt)
    result.fixSigns()
    return result
}

/// The part of the thin SVD whose singular values count: those above `max(relative · σ₀, absolute)`.
public func supportSVD<S: BLASScalar>(
    _ a: Matrix<S>, relative: Double = RankTolerance.fromFiles, absolute: Double = 0, place: String = "SVD"
) throws -> ThinSVD<S> {
    let svd = try thinSVD(a, place: place)
    return svd.truncated(to: numericalRank(svd.sigma, relative: relative, absolute: absolute))
}

extension ThinSVD {
    /// Makes the entry of largest magnitude in each left vector positive and flips the right vector with it.
    @_specialize(where S == Float)
    @_specialize(where S == Double)
    mutating func fixSigns() {
        let k = sigma.count
        var extreme = [S](repeating: 0, count: k)
        u.elements.withUnsafeBufferPointer { u in
            for start in stride(from: 0, to: u.count, by: max(k, 1)) {
                for j in 0..<k where abs(u[start + j]) > abs(extreme[j]) { extreme[j] = u[start + j] }
            }
        }
        guard extreme.contains(where: { $0 < 0 }) else { return }
        u = u.scalingColumns(by: extreme.map { $0 < 0 ? -1 : 1 })
        vt = vt.scalingRows(by: extreme.map { $0 < 0 ? -1 : 1 })
    }
}
