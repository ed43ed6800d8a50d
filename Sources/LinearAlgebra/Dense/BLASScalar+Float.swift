import CLAPACKE
import COpenBLAS
import Tensors

// Float: the routines whose names begin with s. `BLASScalar` describes them.
extension Float: BLASScalar {
    public static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int32, n: Int32, k: Int32, alpha: Float, a: UnsafePointer<Float>,
        lda: Int32, b: UnsafePointer<Float>, ldb: Int32, beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int32
    ) {
        BLASThreads.single()
        cblas_sgemm(
            CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, m, n, k,
            alpha, a, lda, b, ldb, beta, c, ldc)
    }

    public static func syrk(
        transpose: Bool, n: Int32, k: Int32, alpha: Float, a: UnsafePointer<Float>, lda: Int32, beta: Float,
        c: UnsafeMutablePointer<Float>, ldc: Int32
    ) {
        BLASThreads.single()
        cblas_ssyrk(
            CblasRowMajor, CblasUpper, transpose ? CblasTrans : CblasNoTrans, n, k, alpha, a, lda, beta, c, ldc)
    }

    public static func trsmUpper(
        left: Bool, transpose: Bool, m: Int32, n: Int32, u: UnsafePointer<Float>, ldu: Int32,
        b: UnsafeMutablePointer<Float>, ldb: Int32
    ) {
        BLASThreads.single()
        cblas_strsm(
            CblasRowMajor, left ? CblasLeft : CblasRight, CblasUpper, transpose ? CblasTrans : CblasNoTrans,
            CblasNonUnit, m, n, 1, u, ldu, b, ldb)
    }

    public static func potrf(n: Int32, a: UnsafeMutablePointer<Float>, lda: Int32) -> Int32 {
        BLASThreads.single()
        return LAPACKE_spotrf_work(LAPACK_COL_MAJOR, lower, n, a, lda)
    }

    public static func pocon(n: Int32, a: UnsafePointer<Float>, lda: Int32, norm: Float) throws -> Float {
        BLASThreads.single()
        var work = [Float](repeating: 0, count: 3 * max(1, Int(n)))
        var integers = [Int32](repeating: 0, count: max(1, Int(n)))
        var result: Float = 0
        let info = LAPACKE_spocon_work(LAPACK_COL_MAJOR, lower, n, a, lda, norm, &result, &work, &integers)
        try checkArguments(info, "spocon")
        return result
    }

    public static func geqrf(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Float>, lda: Int32, tau: UnsafeMutablePointer<Float>
    ) throws {
        BLASThreads.single()
        var query: Float = 0
        try checkArguments(LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, m, n, a, lda, tau, &query, -1), "sgeqrf")
        let length = try workspaceLength(query, minimum: Int(n))
        var work = [Float](repeating: 0, count: length)
        let info = LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, m, n, a, lda, tau, &work, Int32(length))
        try checkArguments(info, "sgeqrf")
    }

    public static func orgqr(
        m: Int32, n: Int32, k: Int32, a: UnsafeMutablePointer<Float>, lda: Int32, tau: UnsafePointer<Float>
    ) throws {
        BLASThreads.single()
        var query: Float = 0
        try checkArguments(LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, m, n, k, a, lda, tau, &query, -1), "sorgqr")
        let length = try workspaceLength(query, minimum: Int(n))
        var work = [Float](repeating: 0, count: length)
        let info = LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, m, n, k, a, lda, tau, &work, Int32(length))
        try checkArguments(info, "sorgqr")
    }

    public static func gesdd(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Float>, lda: Int32, s: UnsafeMutablePointer<Float>,
        u: UnsafeMutablePointer<Float>, ldu: Int32, vt: UnsafeMutablePointer<Float>, ldvt: Int32
    ) throws -> Int32 {
        BLASThreads.single()
        let small = Int(min(m, n))
        var integers = [Int32](repeating: 0, count: max(1, 8 * small))
        var query: Float = 0
        let asked = LAPACKE_sgesdd_work(
            LAPACK_COL_MAJOR, thin, m, n, a, lda, s, u, ldu, vt, ldvt, &query, -1, &integers)
        try checkArguments(asked, "sgesdd")
        let minimum = 4 * small * small + 7 * small + Int(max(m, n))
        let length = try workspaceLength(query, minimum: minimum)
        var work = [Float](repeating: 0, count: length)
        let info = LAPACKE_sgesdd_work(
            LAPACK_COL_MAJOR, thin, m, n, a, lda, s, u, ldu, vt, ldvt, &work, Int32(length), &integers)
        try checkArguments(info, "sgesdd")
        return info
    }

    public static func gesvd(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Float>, lda: Int32, s: UnsafeMutablePointer<Float>,
        u: UnsafeMutablePointer<Float>, ldu: Int32, vt: UnsafeMutablePointer<Float>, ldvt: Int32
    ) throws -> Int32 {
        BLASThreads.single()
        var query: Float = 0
        let asked = LAPACKE_sgesvd_work(
            LAPACK_COL_MAJOR, thin, thin, m, n, a, lda, s, u, ldu, vt, ldvt, &query, -1)
        try checkArguments(asked, "sgesvd")
        let length = try workspaceLength(query, minimum: max(3 * Int(min(m, n)) + Int(max(m, n)), 5 * Int(min(m, n))))
        var work = [Float](repeating: 0, count: length)
        let info = LAPACKE_sgesvd_work(
            LAPACK_COL_MAJOR, thin, thin, m, n, a, lda, s, u, ldu, vt, ldvt, &work, Int32(length))
        try checkArguments(info, "sgesvd")
        return info
    }

    public static func syevd(
        n: Int32, a: UnsafeMutablePointer<Float>, lda: Int32, w: UnsafeMutablePointer<Float>
    ) throws -> Int32 {
        BLASThreads.single()
        var query: Float = 0
        var integerQuery: Int32 = 0
        let asked = LAPACKE_ssyevd_work(
            LAPACK_COL_MAJOR, vectors, lower, n, a, lda, w, &query, -1, &integerQuery, -1)
        try checkArguments(asked, "ssyevd")
        let size = Int(n)
        let length = try workspaceLength(query, minimum: 1 + 6 * size + 2 * size * size)
        let integerLength = max(Int(integerQuery), 3 + 5 * size)
        var work = [Float](repeating: 0, count: length)
        var integers = [Int32](repeating: 0, count: integerLength)
        let info = LAPACKE_ssyevd_work(
            LAPACK_COL_MAJOR, vectors, lower, n, a, lda, w, &work, Int32(length), &integers, Int32(integerLength))
        try checkArguments(info, "ssyevd")
        return info
    }

    public static func gesv(
        n: Int32, columns: Int32, a: UnsafeMutablePointer<Float>, lda: Int32, b: UnsafeMutablePointer<Float>, ldb: Int32
    ) -> Int32 {
        BLASThreads.single()
        var pivots = [Int32](repeating: 0, count: max(1, Int(n)))
        return LAPACKE_sgesv_work(LAPACK_COL_MAJOR, n, columns, a, lda, &pivots, b, ldb)
    }

    public static func firstNonFinite(_ values: UnsafeBufferPointer<Float>) -> Int? { ValueScan.firstNonFinite(values) }
}

private let lower = CChar(UInt8(ascii: "L"))
private let thin = CChar(UInt8(ascii: "S"))
private let vectors = CChar(UInt8(ascii: "V"))
