import Foundation
import Tensors
import WeightFiles

/// What a finished run came to.
public struct RunOutcome: Sendable {
    public var runID: String
    public var folder: String
    public var structure: String
    public var rule: String
    public var seed: UInt64
    /// By head; the first is the run's own.
    public var metrics: [(head: String, metrics: RunMetrics)]
    public var invariantsPassed: Int
    public var invariantsFailed: Int
    public var isLeaky: Bool
    public var warnings: [String]
    /// Wall time of training in this process, and samples times epochs trained in it.
    public var trainingSeconds = 0.0
    public var trainedSamples = 0
    public var seconds = 0.0

    public var main: RunMetrics? { metrics.first?.metrics }
    /// Of the run's own head.
    public var matrix: AccuracyMatrix { main?.matrix ?? AccuracyMatrix(testCounts: []) }
}

extension ContinualRun {
    /// Metrics of every head from its predictions.
    func metrics() -> [(head: String, metrics: RunMetrics)] {
        configuration.head.kinds.map { kind in
            var metrics = RunMetrics(state.predictions[kind] ?? PredictionTable())
            metrics.fwt = RunMetrics.forwardTransfer(
                before: state.transferBefore, untouched: state.transferUntouched)
            if kind == .linear {
                metrics.headNorms = (0..<metrics.matrix.taskCount).map { state.head.meanNorm(plan.rows(of: $0)) }
            }
            return (kind.rawValue, metrics)
        }
    }

    var rule: String {
        switch configuration.structure {
        case .pam: "pam"
        case let structure where structure.consolidates: configuration.consolidation.rule.id
        default: "none"
        }
    }

    /// The files that follow from the state: written anew after every task.
    func writeResults() throws {
        let metrics = metrics()
        guard let main = metrics.first?.metrics else { return }
        try paths.write(main.matrix.csv, to: folder + "/accuracy_matrix.csv")
        try paths.write(main.matrix.curveCSV, to: folder + "/curve.csv")
        try paths.write(main.matrix.forgettingCSV, to: folder + "/forgetting.csv")
        try paths.write(
            Self.table(main.confusion, names: main.classes.map { "class_\($0)" }), to: folder + "/confusion.csv")
        let tasks = main.steps.last?.taskConfusion ?? []
        try paths.write(
            Self.table(tasks, names: tasks.indices.map { "task_\($0)" }), to: folder + "/task_confusion.csv")
        for (head, metrics) in metrics.dropFirst() {
            try paths.write(metrics.matrix.csv, to: folder + "/accuracy_matrix.\(head).csv")
        }
        try paths.write(document(metrics), to: paths.metrics)
    }

    private static func table(_ counts: [[Int]], names: [String]) -> String {
        var text = "true," + names.joined(separator: ",") + "\n"
        for (name, row) in zip(names, counts) {
            text += name + "," + row.map(String.init).joined(separator: ",") + "\n"
        }
        return text
    }

    private func document(_ metrics: [(head: String, metrics: RunMetrics)]) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("schema", .string("lorabank.cil-metrics/1")), .init("run", .string(runID)),
            .init("structure", .string(configuration.structure.rawValue)), .init("rule", .string(rule)),
            .init("seed", .number(String(configuration.seed))),
            .init("finished", .bool(state.finished == plan.count)), .init("head", .string(metrics.first?.head ?? "")),
            .init("leaky", .bool(configuration.selection.split == .test)),
        ]
        members += metrics.first?.metrics.members ?? []
        let validation = AccuracyMatrix(
            rows: state.validationRows, testCounts: plan.tasks.indices.map { splits.validation($0).samples.count })
        members += [
            .init("val_accuracy_matrix", validation.document), .init("val_last", .measured(validation.last)),
            .init("val_avg_incremental", .measured(validation.averageIncremental)),
            .init("drift_mean_cosine", .array(state.drifts.map(JSONValue.double))),
            .init(
                "invariants",
                .object([
                    .init("passed", .integer(state.invariantsPassed)),
                    .init("failed", .integer(state.invariantsFailed)),
                ])),
            .init(
                "test_readings",
                .object(splits.testReadings().sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) })),
            .init(
                "heads", .object(metrics.map { .init($0.head, .object($0.metrics.members)) })),
        ]
        return .object(members)
    }

    /// The last consolidation of `chain3`, the result files, and the outcome.
    func finish() throws -> RunOutcome {
        try finalFlush()
        try writeResults()
        try? FileManager.default.removeItem(atPath: paths.step)
        if !configuration.writesPredictions {
            // Needed until here, to go on after an interruption.
            for (index, kind) in configuration.head.kinds.enumerated() {
                try? FileManager.default.removeItem(
                    atPath: folder + "/" + RunLogs.predictions(kind, isMain: index == 0))
            }
        }
        return RunOutcome(
            runID: runID, folder: folder, structure: configuration.structure.rawValue, rule: rule,
            seed: configuration.seed, metrics: metrics(), invariantsPassed: state.invariantsPassed,
            invariantsFailed: state.invariantsFailed, isLeaky: configuration.selection.split == .test,
            warnings: configuration.unusedKeys, trainingSeconds: trainingSeconds, trainedSamples: trainedSamples)
    }

    /// mid → slow at the end of the run, where it was not due anyway; accuracies before and after stand in
    /// `final_flush.json`.
    private func finalFlush() throws {
        let t = configuration.timeScales
        guard configuration.structure == .chain3, t.finalFlush, plan.count % t.slowTasks != 0,
            !FileManager.default.fileExists(atPath: folder + "/final_flush.json")
        else { return }
        let last = plan.count - 1
        let context = TaskContext(
            task: last, roles: TaskRoles(configuration, task: last, slots: 1, hasSlow: true),
            train: TrainSet(set: try sampleSet(splits.train(last).samples)), validation: try validation(last),
            rows: plan.rows(of: last), seen: plan.seen(after: last), active: 0)
        func accuracy() throws -> Double {
            var (right, count) = (0, 0)
            for task in plan.tasks.indices {
                let set = try test(task).set
                let logits = state.head.logits(
                    try evaluator().features(set, .combined, .post), seen: plan.order.count)
                right += (0..<set.count).count {
                    Scores.outcome(logits, row: $0, seen: plan.order.count, task: plan.rows(of: task)).predicted
                        == set.rows[$0]
                }
                count += set.count
            }
            return count > 0 ? Double(right) / Double(count) : 0
        }
        let before = try accuracy()
        var summary = ConsolidationSummary()
        try flush(context, &summary)
        let after = try accuracy()
        try logs.synchronise()
        try Checkpoint.write(.task, state, header: header, to: folder + "/checkpoints/final.safetensors")
        try paths.write(
            .object([.init("last_before", .double(before)), .init("last_after", .double(after))]),
            to: folder + "/final_flush.json")
    }
}
