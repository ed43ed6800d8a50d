import Adapters
import Diagnostics
import Networks
import Tensors

extension ContinualRun {
    /// Merges the adapters of a finished `independent` run at every task boundary, and evaluates the merges as the run
    /// itself would have been (cil-engine 3).
    ///
    /// After task t the adapters of tasks 0 … t are merged. The linear head is the run's own, as it was after task t: its
    /// rows were trained on features of the adapters of their tasks, never on those of a merge. Statistics heads are made
    /// anew, task by task: each looks once at the train data of its task, through the merge that was there at the end of
    /// the task, and keeps no sample. So the statistics of task u are those of the merge of 0 … u.
    ///
    /// - Parameters:
    ///   - recipe: name of the recipe, for the outcome.
    ///   - merge: makes one adapter of those of tasks 0 … t, in the order of tasks.
    /// - Throws: `recipe.bad_parameter` for other structures and runs that are not finished; what `merge` throws.
    public func replay(recipe: String, merge: ([Adapter]) throws -> Adapter) throws -> RunOutcome {
        guard configuration.structure == .independent, !configuration.firstTaskOnly else {
            throw Failure(
                .recipeBadParameter,
                "structure \(configuration.structure.rawValue) does not leave one adapter per task to merge",
                path: folder, place: "structure", hint: "merge recipes are for runs with structure: independent")
        }
        guard state.finished == plan.count else {
            throw Failure(
                .recipeBadParameter, "the run has finished \(state.finished) of \(plan.count) tasks", path: folder,
                hint: "lorabank cil resume \(folder)")
        }
        let backbone = loaded.backbone.description
        let merged = try RunState(configuration, plan: plan, backbone: backbone, tasks: plan.count)
        var adapters: [Adapter] = []
        var previous: AdapterMix<Float>?
        for task in plan.tasks.indices {
            if let adapter = try taskAdapter(task) { adapters.append(adapter) }
            let slot = try LoRASlot<Float>(merge(adapters), name: recipe, on: backbone)
            let mix = try AdapterMix([slot], on: backbone)
            try learnStatistics(of: merged, task: task, mix: mix, before: previous)
            try evaluate(merged, after: task, mix: mix, head: loadState(paths.task(task)).head)
            previous = mix
        }
        return RunOutcome(
            runID: runID, folder: folder, structure: configuration.structure.rawValue, rule: recipe,
            seed: configuration.seed,
            metrics: configuration.head.kinds.map {
                ($0.rawValue, RunMetrics(merged.predictions[$0] ?? PredictionTable()))
            },
            invariantsPassed: 0, invariantsFailed: 0, isLeaky: configuration.selection.split == .test, warnings: [])
    }

    private func statisticsFeatures(_ set: SampleSet, _ mix: AdapterMix<Float>) throws -> Matrix<Float> {
        try evaluator().statisticsFeatures(set, of: runner.features(of: set, mix: mix, coefficients: [1]))
    }

    private func learnStatistics(
        of merged: RunState, task: Int, mix: AdapterMix<Float>, before: AdapterMix<Float>?
    ) throws {
        guard !merged.statistics.isEmpty else { return }
        let set = try sampleSet(splits.train(task).samples)
        defer { cacheBudget += set.keptBytes }
        let features = try statisticsFeatures(set, mix)
        let old = configuration.head.driftCorrection ? try before.map { try statisticsFeatures(set, $0) } : nil
        for kind in merged.statistics.keys {
            try merged.statistics[kind]?.learn(task: task, features: features, labels: set.rows, before: old)
        }
    }

    private func evaluate(_ merged: RunState, after last: Int, mix: AdapterMix<Float>, head: SharedHead) throws {
        let heads = try merged.statistics.mapValues { try $0.head() }
        for task in 0...last {
            let set = try test(task).set
            let features = try runner.features(of: set, mix: mix, coefficients: [1])
            let own = heads.isEmpty ? features : try evaluator().statisticsFeatures(set, of: features)
            for kind in configuration.head.kinds {
                let logits =
                    kind == .linear
                    ? head.logits(features, seen: plan.seen(after: last)) : heads[kind]?.logits(own)
                guard let logits else { continue }
                merged.predictions[kind]?.rows += predictions(logits, of: set, task: task, after: last).rows
            }
        }
    }
}
