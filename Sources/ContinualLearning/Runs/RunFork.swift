import Diagnostics
import Evaluation
import Foundation
import Tensors
import WeightFiles

/// Starts a run from the middle of another, with other settings (cil-engine 17).
public enum RunFork {
    /// Copies what tasks 0 … t − 1 of `source` left into a new folder and opens it there.
    ///
    /// - Parameters:
    ///   - task: the first task that the new run learns itself.
    ///   - configuration: its settings; slots, head and tasks must have the shapes of the source.
    /// - Throws: `io.not_found` when the source has no checkpoint there; `recipe.bad_parameter` for settings under which
    ///   the checkpoint does not fit.
    public static func start(
        from source: String, task: Int, configuration: RunConfiguration, loaded: LoadedSuite, folder: String,
        options: ContinualRun.Options
    ) throws -> ContinualRun {
        let old = RunPaths(folder: source)
        let new = RunPaths(folder: folder)
        guard task >= 1, FileManager.default.fileExists(atPath: old.task(task - 1)) else {
            throw Failure(
                .ioNotFound, "the run has no checkpoint after task \(task - 1)", path: source,
                hint: "--task N takes the first task that the new run learns itself, from 1")
        }
        let parent = try RunPaths.read(old.resolved)
        let origin = JSONValue.object([
            .init("run", parent["run"] ?? .null), .init("task", .integer(task)),
        ])
        let fork = try ContinualRun(
            configuration, loaded: loaded, folder: folder, options: options, origin: origin)
        let oldPlan = (parent["tasks"]?.array ?? []).prefix(task).compactMap { $0["classes"] }
        let newPlan = fork.plan.tasks.prefix(task).map { JSONValue.array($0.map(JSONValue.integer)) }
        guard oldPlan == newPlan else {
            throw Failure(
                .recipeBadParameter, "the tasks before task \(task) are not those of the run that is forked",
                path: source, hint: "keep protocol, tasks and seeds.class_order")
        }
        guard parent["backbone_sha256"]?.string == fork.backboneHash else {
            throw Failure(
                .recipeBadParameter, "the backbone is not that of the run that is forked", path: source,
                place: "backbone", hint: "what tasks 0 … \(task - 1) left fits their own backbone only")
        }
        for earlier in 0..<task {
            try copy(old.task(earlier), new.task(earlier))
            if FileManager.default.fileExists(atPath: old.pre(earlier)) { try copy(old.pre(earlier), new.pre(earlier)) }
        }
        try fork.adopt(old, task: task - 1)
        return fork
    }

    private static func copy(_ source: String, _ target: String) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: source)))
        try AtomicFile.write(bytes, to: target, overwrite: true)
    }
}

extension ContinualRun {
    /// Takes over state and logs of another run after a task.
    func adopt(_ old: RunPaths, task: Int) throws {
        var checkpoint = try LoadedCheckpoint(path: old.task(task))
        try checkpoint.restore(state)
        try relearnStatistics(through: task)
        let lengths = checkpoint.logLengths
        for (name, length) in lengths where logs[name] != nil {
            guard !name.hasPrefix("predictions") || FileManager.default.fileExists(atPath: old.folder + "/" + name)
            else {
                throw Failure(
                    .recipeBadParameter, "the predictions of the shared tasks were left out ('predictions: false')",
                    path: old.folder, place: "predictions", hint: "fork a run that keeps them")
            }
            guard let bytes = FileManager.default.contents(atPath: old.folder + "/" + name), bytes.count >= length
            else {
                continue
            }
            try AtomicFile.write([UInt8](bytes.prefix(length)), to: folder + "/" + name, overwrite: true)
        }
        logs = try RunLogs(folder: folder, heads: configuration.head.kinds, lengths: lengths)
        for (index, kind) in configuration.head.kinds.enumerated() {
            let path = folder + "/" + RunLogs.predictions(kind, isMain: index == 0)
            state.predictions[kind] = try PredictionTable(
                csv: String(contentsOfFile: path, encoding: .utf8), path: path)
        }
        try saveTask(task)
    }

    /// Statistics of further heads after a task, from the checkpoints of it and of all tasks before.
    ///
    /// A run keeps those of its newest task only, and under its own settings of the head; the features that they are made
    /// of follow from what each task left.
    private func relearnStatistics(through last: Int) throws {
        guard !state.statistics.isEmpty else { return }
        var gate: SlotGate?
        var previous: MemoryEvaluator?
        for task in 0...last {
            let left = try loadState(paths.task(task))
            // The gate learns a task after its features are taken.
            let evaluator = try MemoryEvaluator(
                runner: runner, configuration: configuration, memory: left.memory, gate: gate)
            let set = try sampleSet(splits.train(task).samples)
            func features(_ evaluator: MemoryEvaluator) throws -> Matrix<Float> {
                try evaluator.statisticsFeatures(set, of: evaluator.features(set, .combined, .post))
            }
            let before = configuration.head.driftCorrection ? try previous.map(features) : nil
            let own = try features(evaluator)
            for kind in state.statistics.keys {
                try state.statistics[kind]?.learn(task: task, features: own, labels: set.rows, before: before)
            }
            gate = left.gate
            previous = try MemoryEvaluator(
                runner: runner, configuration: configuration, memory: left.memory, gate: gate)
            cacheBudget += set.keptBytes
        }
    }
}
