import Adapters
import Diagnostics
import LinearAlgebra
import Tensors

/// Turns DoRA updates into plain low-rank ones with the weights of the base (merge-methods 4.4): W' − W is formed densely
/// and brought back to factors. Scaling whole rows of W has full rank, so the conversion loses something; the record says
/// how much.
struct DoRAConversion {
    /// Rank of a converted update: 99 % of the energy, at most this many times the adapter's own rank.
    static let rule = OutputRank.auto

    let base: Checkpoint
    let workers: Workers
    let memoryLimit: Int

    private struct Job {
        var operand: Int
        var module: Int
    }

    private struct Result {
        var module: LoRAModule
        var discardedEnergy: Double
    }

    /// The plan with converted operands.
    ///
    /// - Parameter warnings: receives a sentence for every converted adapter.
    /// - Throws: `merge.dora_needs_base` for a module that the base lacks, `merge.shape_mismatch`, `merge.non_finite`,
    ///   `numeric.*`.
    func converted(_ plan: StagePlan, warnings: inout [String]) throws -> StagePlan {
        let wanted = Set(plan.modules.map(\.module))
        let jobs = plan.operands.indices.flatMap { operand in
            plan.operands[operand].adapter.modules.enumerated().compactMap { index, module in
                module.magnitude != nil && wanted.contains(module.name) ? Job(operand: operand, module: index) : nil
            }
        }
        guard !jobs.isEmpty else { return plan }
        let names = Dictionary(
            uniqueKeysWithValues: Set(jobs.map(\.operand)).map {
                ($0, ModuleNames.matching(plan.operands[$0].adapter, base))
            })
        let results = OrderedResults<Result>(count: jobs.count)
        let budget = MemoryBudget(limit: memoryLimit)
        try workers.run(jobs.count) { index in
            let job = jobs[index]
            let operand = plan.operands[job.operand]
            let module = operand.adapter.modules[job.module]
            let bytes = Recompressor.bytes(rows: module.flatRows, columns: module.flatColumns)
            results.set(
                try budget.reserving(bytes) {
                    try convert(module, of: operand.name, names[job.operand] ?? ModuleNames(prefix: ""), plan)
                }, at: index)
        }
        var copy = plan
        var losses: [Int: (error: Double, rank: Int)] = [:]
        for (job, result) in zip(jobs, results.all) {
            copy.operands[job.operand].adapter.modules[job.module] = result.module
            let worst = losses[job.operand] ?? (0, 0)
            losses[job.operand] = (
                max(worst.error, result.discardedEnergy.squareRoot()), max(worst.rank, result.module.rank)
            )
        }
        for (operand, loss) in losses.sorted(by: { $0.key < $1.key }) {
            warnings.append(
                "'\(plan.operands[operand].name)' is a DoRA adapter: its update was formed with the base and brought to rank "
                    + "\(loss.rank) at most; relative error per module at most \(rounded(loss.error))")
        }
        return copy
    }

    private func convert(
        _ module: LoRAModule, of adapter: String, _ names: ModuleNames, _ plan: StagePlan
    ) throws -> Result {
        let name = names.inBase(module.name)
        guard let weights = base.view(name + ".weight") ?? base.view(name) else {
            throw Failure(
                .mergeDoraNeedsBase, "the base has no tensor '\(name).weight' for this DoRA module of '\(adapter)'",
                path: base.path, place: module.name, hint: "is this the adapter's base model?")
        }
        guard weights.shape == module.deltaShape else {
            throw Failure(
                .mergeShapeMismatch,
                "the base has shape \(weights.shape), the update of '\(adapter)' \(module.deltaShape)",
                place: module.name, hint: "is this the adapter's base model?")
        }
        let task = TensorTask(
            name: module.name, shape: module.deltaShape, dtype: .f32, base: weights,
            operands: [TensorOperand(content: .module(module), name: adapter)], work: .combination([1]), context: nil,
            method: nil, coverage: 1)
        let reader = try TensorReader(task, grid: task.grid, zeroNonFinite: plan.zeroNonFinite)
        let rows = 0..<task.grid.rows
        let update = try Matrix<Float>(rows: task.grid.rows, columns: task.grid.columns) { target in
            let scratch = try Matrix<Float>(rows: task.grid.rows, columns: task.grid.columns) {
                try reader.base(rows, into: $0)
            }
            try scratch.elements.withUnsafeBufferPointer { values in
                guard let start = values.baseAddress else { return }
                try reader.update(0, rows, base: start, into: target)
            }
        }
        weights.releasePages()
        let recompressor = Recompressor(
            rule: RankRule(rule: DoRAConversion.rule, largestRank: module.rank), split: .sqrt,
            memoryLimit: memoryLimit, seed: plan.seed ?? 0, module: module.name)
        let result = try recompressor.compress(update)
        return Result(
            module: try plain(module, result), discardedEnergy: result.choice.discardedEnergy)
    }

    /// The module with new factors, scale 1 and no magnitudes. A zero update keeps one zero direction.
    private func plain(_ module: LoRAModule, _ result: Recompressor.Result) throws -> LoRAModule {
        var (a, b) = (result.a, result.b)
        if result.choice.rank == 0 {
            a = Matrix(rows: 1, columns: result.a.columns)
            b = Matrix(rows: result.b.rows, columns: 1)
        }
        if module.isTransposed { (a, b) = (b.transposed(), a.transposed()) }
        var copy = module
        copy.rank = a.rows
        copy.scale = 1
        copy.alpha = Double(a.rows)
        copy.magnitude = nil
        copy.a = try tensor(a, module.a, shape: [a.rows] + module.a.shape.dropFirst())
        copy.b = try tensor(b, module.b, shape: [module.b.shape[0], a.rows] + module.b.shape.dropFirst(2))
        return copy
    }

    private func tensor(_ matrix: Matrix<Float>, _ model: TensorView, shape: [Int]) throws -> TensorView {
        let buffer = try TensorBuffer(name: model.name, dtype: .f32, shape: shape)
        try matrix.elements.withUnsafeBufferPointer { _ = try buffer.write($0) }
        return buffer.view
    }

    private func rounded(_ value: Double) -> String { NumberText.shortest((value * 1e4).rounded() / 1e4) }
}
