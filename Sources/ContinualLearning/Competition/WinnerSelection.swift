import Networks
import Tensors
import WeightFiles

/// How one expert did on the data that decide (cil-engine 12).
struct ExpertScore: Sendable, Equatable {
    var expert: Int
    /// Accuracy, less the stability term; nil without samples.
    var score: Double?
    var loss: Double
    var norm: Double
    var count: Int

    /// √(p(1−p)/n)
    var standardError: Double? {
        score.flatMap { p in
            count > 0 ? (max(0, min(1, p)) * (1 - max(0, min(1, p))) / Double(count)).squareRoot() : nil
        }
    }
}

enum WinnerSelection {
    /// Name of a reading of test data for `selection.split: test`.
    static let leakyReading = "selection (leaky)"

    /// The best score; ties go to the lower loss, then to the smaller norm, then to the lower index.
    static func winner(_ scores: [ExpertScore]) -> Int {
        scores.min {
            (-($0.score ?? 0), $0.loss, $0.norm, $0.expert) < (-($1.score ?? 0), $1.loss, $1.norm, $1.expert)
        }?.expert ?? 0
    }

    /// By how much the winner leads.
    static func margin(_ scores: [ExpertScore]) -> Double? {
        let sorted = scores.compactMap(\.score).sorted(by: >)
        return sorted.count > 1 ? sorted[0] - sorted[1] : nil
    }
}

extension ContinualRun {
    /// Accuracy and loss of slow + fast[lane] with its head rows.
    ///
    /// - Parameters:
    ///   - rows: the lane's own rows; nil: the shared head as it is.
    ///   - scope: which classes compete.
    func laneScore(
        _ evaluator: MemoryEvaluator, _ set: SampleSet, _ context: TaskContext, lane: Int, rows: HeadRows?,
        scope: RunConfiguration.Selection.Scope
    ) throws -> (Double, Double)? {
        guard set.count > 0 else { return nil }
        let features = try runner.features(
            of: set,
            mix: AdapterMix(
                evaluator.memory.names.compactMap { evaluator.memory[$0] }, on: evaluator.memory.backbone),
            coefficients: evaluator.memory.trainingCoefficients(context.roles, lane: lane))
        let logits: Matrix<Float>
        if let rows {
            // The lane's rows stand in for those of the shared head while it is judged.
            let head = SharedHead(
                classes: plan.order, width: runner.width, options: configuration.head, seed: configuration.seed)
            head.rows.assign(from: state.head.rows)
            head.rows.assign(from: rows)
            logits = head.logits(features, seen: context.seen)
        } else {
            logits = state.head.logits(features, seen: context.seen)
        }
        return Scores.accuracy(
            logits, labels: set.rows, within: scope == .task ? context.rows : 0..<context.seen)
    }

    /// Picks the expert of a task on validation data and makes its rows those of the shared head.
    func chooseWinner(_ context: inout TaskContext, _ trainer: TaskTrainer) throws {
        let evaluator = try evaluator()
        let selection = configuration.selection
        var judge = context.validation.set
        if selection.split == .test {
            judge = try sampleSet(splits.test(context.task, for: WinnerSelection.leakyReading))
        }
        if judge.count == 0 { judge = context.train.set }
        let bare = selection.gamma > 0 ? try evaluator.features(context.train.set, .slowOnly, .pre) : nil
        var scores: [ExpertScore] = []
        for (place, lane) in context.roles.lanes.enumerated() {
            let rows = trainer.laneRows.count > 1 ? trainer.laneRows[place] : nil
            let result = try laneScore(evaluator, judge, context, lane: lane, rows: rows, scope: selection.scope)
            var score = result?.0
            if let bare {
                let moved = try evaluator.features(context.train.set, .combined, .pre, active: lane)
                score = score.map { $0 - selection.gamma * (1 - FeatureDrift.cosine(bare, moved)) }
            }
            scores.append(
                ExpertScore(
                    expert: lane, score: score, loss: result?.1 ?? 0, norm: try state.memory.norm(of: .fast(lane)),
                    count: judge.count))
        }
        let winner = WinnerSelection.winner(scores)
        context.active = winner
        state.memory.lastTrained = winner
        if trainer.laneRows.count > 1, let place = context.roles.lanes.firstIndex(of: winner) {
            state.head.rows.assign(from: trainer.laneRows[place])
        }
        try record(scores, winner, context, trainer)
    }

    private func record(
        _ scores: [ExpertScore], _ winner: Int, _ context: TaskContext, _ trainer: TaskTrainer
    ) throws {
        let margin = WinnerSelection.margin(scores)
        for score in scores {
            let columns: [String] = [
                "\(context.task)", "\(score.expert)", score.expert == winner ? "1" : "0",
                "\(trainer.laneMultipliers[score.expert])", score.score.map { "\($0)" } ?? "", "\(score.loss)",
                "\(score.norm)", "\(score.count)", score.standardError.map { "\($0)" } ?? "",
                margin.map { "\($0)" } ?? "",
            ]
            try logs.add("experts.csv", columns.joined(separator: ","))
        }
        try logs.event(
            "select", task: context.task,
            [
                .init("winner", .integer(winner)), .init("scores", .array(scores.map { .measured($0.score) })),
                .init("split", .string(configuration.selection.split.rawValue)),
                .init("leaky", .bool(configuration.selection.split == .test)), .init("margin", .measured(margin)),
            ])
    }
}
