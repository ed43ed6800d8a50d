import Diagnostics
import Foundation
import LinearAlgebra
import Tensors

// lorabank-bench METHOD [options]: times a merge of made-up adapters beside a reference run of the same bytes and
// products, and prints one JSON document. lorabank-bench networks: passes and training steps of networks.
// lorabank-bench router [options]: mixtures of made-up experts beside one adapter.

// A pin to older BLAS kernels is read while the library is loaded: the program starts anew without it.
if !BLASKernels.wereAdopted, getenv("OPENBLAS_CORETYPE") != nil || getenv("OPENBLAS_L2_SIZE") != nil {
    unsetenv("OPENBLAS_CORETYPE")
    unsetenv("OPENBLAS_L2_SIZE")
    execv("/proc/self/exe", CommandLine.unsafeArgv)
}
BLASKernels.adoptBest()
FreedMemory.keep()

do {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if arguments.first == "networks" {
        try NetworkBenchmark(Array(arguments.dropFirst())).run()
        exit(0)
    }
    let report =
        arguments.first == "router"
        ? try RouterBenchmark(RouterBenchOptions(arguments.dropFirst())).run()
        : try MergeBenchmark(BenchOptions(arguments)).run()
    print(report.text(.indented(2)))
} catch let failure as Failure {
    FileHandle.standardError.write(Data((failure.message + (failure.hint.map { "\n" + $0 } ?? "") + "\n").utf8))
    exit(Int32(failure.code.exitStatus))
}
