import Diagnostics
import Digests
import LinearAlgebra
import Synchronization
import Tensors
import WeightFiles

/// One run over full weights: tensor by tensor from mapped files to a checkpoint, in parallel, within a memory limit.
///
/// A run that is interrupted leaves what is finished; the same run later goes on there and gives the same bytes.
struct CheckpointRun {
    let plan: StagePlan
    private let destination: MergeDestination
    private let overwrite: Bool
    private let progress: any Diagnostics.ProgressReporting
    private let workers: Workers
    private let budget: MemoryBudget
    /// Rows per block of class E instead of the usual rule, for tests of block independence.
    var blockHeight: Int?
    /// Largest file of a folder.
    var shardLimit = CheckpointOutput.shardLimit
    /// Tasks made by somebody else than the plan's methods.
    var ownTasks: [TensorTask]?
    /// What decides the result beside plan and inputs.
    var purpose = "merge"

    init(
        _ plan: StagePlan, _ destination: MergeDestination, _ overwrite: Bool,
        _ progress: any Diagnostics.ProgressReporting,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) {
        self.plan = plan
        self.destination = destination
        self.overwrite = overwrite
        self.progress = progress
        workers = Workers(threads: max(1, plan.threads), isCancelled: isCancelled)
        budget = MemoryBudget(limit: plan.memoryLimitBytes)
    }

