import Diagnostics
import Foundation
import Tensors
import WeightFiles

extension EngineRun {
    /// Tables and numbers over all tasks so far.
    func writeSummaries() throws {
        guard let matrix = matrices[configuration.head.kind] else { return }
        try folder.write(matrixText(matrix), "accuracy_matrix.csv")
        try folder.write(curveText(matrix), "curve.csv")
        try folder.write(forgettingText(matrix), "forgetting.csv")
        let metrics = finalMetrics()
        try folder.write(confusionText(metrics), "task_confusion.csv")
        try folder.write(classConfusionText(), "confusion.csv")
        try folder.write(metricsDocument(matrix, metrics), "metrics.json")
    }

    private func number(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }

    private func matrixText(_ matrix: AccuracyMatrix) -> String {
        let count = sequence.count
        var lines = ["after_task," + (0..<count).map { "task_\($0)" }.joined(separator: ",")]
        for i in 0..<matrix.taskCount {
            lines.append("\(i)," + (0..<count).map { number(matrix[after: i, on: $0]) }.joined(separator: ","))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func curveText(_ matrix: AccuracyMatrix) -> String {
        var lines = ["after_task,acc_seen,acc_task_mean"]
        for i in 0..<matrix.taskCount {
            lines.append("\(i),\(number(matrix.accuracySeen(after: i))),\(number(matrix.accuracyTaskMean(after: i)))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func forgettingText(_ matrix: AccuracyMatrix) -> String {
        var lines = ["after_task,forgetting"]
        for i in 0..<matrix.taskCount { lines.append("\(i),\(number(matrix.forgetting(after: i)))") }
        return lines.joined(separator: "\n") + "\n"
    }

    private func confusionText(_ metrics: PredictionMetrics) -> String {
        var lines = ["true_task,predicted_task,count"]
        for (i, row) in metrics.taskConfusion.enumerated() {
            for (j, count) in row.enumerated() { lines.append("\(i),\(j),\(count)") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func classConfusionText() -> String {
        var counts: [Int: [Int: Int]] = [:]
        for item in lastOutcomes { counts[item.trueClass, default: [:]][item.predictedClass, default: 0] += 1 }
        var lines = ["true,predicted,count"]
        for (label, row) in counts.sorted(by: { $0.key < $1.key }) {
            for (predicted, count) in row.sorted(by: { $0.key < $1.key }) {
                lines.append("\(label),\(predicted),\(count)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func metricsDocument(_ matrix: AccuracyMatrix, _ metrics: PredictionMetrics) -> JSONValue {
        func value(_ x: Double?) -> JSONValue { x.map(JSONValue.double) ?? .null }
        let heads = panel.kinds.compactMap { kind in
            matrices[kind].map { matrix in
                JSONValue.Member(
                    kind.rawValue,
                    .object([
                        .init("last", value(matrix.last)), .init("avg_incremental", value(matrix.averageIncremental)),
                        .init("forgetting", value(matrix.forgetting)), .init("bwt", value(matrix.bwt)),
                    ]))
            }
        }
        return .object([
            .init("schema", .string("lorabank.cil-metrics/1")),
            .init("structure", .string(configuration.structure.rawValue)),
            .init("rule", .string(configuration.consolidation.rule?.id ?? "ta")),
            .init("head", .string(configuration.head.kind.rawValue)), .init("seed", .number(String(seed))),
            .init("tasks", .integer(matrix.taskCount)), .init("last", value(matrix.last)),
            .init("avg_incremental", value(matrix.averageIncremental)),
            .init("last_task_mean", value(matrix.lastTaskMean)),
            .init("avg_incremental_task_mean", value(matrix.averageIncrementalTaskMean)),
            .init("forgetting", value(matrix.forgetting)), .init("forgetting_clipped", value(matrix.forgettingClipped)),
            .init("forgetting_first", value(matrix.forgettingFirst)), .init("bwt", value(matrix.bwt)),
            .init("recency_rate", value(metrics.recencyRate)), .init("recency_bias", value(metrics.recencyBias)),
            .init("task_id_acc", value(metrics.taskIDAccuracy)),
            .init("within_task_acc", value(metrics.withinTaskAccuracy)),
            .init("class_balanced_acc", value(metrics.classBalancedAccuracy)),
            .init("old_acc", value(metrics.oldAccuracy)), .init("new_acc", value(metrics.newAccuracy)),
            .init("harmonic_mean", value(metrics.harmonicMean)),
            .init("leaky", .bool(configuration.selection.usesTest)),
            .init(
                "head_norms",
                .array(
                    (0..<matrix.taskCount).map { .double(state.head.meanNorm(rowsOfTask[$0])) })),
            .init("heads", .object(heads)),
            .init(
                "invariants",
                .object([.init("passed", .integer(passedInvariants)), .init("failed", .integer(failedInvariants))])),
        ])
    }

    /// The configuration with every default filled in.
    func resolved() -> JSONValue {
        let c = configuration
        func text(_ value: String) -> JSONValue { .string(value) }
        let rule = c.consolidation.rule
        let settings = ((try? rule?.resolved()) ?? []).map { JSONValue.Member($0.name, .string("\($0.value)")) }
        return .object([
            .init("schema", text("lorabank.cil-configuration/1")), .init("name", text(c.name)),
            .init("data", text(c.data)), .init("data_hash", text(dataHash())),
            .init("backbone", text(c.backbone)), .init("backbone_hash", text(String(backboneHash, radix: 16))),
            .init("feature", text(reading.pooling.rawValue)), .init("protocol", c.protocolName.map(text) ?? .null),
            .init("structure", text(c.structure.rawValue)), .init("rank", .integer(c.rank)),
            .init("lora_alpha", .double(c.loraAlpha)), .init("sites", .array(layout.sites.map { text("\($0)") })),
            .init("factor_mode", text(c.factorMode.rawValue)),
            .init(
                "slow",
                .object([
                    .init("storage", text(c.slow.storage.rawValue)),
                    .init("rank", EngineState.slowRank(c).map(JSONValue.integer) ?? .null),
                    .init("lr_multiplier", .double(c.slow.multiplier)),
                ])),
            .init(
                "consolidation",
                .object(
                    [.init("rule", text(rule?.id ?? "ta")), .init("keep", .double(c.consolidation.keep))] + settings)),
            .init("epochs", .integer(c.epochs)), .init("batch", .integer(c.batch)),
            .init("learning_rate", .double(c.optimizer.learningRate)),
            .init("optimizer", text(c.optimizer.kind.rawValue)),
            .init("schedule", text(c.optimizer.schedule.rawValue)),
            .init("head_multiplier", .double(c.optimizer.headMultiplier)),
            .init("weight_decay", .double(c.optimizer.weightDecay)),
            .init("warmup_steps", .integer(c.optimizer.warmupSteps)),
            .init("heads", .array(panel.kinds.map { text($0.rawValue) })), .init("loss", text(c.head.loss.rawValue)),
            .init("refit_epochs", .integer(c.head.refitEpochs)),
            .init("val_fraction", .double(c.validationFraction)),
            .init("train_per_class", c.trainPerClass.map(JSONValue.integer) ?? .null),
            .init("class_order", .array(sequence.order.map(JSONValue.integer))),
            .init("class_order_seed", c.classOrderSeed.map { .number(String($0)) } ?? .null),
            .init("seed", .number(String(seed))),
            .init("small_classes", .array(sequence.smallClasses.map(JSONValue.integer))),
        ])
    }

    private func dataHash() -> String {
        sequence.tasks.map { $0.train.samples.contentHash.hex }.joined().prefix(64).description
    }
}
