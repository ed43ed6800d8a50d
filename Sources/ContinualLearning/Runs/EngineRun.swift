import Diagnostics
import Evaluation
import Foundation
import Networks
import Tensors
import Training
import WeightFiles

/// One seed of a class-incremental run, task after task.
///
/// ```swift
/// let run = try EngineRun(configuration, seed: 0, folder: "runs/digits", resources: FoldersOnly())
/// let outcome = try run.run()
/// ```
/// Test data are read for the report only; everything that is chosen is chosen on validation data of the current task.
public final class EngineRun {
    public let configuration: RunConfiguration
    public let seed: UInt64
    public let sequence: TaskSequence
    public let state: EngineState
    let folder: RunFolder
    let layout: SlotLayout
    let backbone: Backbone<Float>
    let random: KeyedRandom
    let trainer: TaskTrainer
    let reading: FeatureReading
    let threads: Int
    var panel: HeadPanel
    let progress: any Diagnostics.ProgressReporting
    let isCancelled: () -> Bool
    /// Row ranges of the tasks in the head.
    let rowsOfTask: [Range<Int>]
    let rowOfClass: [Int: Int]
    var matrices: [RunConfiguration.HeadKind: AccuracyMatrix] = [:]
    var lastOutcomes: [PredictionMetrics.Outcome] = []
    var failedInvariants = 0
    var passedInvariants = 0
    var trainingSeconds = 0.0
    var trainedSamples = 0
    let backboneHash: UInt64

    /// - Parameters:
    ///   - folder: the run directory; made when missing.
    ///   - threads: workers; results do not depend on it.
    public init(
        _ configuration: RunConfiguration, seed: UInt64, folder path: String, resources: any SuiteResources,
        threads: Int = 2, progress: any Diagnostics.ProgressReporting = SilentProgress(),
        isCancelled: @escaping () -> Bool = { false }
    ) throws {
        self.configuration = configuration
        self.seed = seed
        self.threads = threads
        self.progress = progress
        self.isCancelled = isCancelled
        folder = RunFolder(path: path)
        random = KeyedRandom(seed: seed)
        sequence = try TaskSequence(configuration, resources: resources, isJoint: configuration.structure == .joint)
        backbone = sequence.loaded.backbone
        let description = backbone.description
        layout = try SlotLayout(configuration, on: description)
        let pooling =
            configuration.feature ?? (description.poolings.contains(.cls) && description.family == "vit" ? .cls : .mean)
        reading = FeatureReading(backbone: backbone, pooling: pooling, threads: threads)
        let head = SharedHead(
            width: description.width * (configuration.head.concatenated ? 2 : 1), order: sequence.order, random: random)
        state = try EngineState(
            layout: layout, configuration: configuration, head: head, random: random, tasks: sequence.count)
        trainer = TaskTrainer(
            backbone: backbone, pooling: pooling, configuration: configuration, layout: layout, random: random,
            threads: threads)
        trainer.isCancelled = isCancelled
        panel = HeadPanel(configuration, width: head.width, classes: sequence.order.count, random: random)
        var ranges: [Range<Int>] = []
        for task in sequence.tasks {
            let start = ranges.last?.upperBound ?? 0
            ranges.append(start..<start + task.classes.count)
        }
        rowsOfTask = ranges
        rowOfClass = Dictionary(uniqueKeysWithValues: sequence.order.enumerated().map { ($1, $0) })
        backboneHash = Self.hash(backbone)
        let counts = (0..<sequence.count).map(sequence.testCount)
        for kind in panel.kinds { matrices[kind] = AccuracyMatrix(testCounts: counts) }
        if configuration.head.concatenated, configuration.head.kind == .linear {
            throw Failure(
                .recipeBadParameter, "concatenated features need a statistics head", place: "head.features",
                hint: "head: { kind: ncm, features: concat }")
        }
    }

    // MARK: The run

