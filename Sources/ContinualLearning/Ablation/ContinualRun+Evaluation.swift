import Diagnostics
import Networks
import Tensors
import WeightFiles

extension ContinualRun {
    /// Accuracies on all tasks seen: on test samples for the report, with every head, and on validation samples.
    func evaluate(_ context: TaskContext) throws {
        let evaluator = try evaluator()
        var heads: [(HeadKind, any ClassHead)] = []
        for kind in configuration.head.kinds {
            if let head = try state.statistics[kind]?.head() { heads.append((kind, head)) }
        }
        for task in 0...context.task {
            let test = try test(task).set
            let features = try evaluator.features(test, .combined, .post)
            let own = heads.isEmpty ? features : try evaluator.statisticsFeatures(test, of: features)
            for (index, kind) in configuration.head.kinds.enumerated() {
                let logits: Matrix<Float>
                if kind == .linear {
                    logits = state.head.logits(features, seen: context.seen)
                } else if let head = heads.first(where: { $0.0 == kind })?.1 {
                    logits = head.logits(own)
                } else {
                    continue
                }
                try keep(logits, of: test, kind: kind, isMain: index == 0, task: task, context)
            }
        }
        try evaluateValidation(context, evaluator, heads)
    }

    private func keep(
        _ logits: Matrix<Float>, of set: SampleSet, kind: HeadKind, isMain: Bool, task: Int, _ context: TaskContext
    ) throws {
        let part = predictions(logits, of: set, task: task, after: context.task)
        state.predictions[kind]?.rows += part.rows
        let lines = part.csv.split(separator: "\n").dropFirst().joined(separator: "\n")
        if !lines.isEmpty { try logs.add(RunLogs.predictions(kind, isMain: isMain), lines) }
    }

    /// The predictions on samples of one task after another task, among the classes seen by then.
    func predictions(_ logits: Matrix<Float>, of set: SampleSet, task: Int, after: Int) -> PredictionTable {
        var part = PredictionTable()
        for row in 0..<set.count {
            let outcome = Scores.outcome(logits, row: row, seen: plan.seen(after: after), task: plan.rows(of: task))
            part.rows.append(
                PredictionRow(
                    afterTask: after, task: task, sample: set.encoded.sourceIndices[row],
                    trueClass: plan.order[set.rows[row]], predicted: plan.order[outcome.predicted],
                    predictedWithin: plan.order[outcome.within], topLogit: Double(outcome.top)))
        }
        return part
    }

    private func evaluateValidation(
        _ context: TaskContext, _ evaluator: MemoryEvaluator, _ heads: [(HeadKind, any ClassHead)]
    ) throws {
        var row: [Double] = []
        let main = configuration.head.kinds.first ?? .linear
        for task in 0...context.task {
            let set = try validation(task).set
            guard set.count > 0 else { return }
            let features = try evaluator.features(set, .combined, .post)
            var logits = state.head.logits(features, seen: context.seen)
            if let head = heads.first(where: { $0.0 == main })?.1 {
                logits = head.logits(try evaluator.statisticsFeatures(set, of: features))
            }
            row.append(Scores.accuracy(logits, labels: set.rows, within: 0..<context.seen)?.0 ?? 0)
        }
        state.validationRows.append(row)
        try logs.event("eval", task: context.task, [.init("val_accuracy", .array(row.map(JSONValue.double)))])
    }

    // MARK: Ablations

    /// Accuracies of every view of one and the same state, with one head (14).
    func ablate(_ context: TaskContext, _ moment: Moment) throws {
        guard configuration.ablations.split != .none else { return }
        let evaluator = try evaluator()
        for view in MemoryView.all(for: configuration.structure) {
            try ablate(context, moment, view, "val", evaluator) { try self.validation($0).set }
            if configuration.ablations.split == .both {
                try ablate(context, moment, view, "test", evaluator) { try self.test($0).set }
            }
        }
    }

    private func ablate(
        _ context: TaskContext, _ moment: Moment, _ view: MemoryView, _ split: String, _ evaluator: MemoryEvaluator,
        set: (Int) throws -> SampleSet
    ) throws {
        var total = (right: 0, count: 0)
        for task in 0...context.task {
            let samples = try set(task)
            guard samples.count > 0 else { continue }
            let features = try evaluator.features(samples, view, moment, active: context.active)
            let logits = state.head.logits(features, seen: context.seen)
            let right = (0..<samples.count).count {
                let outcome = Scores.outcome(
                    logits, row: $0, seen: context.seen, task: plan.rows(of: task))
                return outcome.predicted == samples.rows[$0]
            }
            try line(context, moment, view, split, on: "\(task)", right, samples.count)
            total.right += right
            total.count += samples.count
        }
        if total.count > 0 { try line(context, moment, view, split, on: "all", total.right, total.count) }
    }

    private func line(
        _ context: TaskContext, _ moment: Moment, _ view: MemoryView, _ split: String, on task: String, _ right: Int,
        _ count: Int
    ) throws {
        let columns = [
            "\(context.task)", moment.rawValue, view.rawValue, split, "linear", task,
            "\(Double(right) / Double(count))", "\(right)", "\(count)",
        ]
        try logs.add("ablations.csv", columns.joined(separator: ","))
    }
}
