import Diagnostics
import Foundation
import LinearAlgebra

// lorabank-bench METHOD [options]: times a merge of made-up adapters beside a reference run of the same bytes and
// products, and prints one JSON document. lorabank-bench networks: passes and training steps of networks.

// A pin to older BLAS kernels is read while the library is loaded: the program starts anew without it.
if !BLASKernels.wereAdopted, getenv("OPENBLAS_CORETYPE") != nil || getenv("OPENBLAS_L2_SIZE") != nil {
    unsetenv("OPENBLAS_CORETYPE")
    unsetenv("OPENBLAS_L2_SIZE")
    execv("/proc/self/exe", CommandLine.unsafeArgv)
}
BLASKernels.adoptBest()

do {
    if CommandLine.arguments.dropFirst().first == "networks" {
        try NetworkBenchmark(Array(CommandLine.arguments.dropFirst(2))).run()
        exit(0)
    }
    let options = try BenchOptions(Array(CommandLine.arguments.dropFirst()))
    let report = try MergeBenchmark(options).run()
    print(report.text(.indented(2)))
} catch let failure as Failure {
    FileHandle.standardError.write(Data((failure.message + (failure.hint.map { "\n" + $0 } ?? "") + "\n").utf8))
    exit(Int32(failure.code.exitStatus))
}
