import Diagnostics
import Tensors

/// `Float` and `Double`: the element types for which BLAS and LAPACK exist.
///
/// The members are thin wrappers at pointer level, for callers that own buffers. Products and triangular solves take
/// **row-major** matrices; the LAPACK routines take column-major ones, as LAPACK defines them, and return its `info`.
/// All dimensions are `Int32`; `blasDimension(_:)` converts with a typed error.
public protocol BLASScalar: BinaryFloatingPoint & Sendable {
    /// C := alpha · op(A) · op(B) + beta · C, row-major; op(A) is m×k, op(B) k×n, C m×n.
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int32, n: Int32, k: Int32, alpha: Self, a: UnsafePointer<Self>,
        lda: Int32, b: UnsafePointer<Self>, ldb: Int32, beta: Self, c: UnsafeMutablePointer<Self>, ldc: Int32)
    /// Upper triangle of C := alpha · A·Aᵀ + beta · C (or AᵀA with `transpose`), row-major; C is n×n, sums have k terms.
    static func syrk(
        transpose: Bool, n: Int32, k: Int32, alpha: Self, a: UnsafePointer<Self>, lda: Int32, beta: Self,
        c: UnsafeMutablePointer<Self>, ldc: Int32)
    /// B := op(U)⁻¹·B (`left`) or B·op(U)⁻¹, row-major, with U upper triangular; B is m×n.
    static func trsmUpper(
        left: Bool, transpose: Bool, m: Int32, n: Int32, u: UnsafePointer<Self>, ldu: Int32,
        b: UnsafeMutablePointer<Self>, ldb: Int32)

    /// Cholesky factor of a symmetric matrix, lower triangle in column-major order (= upper in row-major order).
    static func potrf(n: Int32, a: UnsafeMutablePointer<Self>, lda: Int32) -> Int32
    /// Reciprocal condition number (1-norm) of the matrix whose factor `potrf` gave and whose norm was `norm`.
    static func pocon(n: Int32, a: UnsafePointer<Self>, lda: Int32, norm: Self) throws -> Self
    /// Householder QR of a column-major m×n matrix; `tau` has min(m, n) entries.
    static func geqrf(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Self>, lda: Int32, tau: UnsafeMutablePointer<Self>) throws
    /// The first n columns of Q from the reflectors that `geqrf` left in `a` (k of them).
    static func orgqr(
        m: Int32, n: Int32, k: Int32, a: UnsafeMutablePointer<Self>, lda: Int32, tau: UnsafePointer<Self>) throws
    /// Thin SVD by divide and conquer of a column-major m×n matrix; destroys `a`. Result > 0: no convergence.
    static func gesdd(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Self>, lda: Int32, s: UnsafeMutablePointer<Self>,
        u: UnsafeMutablePointer<Self>, ldu: Int32, vt: UnsafeMutablePointer<Self>, ldvt: Int32
    ) throws -> Int32
    /// Thin SVD by QR iteration, the slower and more patient sister of `gesdd`.
    static func gesvd(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Self>, lda: Int32, s: UnsafeMutablePointer<Self>,
        u: UnsafeMutablePointer<Self>, ldu: Int32, vt: UnsafeMutablePointer<Self>, ldvt: Int32
    ) throws -> Int32
    /// Eigenvalues, ascending, and vectors (columns, column-major, in place of `a`) of a symmetric matrix whose lower
    /// triangle in column-major order is given. Result > 0: no convergence.
    static func syevd(n: Int32, a: UnsafeMutablePointer<Self>, lda: Int32, w: UnsafeMutablePointer<Self>) throws
        -> Int32
    /// Solves A·X = B by LU with partial pivoting, column-major; destroys both. Result > 0: A is singular.
    static func gesv(
        n: Int32, columns: Int32, a: UnsafeMutablePointer<Self>, lda: Int32, b: UnsafeMutablePointer<Self>, ldb: Int32
    ) -> Int32

    /// Position of the first NaN or infinity.
    static func firstNonFinite(_ values: UnsafeBufferPointer<Self>) -> Int?
}

/// A dimension as BLAS counts.
///
/// - Throws: `numeric.dimension_limit` at 2³¹ and above.
public func blasDimension(_ value: Int) throws -> Int32 {
    guard let result = Int32(exactly: value) else {
        throw Failure(
            .numericDimensionLimit, "dimension \(value) exceeds the limit of the linear algebra library, 2147483647")
    }
    return result
}

/// Length of a workspace from LAPACK's answer to a size query.
///
/// The answer comes as a floating-point number; in single precision it may have been rounded down above 2²⁴, so that
/// the routine would then refuse its own figure. It is therefore rounded up, and never below the documented `minimum`.
func workspaceLength<S: BLASScalar>(_ answer: S, minimum: Int) throws -> Int {
    let generous = Double(answer) * (1 + 0x1p-20)
    let length = max(Int(generous.rounded(.up)), minimum, 1)
    _ = try blasDimension(length)
    return length
}

/// What a negative `info` means: this module called a routine wrongly.
func checkArguments(_ info: Int32, _ routine: String) throws {
    guard info >= 0 else {
        throw Failure(.internalDefect, "\(routine) refused its argument \(-info)", hint: "please report this")
    }
}

/// - Throws: `merge.non_finite` with the position of the first NaN or infinity.
public func requireFinite<S: BLASScalar>(_ matrix: Matrix<S>, place: String) throws {
    guard let index = matrix.elements.withUnsafeBufferPointer({ S.firstNonFinite($0) }) else { return }
    let position = matrix.columns == 0 ? (0, 0) : (index / matrix.columns, index % matrix.columns)
    throw Failure(
        .mergeNonFinite, "\(matrix.elements[index]) at row \(position.0), column \(position.1)", place: place,
        details: ["first_index": "\(index)"])
}