    func carryOut(_ completing: ((String, MergeRecord) throws -> Void)?) throws -> MergeRecord {
        let clock = ContinuousClock()
        let start = clock.now
        BLASThreads.use(1)
        guard let checkpoint = plan.checkpoint else {
            throw Failure(.internalDefect, "no plan for full weights", hint: "please report this")
        }
        let tasks = try ownTasks ?? TensorTaskBuilder(plan, checkpoint).tasks()
        guard !tasks.isEmpty else {
            throw Failure(.mergeModuleMismatch, "no tensor is left to merge", place: plan.name)
        }
        let output = try CheckpointOutput(
            destination, tensors: tasks.map { TensorDeclaration($0.name, $0.dtype, $0.shape) },
            digest: CheckpointFingerprint(plan, purpose: purpose).digest, overwrite: overwrite, shardLimit: shardLimit)
        do {
            let summaries = try make(tasks, output)
            if workers.isCancelled() { throw CancellationError() }
            let elapsed = (clock.now - start).components
            var record = record(
                tasks, summaries, output,
                seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
            try output.commit { folder in
                try CheckpointCompanions(checkpoint).write(to: folder, types: Set(tasks.map(\.dtype)))
                try completing?(folder, record)
            }
            // Said to the user, not written beside the result: that has the same bytes however often the run began.
            if !output.finished.isEmpty {
                record.warnings.append(
                    "\(output.finished.count) of \(tasks.count) tensors were there from an interrupted run")
            }
            return record
        } catch let cancellation as CancellationError {
            throw cancellation
        } catch {
            output.resumable.abandon()
            throw error
        }
    }

    // MARK: Making tensors

    /// A part of a tensor that can be made by itself.
    private struct Piece: Sendable {
        var task: Int
        /// Rows of a sum; nil: the whole tensor.
        var rows: Range<Int>?
        /// Position among the pieces of the tensor, and their number.
        var part: Int
        var parts: Int
    }

    private func make(_ tasks: [TensorTask], _ output: CheckpointOutput) throws -> [CheckpointOutput.Summary] {
        let open = tasks.indices.filter { output.finished[$0] == nil }
        let states = open.isEmpty ? [:] : try sharedStatistics(tasks)
        let tasks = try open.isEmpty ? tasks : scaledTogether(tasks)
        let pieces = open.flatMap { cut(tasks[$0], $0) }
        let results = Mutex<[Int: [TensorCombination.Outcome?]]>([:])
        let summaries = Mutex<[Int: CheckpointOutput.Summary]>(output.finished)
        progress.begin("merging", total: Int64(tasks.reduce(0) { $0 + $1.byteCount }), unit: "bytes")
        defer { progress.end() }
        progress.advance(
            by: Int64(tasks.indices.filter { output.finished[$0] != nil }.reduce(0) { $0 + tasks[$1].byteCount }))
        try workers.run(pieces.count) { number in
            let piece = pieces[number]
            let task = tasks[piece.task]
            let summary: CheckpointOutput.Summary
            if let rows = piece.rows, let sum = sum(task) {
                let outcome = try sum.run(rows, to: output, index: piece.task)
                let all = results.withLock { results -> [TensorCombination.Outcome?] in
                    var parts = results[piece.task] ?? [TensorCombination.Outcome?](repeating: nil, count: piece.parts)
                    parts[piece.part] = outcome
                    results[piece.task] = parts
                    return parts
                }
                let known = all.compactMap { $0 }
                guard known.count == piece.parts else { return }
                summary = CheckpointOutput.Summary(
                    frobenius: known.reduce(0) { $0 + $1.sumOfSquares }.squareRoot(),
                    maxError: known.map(\.maxError).max() ?? 0)
            } else {
                summary = try whole(task, states[piece.task], output, piece.task)
            }
            var final = summary
            final.warnings = task.context?.remarks.all ?? []
            try output.finish(piece.task, final)
            summaries.withLock { $0[piece.task] = final }
            for tensor in task.inputs { tensor.releasePages() }
            progress.advance(by: Int64(task.byteCount))
        }
        let all = summaries.withLock { $0 }
        return try tasks.indices.map { index in
            guard let summary = all[index] else {
                throw Failure(.internalDefect, "a tensor was not made", place: tasks[index].name)
            }
            return summary
        }
    }

    private func cut(_ task: TensorTask, _ index: Int) -> [Piece] {
        guard let ranges = sum(task)?.pieces, !ranges.isEmpty else { return [Piece(task: index, part: 0, parts: 1)] }
        return ranges.enumerated().map { Piece(task: index, rows: $1, part: $0, parts: ranges.count) }
    }

    /// Sums with coefficients that are known beforehand.
    private func sum(_ task: TensorTask) -> TensorCombination? {
        guard case .combination(let coefficients) = task.work, task.post.isEmpty, task.count > 0 else { return nil }
        return TensorCombination(task: task, coefficients: coefficients, zeroNonFinite: plan.zeroNonFinite)
    }

    /// A tensor that is made in one piece.
    private func whole(
        _ task: TensorTask, _ state: ElementState?, _ output: CheckpointOutput, _ index: Int
    ) throws -> CheckpointOutput.Summary {
        guard task.count > 0 else { return CheckpointOutput.Summary(frobenius: 0, maxError: 0) }
        switch task.work {
        case .copy(let tensor): return try copy(tensor, task, output, index)
        case .combination(let coefficients):
            return try merging.spectral(task, { _, space in try space.sum(coefficients) }, to: output, index: index)
        case .rule(let rule): return try apply(rule, task, state, output, index)
        }
    }

    private func apply(
        _ rule: MergeRule, _ task: TensorTask, _ state: ElementState?, _ output: CheckpointOutput, _ index: Int
    ) throws -> CheckpointOutput.Summary {
        guard let context = task.context else { throw task.unsupported("this method") }
        switch rule {
        case .combination(let rule): return try combine(task, try rule(context), output, index)
        case .gram(let rule): return try combine(task, try merging.coefficients(task, rule), output, index)
        case .slices(let axis, let rule):
            return try TensorSlices(task: task, axis: axis, zeroNonFinite: plan.zeroNonFinite)
                .run(rule, to: output, index: index)
        case .spectral(let rule):
            return try merging.spectral(task, { try rule($0, $1).matrix() }, to: output, index: index)
        case .spectralTogether(let rule, _):
            return try merging.spectral(task, { try rule($0, $1).core }, to: output, index: index)
        case .coordinates(let frame, let rule):
            return try merging.aligned(task, frame, try rule(context), state, to: output, index: index)
        case .elements(let rule):
            return try elements(task, try rule(context)).run(
                state, to: output, index: index, isCancelled: workers.isCancelled)
        case .factors(_, let merge): return try merging.factors(task, merge, to: output, index: index)
        }
    }

    private func combine(
        _ task: TensorTask, _ coefficients: [Double], _ output: CheckpointOutput, _ index: Int
    ) throws -> CheckpointOutput.Summary {
        guard task.post.isEmpty else {
            return try merging.spectral(task, { _, space in try space.sum(coefficients) }, to: output, index: index)
        }
        let sum = TensorCombination(task: task, coefficients: coefficients, zeroNonFinite: plan.zeroNonFinite)
        var squares = 0.0
        var maxError = 0.0
        for rows in sum.pieces {
            if workers.isCancelled() { throw CancellationError() }
            let outcome = try sum.run(rows, to: output, index: index)
            squares += outcome.sumOfSquares
            maxError = max(maxError, outcome.maxError)
        }
        return CheckpointOutput.Summary(frobenius: squares.squareRoot(), maxError: maxError)
    }

    // MARK: What tensors need from one another

    /// Statistics whose selections reach over several tensors, by task.
    private func sharedStatistics(_ tasks: [TensorTask]) throws -> [Int: ElementState] {
        let found = OrderedResults<(index: Int, work: ElementWork)>(count: tasks.count)
        try workers.run(tasks.count) { index in
            let task = tasks[index]
            guard case .rule(let rule) = task.work, let context = task.context, task.count > 0 else { return }
            switch rule {
            case .elements(let make):
                let rule = try make(context)
                if rule.reachesOverModules { found.set((index, elements(task, rule).work), at: index) }
            case .coordinates(let frame, let make):
                let rule = try make(context)
                if rule.reachesOverModules { found.set((index, try merging.alignedWork(task, frame, rule)), at: index) }
            default: return
            }
        }
        let all = found.all
        let states = try ElementStatistics(works: all.map(\.work), workers: workers, memoryLimit: plan.memoryLimitBytes)
            .collect()
        return Dictionary(uniqueKeysWithValues: zip(all, states).map { ($0.index, $1) })
    }

    /// Tasks of `spectralTogether` rules with the factor that all tensors of the method share; each is merged twice.
    private func scaledTogether(_ tasks: [TensorTask]) throws -> [TensorTask] {
        let quantities = OrderedResults<(index: Int, values: [Double])>(count: tasks.count)
        try workers.run(tasks.count) { index in
            let task = tasks[index]
            guard case .rule(.spectralTogether(let rule, _)) = task.work, task.count > 0 else { return }
            quantities.set((index, try merging.quantities(task, rule)), at: index)
        }
        var groups: [String: [(index: Int, values: [Double])]] = [:]
        for entry in quantities.all { groups[tasks[entry.index].method ?? "", default: []].append(entry) }
        var scaled = tasks
        for group in groups.values {
            guard case .rule(.spectralTogether(_, let scale))? = group.first.map({ tasks[$0.index].work }) else {
                continue
            }
            var sums = [Double](repeating: 0, count: group.map(\.values.count).max() ?? 0)
            for entry in group {
                for (k, value) in entry.values.enumerated() { sums[k] += value }
            }
            for entry in group { scaled[entry.index].scale = scale(sums) }
        }
        return scaled
    }

    // MARK: Tensors as they are

    /// A tensor as it is; bytes where the type stays.
    private func copy(
        _ tensor: TensorView, _ task: TensorTask, _ output: CheckpointOutput, _ index: Int
    ) throws -> CheckpointOutput.Summary {
        defer { tensor.releasePages() }
        guard tensor.dtype != task.dtype else {
            var sink = TensorSink(task, output, index: index)
            let step = 8 << 20
            for start in stride(from: 0, to: tensor.bytes.count, by: step) {
                if workers.isCancelled() { throw CancellationError() }
                try sink.append(
                    UnsafeRawBufferPointer(
                        rebasing: tensor.bytes[start..<min(start + step, tensor.bytes.count)]))
            }
            try sink.flush()
            return CheckpointOutput.Summary(frobenius: 0, maxError: 0)
        }
        var converted = TensorTask(
            name: task.name, shape: task.shape, dtype: task.dtype, base: nil,
            operands: [TensorOperand(content: .weights(tensor), name: "the base")], work: .combination([1]),
            context: nil,
            method: nil, coverage: 0)
        converted.post = []
        return try combine(converted, [1], output, index)
    }

    // MARK: The record

    private func record(
        _ tasks: [TensorTask], _ summaries: [CheckpointOutput.Summary], _ output: CheckpointOutput, seconds: Double
    ) -> MergeRecord {
        let modules = zip(tasks, summaries).compactMap { task, summary -> MergeRecord.Module? in
            guard let method = task.method else { return nil }
            let full = min(task.grid.rows, task.grid.columns)
            return MergeRecord.Module(
                name: task.name, method: method, rankIn: full, rankOut: summary.rank ?? full,
                discardedEnergy: summary.discardedEnergy, frobenius: summary.frobenius, coverage: task.coverage,
                trimmedShare: summary.trimmedShare, maxRoundingError: summary.maxError, cosines: nil,
                warnings: summary.warnings)
        }
        return MergeRecord(
            modules: modules, savedTensors: tasks.filter { $0.method == nil }.map(\.name),
            dtype: DType.widest(of: Set(tasks.filter { $0.dtype.isWeight }.map(\.dtype))),
            weightsPath: output.weightsPath, bytes: output.byteCount, replacedEntries: 0,
            warnings: [], seconds: seconds)
    }

    private var merging: TensorMerging {
        TensorMerging(plan: plan, workers: workers, budget: budget, blockHeight: blockHeight)
    }

    private func elements(_ task: TensorTask, _ rule: ElementRule) -> TensorElements {
        TensorElements(
            task: task, rule: rule, zeroNonFinite: plan.zeroNonFinite, memoryLimit: plan.memoryLimitBytes,
            threads: workers.threads, blockHeight: blockHeight)
    }
}
