import Diagnostics
import Tensors

/// A thin QR factorisation A = Q·R with a non-negative diagonal of R.
public struct ThinQR<S: BLASScalar>: Sendable {
    /// m×k with orthonormal columns, k = min(m, n).
    public var q: Matrix<S>
    /// k×n upper triangular (trapezoidal when m < n).
    public var r: Matrix<S>
}

/// Thin Householder QR of an m×n matrix (`geqrf`, `orgqr`).
///
/// - Parameter place: what the matrix is, for messages.
/// - Throws: `merge.non_finite`, `numeric.dimension_limit`.
public func thinQR<S: BLASScalar>(_ a: Matrix<S>, place: String = "QR") throws -> ThinQR<S> {
    try requireFinite(a, place: place)
    // LAPACK reads columns one after the other, which are the rows of the transpose.
    let factored = try householder(ofTransposed: a.transposed())
    return ThinQR(q: factored.qTransposed.transposed(), r: factored.r)
}

/// QR of A from its transpose: the memory of a row-major n×m matrix is A in column-major order.
@_specialize(where S == Float)
@_specialize(where S == Double)
func householder<S: BLASScalar>(
    ofTransposed transposed: Matrix<S>
) throws -> (qTransposed: Matrix<S>, r: Matrix<S>) {
    let m = transposed.columns
    let n = transposed.rows
    let k = min(m, n)
    guard k > 0 else { return (Matrix(rows: 0, columns: m), Matrix(rows: 0, columns: n)) }
    let rows = try blasDimension(m)
    var a = transposed.elements
    var tau = [S](repeating: 0, count: k)
    try a.withUnsafeMutableBufferPointer { a in
        guard let a = a.baseAddress else { return }
        try S.geqrf(m: rows, n: blasDimension(n), a: a, lda: rows, tau: &tau)
    }
    var r = Matrix<S>(rows: k, columns: n)
    for j in 0..<n {
        for i in 0...min(j, k - 1) { r[i, j] = a[j * m + i] }
    }
    a.removeLast((n - k) * m)
    try a.withUnsafeMutableBufferPointer { a in
        guard let a = a.baseAddress else { return }
        try S.orgqr(m: rows, n: blasDimension(k), k: blasDimension(k), a: a, lda: rows, tau: tau)
        for i in 0..<k where r[i, i] < 0 {
            for j in i..<n { r[i, j] = -r[i, j] }
            for j in 0..<m { a[i * m + j] = -a[i * m + j] }
        }
    }
    return (Matrix(rows: k, columns: m, elements: a), r)
}
