import Diagnostics
import Digests
import Evaluation
import Foundation
import Networks
import Tensors
import Training
import WeightFiles

/// One class-incremental run from its first task to its report files (cil-engine 8.3, 16).
///
/// ```swift
/// let run = try ContinualRun(configuration, loaded: LoadedSuite(configuration.suite), folder: "runs/a")
/// let outcome = try run.run()
/// ```
/// A run that was interrupted goes on with ``run()`` in the same folder, from its last checkpoint, to the same bytes.
public final class ContinualRun {
    public struct Options {
        public var threads = 1
        public var progress: any Diagnostics.ProgressReporting = SilentProgress()
        /// Asked between steps; true leaves a checkpoint and throws `CancellationError`.
        public var isCancelled: () -> Bool = { false }
        /// Written into config.resolved.json.
        public var program = "lorabank"
        /// Called with remarks for the user.
        public var note: (String) -> Void = { _ in }

        public init() {}
    }

    public let configuration: RunConfiguration
    public let folder: String
    public let runID: String
    public let plan: TaskPlan
    let loaded: LoadedSuite
    let options: Options
    let splits: DataSplits
    let runner: NetworkRunner
    let state: RunState
    let paths: RunPaths
    var logs: RunLogs
    /// Bytes that kept activations may still take.
    var cacheBudget: Int
    var tests: [Int: TestSet] = [:]
    var validations: [Int: ValSet] = [:]
    let backboneHash: String
    /// The checkpoint between two steps that the next task begins with.
    var interrupted: LoadedCheckpoint?
    var trainingSeconds = 0.0
    var trainedSamples = 0
    /// The run has finished, and its configuration keeps no predictions: it can be looked at, but not run again.
    private let predictionsDropped: Bool
    /// Where this run branched off another.
    var origin: JSONValue?

    /// Opens a folder for a new run, or one that was begun.
    ///
    /// - Throws: `output.exists` for a folder that holds another run; what reading backbone and data throws;
    ///   `recipe.bad_parameter` for settings that do not fit them.
    public convenience init(
        _ configuration: RunConfiguration, loaded: LoadedSuite, folder: String, options: Options = Options()
    ) throws {
        // A fork remembers where it came from.
        let resolved = RunPaths(folder: folder).resolved
        let known = FileManager.default.fileExists(atPath: resolved) ? try RunPaths.read(resolved) : .null
        try self.init(configuration, loaded: loaded, folder: folder, options: options, origin: known["forked_from"])
    }

    init(
        _ configuration: RunConfiguration, loaded: LoadedSuite, folder: String, options: Options, origin: JSONValue?
    ) throws {
        var configuration = configuration
        let base = configuration.suite.backbone
        configuration.suite = loaded.suite
        configuration.suite.backbone = base
        self.configuration = configuration
        self.loaded = loaded
        loaded.backbone.usesGradientCheckpointing = configuration.usesGradientCheckpointing
        self.folder = folder
        self.options = options
        self.origin = origin
        plan = try TaskPlan(configuration, loaded: loaded)
        splits = try DataSplits(configuration, loaded: loaded, plan: plan)
        runner = NetworkRunner(
            backbone: loaded.backbone, pooling: configuration.suite.feature,
            normalises: configuration.suite.normalisation == .l2, threads: options.threads)
        state = try RunState(
            configuration, plan: plan, backbone: loaded.backbone.description, tasks: plan.count)
        cacheBudget = configuration.prefixCacheMiB << 20
        paths = RunPaths(folder: folder)
        backboneHash = Self.hash(loaded.backbone)
        let resolved = try configuration.resolved(backbone: loaded.backboneFolder, data: loaded.dataset.path)
        runID = RunPaths.identifier(
            of: resolved, parts: [backboneHash, splits.trainHash, splits.testHash, origin?.text() ?? ""])
        let document = Self.resolvedDocument(
            resolved, run: runID, plan: plan, loaded: loaded, splits: splits, backbone: backboneHash,
            options: options, unused: configuration.unusedKeys, origin: origin)
        let begun = try paths.begin(document: document, run: runID)
        predictionsDropped = begun && configuration.dropsPredictions(of: paths)
        (logs, interrupted) = try Self.resume(
            state, paths: paths, heads: predictionsDropped ? [] : configuration.head.kinds, begun: begun,
            task: plan.count)
        for key in configuration.unusedKeys {
            options.note("the key '\(key)' has no effect with structure \(configuration.structure.rawValue)")
        }
        if splits.duplicates > 0 {
            options.note("\(splits.duplicates) test samples have the same content as training samples")
        }
        if configuration.selection.split == .test {
            options.note("selection.split is test: this run is leaky, its numbers are no result")
        }
    }

    static func hash(_ backbone: Backbone<Float>) -> String {
        var hasher = SHA256Hasher()
        hasher.update(UnsafeRawBufferPointer(backbone.parameters.values))
        return hasher.finish().hex
    }

    private static func resolvedDocument(
        _ resolved: JSONValue, run: String, plan: TaskPlan, loaded: LoadedSuite, splits: DataSplits, backbone: String,
        options: Options, unused: [String], origin: JSONValue?
    ) -> JSONValue {
        let tasks = zip(plan.names, plan.tasks).map { name, classes in
            JSONValue.object([
                .init("name", .string(name)), .init("classes", .array(classes.map(JSONValue.integer))),
                .init("class_names", .array(classes.map { .string(loaded.dataset.classNames[$0]) })),
            ])
        }
        var members: [JSONValue.Member] = [
            .init("schema", .string("lorabank.cil-config/1")), .init("run", .string(run)),
            .init("program", .string(options.program)), .init("configuration", resolved),
            .init("tasks", .array(tasks)), .init("backbone_sha256", .string(backbone)),
            .init("train_sha256", .string(splits.trainHash)), .init("test_sha256", .string(splits.testHash)),
            .init("duplicates_across_splits", .integer(splits.duplicates)),
            .init("small_classes", .array(splits.smallClasses.map(JSONValue.integer))),
            .init("unused_keys", .array(unused.map(JSONValue.string))),
        ]
        if let origin { members.append(.init("forked_from", origin)) }
        return .object(members)
    }

