import COpenBLAS
import Foundation

/// How many threads OpenBLAS uses, and which kernels.
///
/// Every routine of this module first sets OpenBLAS to one thread, unless `use(_:)` has chosen otherwise: skinny
/// products are slower on two threads than on one, and sums would depend on the number of cores.
public enum BLASThreads {
    private static let oneByDefault: Void = openblas_set_num_threads(1)

    /// Sets the number of threads of every later BLAS call of the process.
    public static func use(_ count: Int) {
        single()
        openblas_set_num_threads(Int32(clamping: max(1, count)))
    }

    /// The number of threads that BLAS calls use.
    public static var count: Int {
        single()
        return Int(openblas_get_num_threads())
    }

    /// Name of the processor family whose kernels OpenBLAS runs, e.g. `Haswell`, `Cooperlake`.
    public static var coreName: String { openblas_get_corename().map { String(cString: $0) } ?? "unknown" }

    /// The kernels that the environment asks for (`OPENBLAS_CORETYPE`), nil when OpenBLAS chose by itself.
    public static var pinnedCore: String? { ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] }

    /// Sets one thread on the first call, does nothing later.
    @inline(__always)
    static func single() { _ = oneByDefault }
}