    /// Runs what is not finished yet; a folder with complete checkpoints is continued behind them.
    ///
    /// - Throws: `CancellationError` after an interruption: the checkpoints are whole, `cil resume` goes on.
    public func run() throws -> RunOutcome {
        let clock = ContinuousClock()
        let began = clock.now
        try folder.create()
        try folder.write(resolved(), "config.resolved.json")
        let finished = min(folder.finishedTasks, sequence.count)
        try restore(finished)
        let total = sequence.tasks.reduce(0) { $0 + $1.trainInput.count } * max(1, configuration.epochs)
        progress.begin("cil \(configuration.name)", total: Int64(total), unit: "samples")
        defer { progress.end() }
        for task in finished..<sequence.count {
            try runTask(task)
            try folder.assemble(tasks: task + 1)
            try writeSummaries()
        }
        try folder.assemble(tasks: sequence.count)
        try writeSummaries()
        let elapsed = (clock.now - began).components
        return outcome(seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
    }

    /// Takes over the last checkpoint, and brings heads and metrics up to it by reading the tables again and repeating
    /// the statistics from the stored states.
    private func restore(_ finished: Int) throws {
        guard finished > 0 else { return }
        let checkpoint = Checkpoint(layout: layout, configuration: configuration)
        for task in 0..<finished {
            let source = folder.checkpointFolder(task)
            guard task == finished - 1 || panel.needsStatistics else { continue }
            try checkpoint.load(from: source, into: state)
            try addStatistics(task, features: nil)
        }
        for task in 0..<finished { try restoreMetrics(task) }
    }

    /// The numbers of an earlier task from its part of the tables.
    private func restoreMetrics(_ task: Int) throws {
        let path = folder.checkpointFolder(task) + "/" + Checkpoint.stateName
        let document = try MappedFile(path: path).withBytes { try StrictJSON.parse($0, .configuration, path: path) }
        for kind in panel.kinds {
            let row = document["accuracy"]?[kind.rawValue]?.array?.compactMap(\.double) ?? []
            matrices[kind]?.append(row)
        }
        passedInvariants += document["invariants_passed"]?.integer ?? 0
        failedInvariants += document["invariants_failed"]?.integer ?? 0
        trainingSeconds += document["training_seconds"]?.double ?? 0
        trainedSamples += document["trained_samples"]?.integer ?? 0
        lastOutcomes = (document["outcomes"]?.array ?? []).compactMap { item in
            guard let list = item.array?.compactMap(\.integer), list.count == 4 else { return nil }
            return PredictionMetrics.Outcome(
                trueTask: list[0], trueClass: list[1], predictedClass: list[2], predictedWithinTask: list[3])
        }
    }

    /// FNV-1a over the weights' bits.
    static func hash(_ backbone: Backbone<Float>) -> UInt64 { hash(backbone.parameters.values) }

    static func hash(_ values: some Sequence<Float>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for value in values { hash = (hash ^ UInt64(value.bitPattern)) &* 0x100_0000_01b3 }
        return hash
    }

    // MARK: Results

    private func outcome(seconds: Double) -> RunOutcome {
        RunOutcome(
            seed: seed, folder: folder.path,
            matrix: matrices[configuration.head.kind] ?? AccuracyMatrix(testCounts: []),
            heads: panel.kinds.compactMap { kind in matrices[kind].map { (kind, $0) } }, final: finalMetrics(),
            invariantsPassed: passedInvariants, invariantsFailed: failedInvariants,
            isLeaky: configuration.selection.usesTest, trainingSeconds: trainingSeconds, trainedSamples: trainedSamples,
            seconds: seconds, testReadings: sequence.testReadings)
    }

    func finalMetrics() -> PredictionMetrics {
        PredictionMetrics(
            outcomes: lastOutcomes, taskOfClass: sequence.taskOfClass,
            taskCount: matrices[configuration.head.kind]?.taskCount ?? 0)
    }
}