    /// Puts the state back to the last checkpoint, cuts the logs there, and finds a checkpoint inside the next task.
    private static func resume(
        _ state: RunState, paths: RunPaths, heads: [HeadKind], begun: Bool, task count: Int
    ) throws -> (RunLogs, LoadedCheckpoint?) {
        var lengths: [String: Int]? = nil
        var inner: LoadedCheckpoint?
        if begun, let last = paths.lastTask(of: count) {
            var checkpoint = try LoadedCheckpoint(path: paths.task(last))
            try checkpoint.restore(state)
            lengths = checkpoint.logLengths
            if !state.statistics.isEmpty {
                try StatisticsFile.restore(&state.statistics, from: paths.statistics(last))
            }
        }
        if begun, FileManager.default.fileExists(atPath: paths.step) {
            // Written while the task after the last finished one was trained; an older one is of no use.
            var checkpoint = try LoadedCheckpoint(path: paths.step)
            if checkpoint.finished == state.finished, checkpoint.training != nil {
                try checkpoint.restore(state)
                lengths = checkpoint.logLengths
                inner = checkpoint
            }
        }
        let logs = try RunLogs(folder: paths.folder, heads: heads, lengths: lengths)
        for (index, kind) in heads.enumerated() where lengths != nil {
            let path = paths.folder + "/" + RunLogs.predictions(kind, isMain: index == 0)
            state.predictions[kind] = try PredictionTable(
                csv: String(contentsOfFile: path, encoding: .utf8), path: path)
        }
        return (logs, inner)
    }

    // MARK: The run

    /// Learns the tasks that are left and writes all results.
    ///
    /// - Throws: `cil.invariant` in strict mode; `numeric.no_convergence` for a loss that is not finite;
    ///   `CancellationError` after an interruption, with a checkpoint in place; `io.*`.
    public func run() throws -> RunOutcome {
        if predictionsDropped {
            throw Failure(
                .recipeBadParameter, "the run has finished, and its predictions were left out ('predictions: false')",
                path: folder, place: "predictions", hint: "its results stand in metrics.json; nothing is left to do")
        }
        let clock = RunClock(path: folder + "/timings.jsonl")
        let perEpoch = plan.tasks.indices.map { splits.train($0).samples.count }
        options.progress.begin(
            "learning \(plan.count) tasks",
            total: Int64(perEpoch[state.finished...].reduce(0, +) * configuration.epochs),
            unit: "samples")
        while state.finished < plan.count {
            try learn(state.finished, clock)
        }
        options.progress.end()
        return try finish()
    }

    /// Samples of a task for the network, their frozen layers computed once.
    func sampleSet(_ samples: LabelledSamples) throws -> SampleSet {
        try SampleSet(
            try loaded.encode(samples), plan: plan, backbone: loaded.backbone, layer: state.memory.firstLayer,
            budget: &cacheBudget, threads: options.threads)
    }

    /// Test samples of a task, read once.
    func test(_ task: Int) throws -> TestSet {
        if let known = tests[task] { return known }
        let set = TestSet(set: try sampleSet(splits.test(task, for: "report")))
        tests[task] = set
        return set
    }

    func validation(_ task: Int) throws -> ValSet {
        if let known = validations[task] { return known }
        let set = ValSet(set: try sampleSet(splits.validation(task).samples))
        validations[task] = set
        return set
    }

    func evaluator() throws -> MemoryEvaluator {
        try MemoryEvaluator(runner: runner, configuration: configuration, state: state)
    }

    // MARK: Checkpoints

    var header: [JSONValue.Member] {
        [
            .init("run", .string(runID)), .init("backbone_sha256", .string(backboneHash)),
            .init("class_order", .array(plan.order.map(JSONValue.integer))),
            .init(
                "logs", .object(logs.lengths.sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) })),
        ]
    }

    func saveStep(_ trainer: TaskTrainer) throws {
        try logs.synchronise()
        try Checkpoint.write(.step, state, training: trainer, header: header, to: paths.step)
    }

    func saveTask(_ task: Int) throws {
        try logs.synchronise()
        if !state.statistics.isEmpty { try StatisticsFile.write(state.statistics, to: paths.statistics(task)) }
        try Checkpoint.write(.task, state, header: header, to: paths.task(task))
        try? FileManager.default.removeItem(atPath: paths.step)
        if task > 0 { try? FileManager.default.removeItem(atPath: paths.statistics(task - 1)) }
    }
}

extension LoadedCheckpoint {
    var logLengths: [String: Int] {
        Dictionary(uniqueKeysWithValues: (header["logs"]?.members ?? []).map { ($0.key, $0.value.integer ?? 0) })
    }
}

/// Wall time of the pieces of a run, in a file of its own: everything else is the same in every repetition.
final class RunClock {
    private let path: String
    private var began = Date()

    init(path: String) { self.path = path }

    func lap(_ what: String, task: Int) {
        let seconds = Date().timeIntervalSince(began)
        began = Date()
        let line = JSONValue.object([
            .init("task", .integer(task)), .init("what", .string(what)), .init("seconds", .double(seconds)),
        ]).text()
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        guard let handle = FileHandle(forWritingAtPath: path) else { return }
        handle.seekToEndOfFile()
        handle.write(Data((line + "\n").utf8))
        try? handle.close()
    }
}
