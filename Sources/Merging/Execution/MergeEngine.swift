import Adapters
import Diagnostics
import LinearAlgebra
import Tensors

/// Where the merged adapter goes.
public enum MergeDestination: Sendable, Hashable {
    /// A folder (made when missing) that receives `adapter_config.json` and `adapter_model.safetensors`.
    case folder(String)
    /// One safetensors file without a configuration.
    case file(String)

    var path: String {
        switch self {
        case .folder(let path), .file(let path): path
        }
    }
}

/// Carries out the plan of one stage.
public enum MergeEngine {
    /// Merges and writes the result.
    ///
    /// Works module by module on `plan.threads` workers within `plan.memoryLimitBytes`; the bytes written do not
    /// depend on the number of threads. Files appear under their final names only when everything succeeded.
    ///
    /// - Parameters:
    ///   - overwrite: whether an existing result may be replaced.
    ///   - completing: fills the folder of a checkpoint before it becomes visible; not asked for adapters, and not for
    ///     single files.
    ///   - isCancelled: asked between modules and row blocks; when true, nothing is written and
    ///     `CancellationError` is thrown.
    /// - Throws: `merge.shape_mismatch`, `merge.rank_mismatch`, `merge.rank_limit`, `merge.dora_needs_base`,
    ///   `merge.non_finite`, `merge.nonfinite_result`, `recipe.zero_weight_sum`, `output.exists`, `io.*`.
    public static func run(
        _ plan: StagePlan, to destination: MergeDestination, overwrite: Bool = false,
        progress: any ProgressReporting = SilentProgress(),
        completing: ((_ folder: String, MergeRecord) throws -> Void)? = nil,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> MergeRecord {
        if plan.checkpoint != nil {
            return try CheckpointRun(plan, destination, overwrite, progress, isCancelled).carryOut(completing)
        }
        var warnings: [String] = []
        var plan = plan
        if let base = plan.decompositionBase {
            let workers = Workers(threads: max(1, plan.threads), isCancelled: isCancelled)
            BLASThreads.use(1)
            plan = try DoRAConversion(base: base, workers: workers, memoryLimit: plan.memoryLimitBytes)
                .converted(plan, warnings: &warnings)
        }
        var record = try MergeRun(plan, destination, overwrite, progress, isCancelled).carryOut()
        record.warnings += warnings
        return record
    }
}

/// One run of the engine: analyse all modules, lay the file out, form and write the factors.
struct MergeRun {
    let plan: StagePlan
    let dtype: DType
    let writer: AdapterWriting
    let workers: Workers
    let progress: any ProgressReporting
    /// Rows per block of class E instead of the usual rule, for tests of block independence.
    var blockHeight: Int?

    init(
        _ plan: StagePlan, _ destination: MergeDestination, _ overwrite: Bool, _ progress: any ProgressReporting,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) throws {
        self.plan = plan
        dtype = plan.outputType
        workers = Workers(threads: max(1, plan.threads), isCancelled: isCancelled)
        self.progress = progress
        writer = try AdapterWriting(destination, overwrite: overwrite)
    }

