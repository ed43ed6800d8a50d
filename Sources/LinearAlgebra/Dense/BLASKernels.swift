import Foundation

/// Better kernels where OpenBLAS does not know the processor.
///
/// OpenBLAS chooses its kernels by the processor's family and model while it is loaded. A processor that is newer than the
/// library gets those of 2004 (`Prescott`), whatever it can do: on a Xeon with AVX-512 20 to 32 GFLOP/s instead of 77 to 151 in
/// single precision on one core. A choice of the user's stays.
public enum BLASKernels {
    /// The variable that OpenBLAS reads while it is loaded.
    public static let variable = "OPENBLAS_CORETYPE"
    /// Tells the second start from the first.
    private static let marker = "LORABANK_BLAS_CORE"

    /// Cores whose kernels use AVX2 or AVX-512.
    private static let modern: Set<String> = [
        "Haswell", "Zen", "Excavator", "SkylakeX", "Cooperlake", "SapphireRapids",
    ]

    /// The core to run instead of `core`; nil where OpenBLAS chose one that fits.
    ///
    /// - Parameters:
    ///   - core: as `BLASThreads.coreName` gives it.
    ///   - features: of the processor, named as in `/proc/cpuinfo`.
    public static func remedy(core: String, features: Set<String>) -> String? {
        guard !modern.contains(core), features.isSuperset(of: ["avx2", "fma"]) else { return nil }
        guard features.isSuperset(of: ["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"]) else {
            return "Haswell"
        }
        return features.contains("avx512_bf16") ? "Cooperlake" : "SkylakeX"
    }

    /// What the first processor can do; empty where the system does not say.
    public static func processorFeatures() -> Set<String> {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("flags") }) else { return [] }
        return Set(line.drop { $0 != ":" }.dropFirst().split(separator: " ").map(String.init))
    }

    /// True in a process that `adoptBest` started with other kernels than OpenBLAS's own choice.
    public static let wereAdopted: Bool = {
        guard getenv(marker) != nil else { return false }
        // OpenBLAS has read it; programs that are started from here make their own choice.
        unsetenv(marker)
        unsetenv(variable)
        return true
    }()

    /// Starts the program anew with kernels that fit the processor, where OpenBLAS fell back and nobody chose a core.
    ///
    /// Call it first in `main`: the process stays the same, its program begins again. Returns where nothing is to be done.
    public static func adoptBest() {
        guard !wereAdopted, getenv(variable) == nil else { return }
        guard let core = remedy(core: BLASThreads.coreName, features: processorFeatures()) else { return }
        setenv(variable, core, 1)
        setenv(marker, core, 1)
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/proc/self/exe"
        execv(path, CommandLine.unsafeArgv)
        unsetenv(variable)
        unsetenv(marker)
    }
}
