import Diagnostics
import Evaluation
import Networks
import Training

/// Trains experts with hard routing, then routers over them (LoRA-Mixer reference, section 5.2).
///
/// The factors of the evaluation's experts change in place; ``RoutedExperts/retrained()`` makes adapters of them.
public struct JointTraining {
    private let evaluation: RoutedEvaluation
    private let setup: RouterSetup
    private let tasks: ExpertTasks

    public init(_ evaluation: RoutedEvaluation, setup: RouterSetup, tasks: ExpertTasks) {
        self.evaluation = evaluation
        self.setup = setup
        self.tasks = tasks
    }

    /// - Throws: as ``RouterTraining/run(_:progress:isCancelled:)``.
    public func run(
        _ samples: TrainSplit, progress: any ProgressReporting = SilentProgress(),
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> TrainedRouter {
        if setup.training.stageTwo == .both, setup.router.scope == .global {
            throw Failure(
                .configBadValue, "train.stage2 both needs a router at the linears", place: "train.stage2",
                hint: "scope input, site or layer; or stage2: router")
        }
        let training = RouterTraining(evaluation, setup: setup, tasks: tasks)
        try training.checkSettings(samples.samples)
        let log = try stageOne(samples.samples, progress: progress, isCancelled: isCancelled)
        var router = try training.run(samples, progress: progress, isCancelled: isCancelled)
        router.log.steps = log + router.log.steps
        return router
    }

    /// Each sample teaches the expert of its task alone.
    private func stageOne(
        _ samples: LabelledSamples, progress: any ProgressReporting, isCancelled: () -> Bool
    ) throws -> [LossRecord] {
        let total = setup.training.expertSteps ?? setup.training.totalSteps(samples: samples.count)
        guard total > 0 else { return [] }
        // The router plays no part yet: a plain one at the linears stands in.
        var options = RouterOptions()
        options.scope = setup.router.scope == .site ? .site : .input
        let model = try RouterModel(
            options, coverage: ExpertCoverage(evaluation.experts.slots.map(\.sites)),
            on: evaluation.experts.backbone.description)
        let data = LearningSamples(try evaluation.encode(samples), tasks: tasks, model: model)
        // Experts learn from the task whatever the router learns from.
        var stage = setup
        stage.loss.task = 1
        let steps = try SiteSteps(
            model, evaluation, data, setup: stage, trainable: Set(0..<evaluation.experts.count))
        let experts = ExpertLearning(evaluation, setup)
        experts.restart(steps)
        let schedule = LearningRateSchedule(
            .cosine, base: 1, warmupSteps: Int((setup.training.warmup * Double(total)).rounded()), totalSteps: total)
        let positions = (0..<samples.count).filter { data.domains[$0] != nil }
        var log: [LossRecord] = []
        progress.begin("training the experts", total: Int64(total), unit: "steps")
        defer { progress.end() }
        let batches = BatchOrder.batches(
            positions, size: setup.training.batch, steps: total, seed: setup.training.seed, stage: "experts")
        for (step, batch) in batches.enumerated() {
            if isCancelled() { throw CancellationError() }
            let loss = try steps.expertStep(batch)
            let rate = schedule.rate(at: step)
            _ = experts.step(steps, rate: rate, preserving: false)
            log.append(
                LossRecord(
                    stage: "experts", step: step + 1, learningRate: rate * setup.training.expertRate, gradientNorm: 0,
                    terms: [LossRecord.Term(name: "task", value: loss, coefficient: 1)]))
            progress.advance(by: 1)
        }
        return log
    }
}
