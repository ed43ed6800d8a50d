import Diagnostics
import Foundation
import LinearAlgebra
import Tensors
import WeightFiles

/// `lorabank-bench networks`: passes and training steps of the networks, as JSON; with `--follow` one measurement per
/// line of standard input, so that another program can measure in turns.
struct NetworkBenchmark {
    private var cases: [String] = []
    private var threads = min(2, ProcessInfo.processInfo.activeProcessorCount)
    private var runs = 5
    private var follows = false

    static let usage = """
        usage: lorabank-bench networks [--case NAME]… [--threads N] [--runs N] [--follow]
        cases: \(NetworkCase.names.joined(separator: ", "))
        """

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let name = rest.popFirst() {
            if name == "--follow" {
                follows = true
                continue
            }
            guard let value = rest.popFirst() else { throw Self.wrong("\(name) needs a value") }
            switch name {
            case "--case": cases.append(value)
            case "--threads": threads = try Self.count(name, value)
            case "--runs": runs = try Self.count(name, value)
            default: throw Self.wrong("unknown option \(name)")
            }
        }
        if cases.isEmpty { cases = NetworkCase.names }
        if follows, cases.count != 1 { throw Self.wrong("--follow takes exactly one --case") }
    }

    private static func count(_ name: String, _ value: String) throws -> Int {
        guard let number = Int(value), number > 0 else { throw wrong("\(name): '\(value)' is no count") }
        return number
    }

    private static func wrong(_ message: String) -> Failure { Failure(.usageBadArgument, message, hint: usage) }

    /// Prints the measurements.
    func run() throws {
        if follows { return try follow(cases[0]) }
        var results: [JSONValue] = []
        for name in cases {
            let subject = try NetworkCase.make(name, threads: threads)
            try subject.run()
            let readings = try (0..<runs).map { _ in try ProcessMeter.measure { try subject.run() } }
            results.append(report(subject, readings))
        }
        let report = JSONValue.object([
            .init("blas_core", .string(BLASThreads.coreName)), .init("threads", .number(String(threads))),
            .init("vector_bits", .number(String(PackedProduct.vectorBits))),
            .init("bf16_kernel", .string(BFloat16Product.Kernel.best.rawValue)), .init("cases", .array(results)),
        ])
        print(report.text(.indented(2)))
    }

    /// Every line is a number of runs; answers with one line of JSON each.
    private func follow(_ name: String) throws {
        let subject = try NetworkCase.make(name, threads: threads)
        try subject.run()
        while let line = readLine() {
            let count = try Self.count("runs", line)
            let reading = try ProcessMeter.measure { for _ in 0..<count { try subject.run() } }
            let answer = report(subject, [reading], runs: count).text(.compact) + "\n"
            try FileHandle.standardOutput.write(contentsOf: Data(answer.utf8))
        }
    }

    private func report(_ subject: NetworkCase, _ readings: [ProcessMeter.Reading], runs: Int = 1) -> JSONValue {
        func number(_ values: [Double]) -> JSONValue {
            .number(String(format: "%.6g", values.sorted()[values.count / 2] / Double(runs)))
        }
        return .object([
            .init("case", .string(subject.name)), .init("samples", .number(String(subject.samples))),
            .init("seconds", number(readings.map(\.seconds))),
            .init("cpu_seconds", number(readings.map(\.cpuSeconds))),
            .init("peak_rss_bytes", .number(String(readings.map(\.peakBytes).max() ?? 0))),
            .init("activation_bytes", .number(String(subject.activationBytes()))),
        ])
    }
}