    func carryOut() throws -> MergeRecord {
        let clock = ContinuousClock()
        let start = clock.now
        BLASThreads.use(1)
        let tasks = try TaskBuilder(plan).tasks()
        guard !tasks.isEmpty else {
            throw Failure(.mergeModuleMismatch, "no module is left to merge", place: plan.name)
        }
        let spool = Spool(folder: writer.scratchFolder, memoryLimit: plan.memoryLimitBytes / 8)
        progress.begin("merging", total: Int64(2 * tasks.count), unit: "modules")
        defer { progress.end() }
        let replaced = try NonFiniteScan(plan: plan, workers: workers).count(tasks)
        let merged = try analyse(tasks, spool)
        let others = OtherTensors(plan: plan)
        let saved = try others.saved()
        let sink = try writer.open(layout(tasks, merged, saved), base: base, source: plan.operands.first?.adapter)
        let modules = try write(
            tasks, merged, saved, FactorForming(zeroNonFinite: plan.zeroNonFinite, spool: spool), sink)
        if workers.isCancelled() { throw CancellationError() }
        let bytes = try sink.commit()
        let elapsed = (clock.now - start).components
        return MergeRecord(
            modules: modules, savedTensors: saved.map(\.name), dtype: dtype, weightsPath: writer.weightsPath,
            bytes: bytes, replacedEntries: replaced,
            warnings: (replaced > 0 ? ["\(replaced) NaN or infinite entries were set to zero"] : [])
                + ResultSize.warnings(merged),
            seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
    }

    /// The base that the operands agree on; the first known one.
    private var base: BaseIdentity {
        plan.operands.map(\.adapter.base).first { !$0.name.isEmpty } ?? plan.operands.first?.adapter.base
            ?? BaseIdentity(name: "")
    }

    // MARK: Analysis

    private func analyse(_ tasks: [ModuleTask], _ spool: Spool) throws -> [MergedModule] {
        let analysis = ModuleAnalysis(
            plan: plan, dtype: dtype, spool: spool, budget: MemoryBudget(limit: plan.memoryLimitBytes),
            workers: workers, blockHeight: blockHeight)
        let prepared = try prepare(tasks, analysis)
        let results = OrderedResults<MergedModule>(count: tasks.count)
        try workers.run(tasks.count) { index in
            results.set(try analysis.analyse(tasks[index], prepared[index] ?? Preparation()), at: index)
            progress.advance(by: 1)
        }
        var merged = results.all
        scaleTogether(tasks, &merged)
        if plan.output.uniform {
            let rank = merged.map(\.paddedRank).max() ?? 0
            for i in merged.indices { merged[i].paddedRank = rank }
        }
        return merged
    }

    /// What modules need from one another: statistics whose selections reach over several of them, by task.
    private func prepare(_ tasks: [ModuleTask], _ analysis: ModuleAnalysis) throws -> [Int: Preparation] {
        let found = OrderedResults<(index: Int, work: ElementWork, alignment: Alignment?)>(count: tasks.count)
        try workers.run(tasks.count) { index in
            let task = tasks[index]
            switch task.rule {
            case .elements(let make):
                let rule = try make(task.context)
                guard rule.reachesOverModules else { return }
                found.set((index, analysis.elementWork(task, rule), nil), at: index)
            case .coordinates(let frame, let make):
                let rule = try make(task.context)
                guard rule.reachesOverModules else { return }
                let alignment = try analysis.align(task, frame)
                found.set((index, analysis.alignedWork(task, rule, alignment), alignment), at: index)
            default: return
            }
        }
        let all = found.all
        let states = try ElementStatistics(works: all.map(\.work), workers: workers, memoryLimit: plan.memoryLimitBytes)
            .collect()
        return Dictionary(
            uniqueKeysWithValues: zip(all, states).map { ($0.index, Preparation(state: $1, alignment: $0.alignment)) })
    }

    /// Sets the factor that all modules of a `spectralTogether` rule share.
    private func scaleTogether(_ tasks: [ModuleTask], _ merged: inout [MergedModule]) {
        var groups: [String: [Int]] = [:]
        for (index, task) in tasks.enumerated() {
            if case .spectralTogether = task.rule { groups[task.method.description.id, default: []].append(index) }
        }
        for indices in groups.values {
            guard let first = indices.first, case .spectralTogether(_, let scale) = tasks[first].rule else { continue }
            var sums = [Double](repeating: 0, count: indices.map { merged[$0].quantities.count }.max() ?? 0)
            for index in indices {
                for (k, quantity) in merged[index].quantities.enumerated() { sums[k] += quantity }
            }
            let factor = scale(sums)
            for index in indices {
                merged[index].scale = factor
                merged[index].frobenius = merged[index].frobenius.map { $0 * abs(factor) }
            }
        }
    }

    // MARK: Writing

    private func layout(_ tasks: [ModuleTask], _ merged: [MergedModule], _ saved: [OtherTensors.Merged]) -> PEFTLayout {
        PEFTLayout(
            modules: zip(tasks, merged).map { task, merged in
                PEFTModule(
                    name: task.name, kind: task.kind, rank: merged.paddedRank, deltaShape: task.deltaShape,
                    fanInFanOut: task.fanInFanOut, dtype: dtype, hasBias: task.hasBias)
            },
            saved: saved.map {
                PEFTSavedTensor(name: $0.name, role: $0.role, dtype: $0.tensor.dtype, shape: $0.tensor.shape)
            })
    }

    private func write(
        _ tasks: [ModuleTask], _ merged: [MergedModule], _ saved: [OtherTensors.Merged], _ forming: FactorForming,
        _ sink: AdapterWriting.Sink
    ) throws -> [MergeRecord.Module] {
        for (index, tensor) in saved.enumerated() { try sink.write(tensor.tensor.bytes, as: .saved(index)) }
        let records = OrderedResults<MergeRecord.Module>(count: tasks.count)
        let encoder = FactorEncoder(dtype: dtype)
        let others = OtherTensors(plan: plan)
        try workers.run(tasks.count) { index in
            let (task, module) = (tasks[index], merged[index])
            let pair = try forming.factors(task, module)
            let frobenius = try module.frobenius ?? pair.frobenius()
            let encoded = try encoder.encode(pair, rank: module.paddedRank, task: task)
            try encoded.a.withUnsafeBytes { try sink.write($0, as: .a(module: index)) }
            try encoded.b.withUnsafeBytes { try sink.write($0, as: .b(module: index)) }
            if let bias = try others.bias(task, module) {
                try encoder.encode(bias: bias, task: task).withUnsafeBytes {
                    try sink.write($0, as: .bias(module: index))
                }
            }
            records.set(record(task, module, frobenius, encoded.maxError), at: index)
            progress.advance(by: 1)
        }
        return records.all
    }

    private func record(
        _ task: ModuleTask, _ merged: MergedModule, _ frobenius: Double, _ maxError: Double
    ) -> MergeRecord.Module {
        MergeRecord.Module(
            name: task.name, method: task.method.description.id, rankIn: task.totalRank, rankOut: merged.paddedRank,
            discardedEnergy: merged.discardedEnergy, frobenius: frobenius,
            coverage: Double(task.carriers) / Double(max(1, plan.operands.count)), trimmedShare: merged.trimmedShare,
            maxRoundingError: maxError, cosines: merged.cosines, warnings: task.context.remarks.all)
    }
}
