import Adapters
import Foundation
import LinearAlgebra
import Merging
import WeightFiles

/// Merges made-up adapters, alternating with the reference run, and reports medians.
struct MergeBenchmark {
    let options: BenchOptions

    init(_ options: BenchOptions) { self.options = options }

    func run() throws -> JSONValue {
        let folders = try AdapterGenerator(options: options).folders()
        let plan = try plan(folders)
        let output = options.folder + "/output"
        var merges: [ProcessMeter.Reading] = []
        var floors: [ProcessMeter.Reading] = []
        var record: MergeRecord?
        for _ in 0..<options.pairs {
            merges.append(
                try ProcessMeter.measure {
                    record = try MergeEngine.run(try self.plan(folders), to: .folder(output), overwrite: true)
                })
            let reference = self.reference(folders, plan, outputBytes: record?.bytes ?? 0)
            floors.append(try ProcessMeter.measure { try reference.run() })
        }
        try FileManager.default.removeItem(atPath: output)
        return report(merges, floors, record, inputBytes: bytes(folders))
    }

    private func plan(_ folders: [String]) throws -> StagePlan {
        var planning = PlanOptions()
        planning.threads = options.threads
        planning.memoryLimitBytes = options.memory
        var text = "merge_method: \(options.method)\nseed: 1\nmodels:\n"
        for folder in folders { text += "  - model: path:\(folder)\n" }
        if let density = options.density { text += "parameters: { density: \(density) }\n" }
        let recipe = try RecipeReader().read(text: text, folder: "")
        let plans = try RecipePlanner(library: PathLibrary(), options: planning).plan(recipe)
        return plans.stages[0]
    }

    private func reference(_ folders: [String], _ plan: StagePlan, outputBytes: Int) -> ReferenceRun {
        var ranks: [String: (rows: Int, columns: Int, rank: Int)] = [:]
        for module in plan.operands.flatMap(\.adapter.modules) {
            ranks[module.name, default: (module.dOut, module.dIn, 0)].rank += module.rank
        }
        let stacks = ranks.values.flatMap { [($0.rows, $0.rank), ($0.columns, $0.rank)] }
        let exactness = MethodRegistry.standard.method(options.method, compatibility: .none)?.exactness
        return ReferenceRun(
            inputs: folders.map { $0 + "/" + PEFTWriter.weightsName }, outputBytes: outputBytes,
            threads: options.threads, stacks: stacks.map { (length: $0.0, rank: $0.1) },
            hasProducts: exactness == .spectral, target: options.folder + "/reference.bin")
    }

    private func bytes(_ folders: [String]) -> Int {
        folders.reduce(0) { sum, folder in
            let path = folder + "/" + PEFTWriter.weightsName
            let size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
            return sum + size
        }
    }

    private func report(
        _ merges: [ProcessMeter.Reading], _ floors: [ProcessMeter.Reading], _ record: MergeRecord?, inputBytes: Int
    ) -> JSONValue {
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        func number(_ value: Double) -> JSONValue { .number(String(format: "%.6g", value)) }
        func reading(_ readings: [ProcessMeter.Reading]) -> JSONValue {
            .object([
                .init("seconds", number(median(readings.map(\.seconds)))),
                .init("seconds_min", number(readings.map(\.seconds).min() ?? 0)),
                .init("seconds_max", number(readings.map(\.seconds).max() ?? 0)),
                .init("cpu_seconds", number(median(readings.map(\.cpuSeconds)))),
                .init("peak_rss_bytes", .number(String(readings.map(\.peakBytes).max() ?? 0))),
            ])
        }
        let pinned = BLASThreads.pinnedCore.map { JSONValue.string($0) } ?? .null
        let share = median(zip(floors, merges).map { $0.seconds / $1.seconds })
        return .object([
            .init("method", .string(options.method)), .init("shape", .string(options.shape.name)),
            .init("adapters", .number(String(options.adapters))), .init("rank", .number(String(options.rank))),
            .init("modules", .number(String(record?.modules.count ?? 0))),
            .init("dtype", .string(options.dtype.rawValue)), .init("blas_core", .string(BLASThreads.coreName)),
            .init("blas_core_pinned", pinned), .init("threads", .number(String(options.threads))),
            .init("memory_limit_bytes", .number(String(options.memory))),
            .init("pairs", .number(String(options.pairs))), .init("input_bytes", .number(String(inputBytes))),
            .init("output_bytes", .number(String(record?.bytes ?? 0))), .init("merge", reading(merges)),
            .init("reference", reading(floors)), .init("share_of_reference", number(share)),
        ])
    }
}
