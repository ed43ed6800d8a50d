import Tensors

/// alpha · op(A) · op(B), where op transposes on request.
///
/// - Throws: `numeric.dimension_limit`.
public func multiply<S: BLASScalar>(
    _ a: Matrix<S>, _ b: Matrix<S>, transposeA: Bool = false, transposeB: Bool = false, alpha: S = 1
) throws -> Matrix<S> {
    let m = transposeA ? a.columns : a.rows
    let n = transposeB ? b.rows : b.columns
    let k = transposeA ? a.rows : a.columns
    precondition(k == (transposeB ? b.columns : b.rows), "\(a.rows)×\(a.columns) times \(b.rows)×\(b.columns)")
    guard m > 0, n > 0, k > 0 else { return Matrix(rows: m, columns: n) }
    let sizes = try (blasDimension(m), blasDimension(n), blasDimension(k))
    let strides = try (blasDimension(a.columns), blasDimension(b.columns))
    return Matrix(
        rows: m, columns: n,
        writtenBy: { c in
            a.elements.withUnsafeBufferPointer { a in
                b.elements.withUnsafeBufferPointer { b in
                    guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
                    // With beta = 0, BLAS writes C without reading it.
                    S.gemm(
                        transposeA: transposeA, transposeB: transposeB, m: sizes.0, n: sizes.1, k: sizes.2,
                        alpha: alpha, a: a, lda: strides.0, b: b, ldb: strides.1, beta: 0, c: c, ldc: sizes.1)
                }
            }
        })
}

/// A·Aᵀ, or AᵀA with `transposed`; both triangles filled.
///
/// - Throws: `numeric.dimension_limit`.
public func symmetricProduct<S: BLASScalar>(_ a: Matrix<S>, transposed: Bool = false) throws -> Matrix<S> {
    let n = transposed ? a.columns : a.rows
    let k = transposed ? a.rows : a.columns
    var result = Matrix<S>(rows: n, columns: n)
    guard n > 0, k > 0 else { return result }
    let sizes = try (blasDimension(n), blasDimension(k), blasDimension(a.columns))
    a.elements.withUnsafeBufferPointer { a in
        result.elements.withUnsafeMutableBufferPointer { c in
            guard let a = a.baseAddress, let c = c.baseAddress else { return }
            S.syrk(
                transpose: transposed, n: sizes.0, k: sizes.1, alpha: 1, a: a, lda: sizes.2, beta: 0, c: c,
                ldc: sizes.0)
        }
    }
    result.mirrorUpperTriangle()
    return result
}

extension Matrix {
    /// Copies the upper triangle of a square matrix to the lower one.
    @_specialize(where Element == Float)
    @_specialize(where Element == Double)
    mutating func mirrorUpperTriangle() {
        let n = rows
        elements.withUnsafeMutableBufferPointer { c in
            for i in 0..<n {
                for j in 0..<i { c[i &* n &+ j] = c[j &* n &+ i] }
            }
        }
    }
}
