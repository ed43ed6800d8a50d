import Diagnostics
import Tensors

/// Eigenvalues and vectors of a symmetric matrix: A = V·diag(λ)·Vᵀ.
public struct SymmetricEigen<S: BLASScalar>: Sendable {
    /// Ascending.
    public var values: [S]
    /// n×n, eigenvector j in column j; its entry of largest magnitude is positive.
    public var vectors: Matrix<S>
}

/// Eigen-decomposition of a symmetric matrix (`syevd`); reads the upper triangle.
///
/// - Throws: `merge.non_finite`, `numeric.no_convergence`, `numeric.dimension_limit`.
public func symmetricEigen<S: BLASScalar>(_ a: Matrix<S>, place: String = "eigenvalues") throws -> SymmetricEigen<S> {
    precondition(a.rows == a.columns)
    try requireFinite(a, place: place)
    guard a.rows > 0 else { return SymmetricEigen(values: [], vectors: a) }
    let n = try blasDimension(a.rows)
    var values = [S](repeating: 0, count: a.rows)
    var work = a
    let info = try work.elements.withUnsafeMutableBufferPointer { work in
        guard let work = work.baseAddress else { return Int32(0) }
        return try S.syevd(n: n, a: work, lda: n, w: &values)
    }
    guard info == 0 else {
        throw Failure(.numericNoConvergence, "the eigenvalues of a \(n)×\(n) matrix did not converge", place: place)
    }
    // The columns of the column-major result are the rows of ours.
    var vectors = ThinSVD(u: work.transposed(), sigma: values, vt: Matrix(rows: a.rows, columns: 0))
    vectors.fixSigns()
    return SymmetricEigen(values: values, vectors: vectors.u)
}

/// The upper triangular R with non-negative diagonal and RᵀR = A (`potrf`); reads the upper triangle of A.
///
/// - Returns: nil when A is not positive definite.
/// - Throws: `merge.non_finite`, `numeric.dimension_limit`.
@_specialize(where S == Float)
@_specialize(where S == Double)
public func cholesky<S: BLASScalar>(_ a: Matrix<S>, place: String = "Cholesky factor") throws -> Matrix<S>? {
    precondition(a.rows == a.columns)
    try requireFinite(a, place: place)
    guard a.rows > 0 else { return a }
    let n = try blasDimension(a.rows)
    var r = a
    let info = r.elements.withUnsafeMutableBufferPointer { r -> Int32 in
        guard let r = r.baseAddress else { return 0 }
        return S.potrf(n: n, a: r, lda: n)
    }
    try checkArguments(info, "potrf")
    guard info == 0 else { return nil }
    for i in 0..<r.rows {
        for j in 0..<i { r[i, j] = 0 }
    }
    return r
}

/// R⁻¹·B, or R⁻ᵀ·B with `transposed`, for an upper triangular R without zeros on its diagonal.
///
/// - Throws: `numeric.dimension_limit`.
public func solveUpper<S: BLASScalar>(_ r: Matrix<S>, _ b: Matrix<S>, transposed: Bool = false) throws -> Matrix<S> {
    precondition(r.rows == r.columns && r.rows == b.rows)
    guard b.rows > 0, b.columns > 0 else { return b }
    let sizes = try (blasDimension(b.rows), blasDimension(b.columns))
    var x = b
    r.elements.withUnsafeBufferPointer { r in
        x.elements.withUnsafeMutableBufferPointer { x in
            guard let r = r.baseAddress, let x = x.baseAddress else { return }
            S.trsmUpper(
                left: true, transpose: transposed, m: sizes.0, n: sizes.1, u: r, ldu: sizes.0, b: x, ldb: sizes.1)
        }
    }
    return x
}

/// The solution X of A·X = B by elimination with partial pivoting (`gesv`).
///
/// - Throws: `numeric.no_convergence` when A is singular, `merge.non_finite`, `numeric.dimension_limit`.
public func solve<S: BLASScalar>(_ a: Matrix<S>, _ b: Matrix<S>, place: String = "linear system") throws -> Matrix<S> {
    precondition(a.rows == a.columns && a.rows == b.rows)
    try requireFinite(a, place: place)
    try requireFinite(b, place: place)
    guard b.rows > 0, b.columns > 0 else { return b }
    let sizes = try (blasDimension(b.rows), blasDimension(b.columns))
    var left = a.transposed()
    var right = b.transposed()
    let info = left.elements.withUnsafeMutableBufferPointer { left in
        right.elements.withUnsafeMutableBufferPointer { right -> Int32 in
            guard let left = left.baseAddress, let right = right.baseAddress else { return 0 }
            return S.gesv(n: sizes.0, columns: sizes.1, a: left, lda: sizes.0, b: right, ldb: sizes.0)
        }
    }
    try checkArguments(info, "gesv")
    guard info == 0 else { throw Failure(.numericNoConvergence, "the matrix of the system is singular", place: place) }
    return right.transposed()
}
