import CLAPACKE
import COpenBLAS
import Tensors

// Double: the routines whose names begin with d. `BLASScalar` describes them.
extension Double: BLASScalar {
    public static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int32, n: Int32, k: Int32, alpha: Double, a: UnsafePointer<Double>,
        lda: Int32, b: UnsafePointer<Double>, ldb: Int32, beta: Double, c: UnsafeMutablePointer<Double>, ldc: Int32
    ) {
        BLASThreads.single()
        cblas_dgemm(
            CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, m, n, k,
            alpha, a, lda, b, ldb, beta, c, ldc)
    }

    public static func syrk(
        transpose: Bool, n: Int32, k: Int32, alpha: Double, a: UnsafePointer<Double>, lda: Int32, beta: Double,
        c: UnsafeMutablePointer<Double>, ldc: Int32
    ) {
        BLASThreads.single()
        cblas_dsyrk(
            CblasRowMajor, CblasUpper, transpose ? CblasTrans : CblasNoTrans, n, k, alpha, a, lda, beta, c, ldc)
    }

    public static func trsmUpper(
        left: Bool, transpose: Bool, m: Int32, n: Int32, u: UnsafePointer<Double>, ldu: Int32,
        b: UnsafeMutablePointer<Double>, ldb: Int32
    ) {
        BLASThreads.single()
        cblas_dtrsm(
            CblasRowMajor, left ? CblasLeft : CblasRight, CblasUpper, transpose ? CblasTrans : CblasNoTrans,
            CblasNonUnit, m, n, 1, u, ldu, b, ldb)
    }

    public static func potrf(n: Int32, a: UnsafeMutablePointer<Double>, lda: Int32) -> Int32 {
        BLASThreads.single()
        return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, lower, n, a, lda)
    }

    public static func pocon(n: Int32, a: UnsafePointer<Double>, lda: Int32, norm: Double) throws -> Double {
        BLASThreads.single()
        var work = [Double](repeating: 0, count: 3 * max(1, Int(n)))
        var integers = [Int32](repeating: 0, count: max(1, Int(n)))
        var result: Double = 0
        let info = LAPACKE_dpocon_work(LAPACK_COL_MAJOR, lower, n, a, lda, norm, &result, &work, &integers)
        try checkArguments(info, "dpocon")
        return result
    }

    public static func geqrf(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Double>, lda: Int32, tau: UnsafeMutablePointer<Double>
    ) throws {
        BLASThreads.single()
        var query: Double = 0
        try checkArguments(LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, m, n, a, lda, tau, &query, -1), "dgeqrf")
        let length = try workspaceLength(query, minimum: Int(n))
        var work = [Double](repeating: 0, count: length)
        let info = LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, m, n, a, lda, tau, &work, Int32(length))
        try checkArguments(info, "dgeqrf")
    }

    public static func orgqr(
        m: Int32, n: Int32, k: Int32, a: UnsafeMutablePointer<Double>, lda: Int32, tau: UnsafePointer<Double>
    ) throws {
        BLASThreads.single()
        var query: Double = 0
        try checkArguments(LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, m, n, k, a, lda, tau, &query, -1), "dorgqr")
        let length = try workspaceLength(query, minimum: Int(n))
        var work = [Double](repeating: 0, count: length)
        let info = LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, m, n, k, a, lda, tau, &work, Int32(length))
        try checkArguments(info, "dorgqr")
    }

    public static func gesdd(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Double>, lda: Int32, s: UnsafeMutablePointer<Double>,
        u: UnsafeMutablePointer<Double>, ldu: Int32, vt: UnsafeMutablePointer<Double>, ldvt: Int32
    ) throws -> Int32 {
        BLASThreads.single()
        let small = Int(min(m, n))
        var integers = [Int32](repeating: 0, count: max(1, 8 * small))
        var query: Double = 0
        let asked = LAPACKE_dgesdd_work(
            LAPACK_COL_MAJOR, thin, m, n, a, lda, s, u, ldu, vt, ldvt, &query, -1, &integers)
        try checkArguments(asked, "dgesdd")
        let minimum = 4 * small * small + 7 * small + Int(max(m, n))
        let length = try workspaceLength(query, minimum: minimum)
        var work = [Double](repeating: 0, count: length)
        let info = LAPACKE_dgesdd_work(
            LAPACK_COL_MAJOR, thin, m, n, a, lda, s, u, ldu, vt, ldvt, &work, Int32(length), &integers)
        try checkArguments(info, "dgesdd")
        return info
    }

    public static func gesvd(
        m: Int32, n: Int32, a: UnsafeMutablePointer<Double>, lda: Int32, s: UnsafeMutablePointer<Double>,
        u: UnsafeMutablePointer<Double>, ldu: Int32, vt: UnsafeMutablePointer<Double>, ldvt: Int32
    ) throws -> Int32 {
        BLASThreads.single()
        var query: Double = 0
        let asked = LAPACKE_dgesvd_work(
            LAPACK_COL_MAJOR, thin, thin, m, n, a, lda, s, u, ldu, vt, ldvt, &query, -1)
        try checkArguments(asked, "dgesvd")
        let length = try workspaceLength(query, minimum: max(3 * Int(min(m, n)) + Int(max(m, n)), 5 * Int(min(m, n))))
        var work = [Double](repeating: 0, count: length)
        let info = LAPACKE_dgesvd_work(
            LAPACK_COL_MAJOR, thin, thin, m, n, a, lda, s, u, ldu, vt, ldvt, &work, Int32(length))
        try checkArguments(info, "dgesvd")
        return info
    }

    public static func syevd(
        n: Int32, a: UnsafeMutablePointer<Double>, lda: Int32, w: UnsafeMutablePointer<Double>
    ) throws -> Int32 {
        BLASThreads.single()
        var query: Double = 0
        var integerQuery: Int32 = 0
        let asked = LAPACKE_dsyevd_work(
            LAPACK_COL_MAJOR, vectors, lower, n, a, lda, w, &query, -1, &integerQuery, -1)
        try checkArguments(asked, "dsyevd")
        let size = Int(n)
        let length = try workspaceLength(query, minimum: 1 + 6 * size + 2 * size * size)
        let integerLength = max(Int(integerQuery), 3 + 5 * size)
        var work = [Double](repeating: 0, count: length)
        var integers = [Int32](repeating: 0, count: integerLength)
        let info = LAPACKE_dsyevd_work(
            LAPACK_COL_MAJOR, vectors, lower, n, a, lda, w, &work, Int32(length), &integers, Int32(integerLength))
        try checkArguments(info, "dsyevd")
        return info
    }

    public static func gesv(
        n: Int32, columns: Int32, a: UnsafeMutablePointer<Double>, lda: Int32, b: UnsafeMutablePointer<Double>,
        ldb: Int32
    ) -> Int32 {
        BLASThreads.single()
        var pivots = [Int32](repeating: 0, count: max(1, Int(n)))
        return LAPACKE_dgesv_work(LAPACK_COL_MAJOR, n, columns, a, lda, &pivots, b, ldb)
    }

    public static func firstNonFinite(_ values: UnsafeBufferPointer<Double>) -> Int? {
        ValueScan.firstNonFinite(values)
    }
}

private let lower = CChar(UInt8(ascii: "L"))
private let thin = CChar(UInt8(ascii: "S"))
private let vectors = CChar(UInt8(ascii: "V"))
