import Diagnostics
import Evaluation
import Networks
import Tensors
import Training

/// Trains routers over the experts of an evaluation (LoRA-Mixer reference, section 5).
///
/// ```swift
/// let training = RouterTraining(evaluation, setup: setup, tasks: tasks)
/// let router = try training.run(samples)
/// let found = try evaluation.predictions(router.subject(), test)
/// ```
/// The samples are split for validation here; test samples have no way in.
public struct RouterTraining {
    public let evaluation: RoutedEvaluation
    public let setup: RouterSetup
    public let tasks: ExpertTasks

    public init(_ evaluation: RoutedEvaluation, setup: RouterSetup, tasks: ExpertTasks) {
        self.evaluation = evaluation
        self.setup = setup
        self.tasks = tasks
    }

    /// - Throws: `config.bad_value` for settings that cannot be trained, `data.too_few` when an expert's task has no
    ///   samples, `config.feature_unsupported` for heads that have no gradient; `CancellationError`.
    public func run(
        _ samples: TrainSplit, progress: any ProgressReporting = SilentProgress(),
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> TrainedRouter {
        let clock = ContinuousClock()
        let began = clock.now
        try checkSettings(samples.samples)
        let routed = try evaluation.encode(samples.samples)
        let model = try makeModel()
        let data = LearningSamples(routed, tasks: tasks, model: model)
        let folds = SampleFolds(tasks: data.domains, options: setup.training).folds
        let total = setup.training.totalSteps(samples: folds.first?.train.count ?? routed.count)
        var log = TrainingLog()
        log.trainCount = folds.first?.train.count ?? 0
        log.validationCount = folds.reduce(0) { $0 + $1.validation.count }
        log.folds = folds.count
        let cache = model.options.scope == .global ? try GlobalCache(model, evaluation, routed) : nil
        let refits = setup.training.refit || folds.count > 1
        progress.begin(
            "training the router", total: Int64(total * (folds.count + (refits ? 1 : 0))), unit: "steps")
        defer { progress.end() }
        let runner = RouterRun(
            evaluation: evaluation, setup: setup, tasks: tasks, data: data, cache: cache, total: total,
            progress: progress, isCancelled: isCancelled)
        var best: [Double] = []
        for (index, fold) in folds.enumerated() {
            best = try runner.run(model, train: fold.train, validation: fold.validation, fold: index, log: &log)
        }
        log.chosenStep = Self.chosenStep(log.validations)
        if refits {
            _ = try runner.run(
                model, train: Array(0..<routed.count), validation: [], fold: -1, until: log.chosenStep, log: &log)
            log.refitted = true
        } else {
            model.values = best
        }
        model.roundToSingle()
        let elapsed = (clock.now - began).components
        log.seconds = Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
        return TrainedRouter(model: model, setup: setup, tasks: tasks, log: log)
    }

    private func makeModel() throws -> RouterModel {
        try RouterModel(
            setup.router, coverage: ExpertCoverage(evaluation.experts.slots.map(\.sites)),
            on: evaluation.experts.backbone.description, classes: tasks.classes)
    }

    /// The step with the most right answers over all folds; among equals the lowest loss, then the earliest.
    static func chosenStep(_ records: [ValidationRecord]) -> Int {
        let bySteps = Dictionary(grouping: records) { $0.step }.map { step, group in
            (step: step, correct: group.reduce(0) { $0 + $1.correct }, loss: group.reduce(0) { $0 + $1.loss })
        }
        return bySteps.max { a, b in
            (a.correct, -a.loss, -a.step) < (b.correct, -b.loss, -b.step)
        }?.step ?? 0
    }

    func checkSettings(_ samples: LabelledSamples) throws {
        let options = setup.training
        let outputs = evaluation.experts.count + (setup.router.nullExpert ? 1 : 0)
        if options.mode == .topk, setup.routing.active(of: outputs) == 1 {
            throw Failure(
                .configBadValue, "mode topk with k = 1 gives the router no gradient: its weight is always 1",
                place: "train.mode", hint: "train with soft, topk-raw or topk-ste")
        }
        guard options.mode.isRouted else {
            throw Failure(
                .configBadValue, "nothing is learned in mode \(options.mode.rawValue)", place: "train.mode",
                hint: "train with soft, topk, topk-raw or topk-ste")
        }
        guard samples.count > 1 else {
            throw Failure(.dataTooFew, "a router needs at least two samples", place: "train.samples")
        }
        if !options.allowMissing { try checkTasks(samples) }
    }

    private func checkTasks(_ samples: LabelledSamples) throws {
        let present = Set(samples.labels.compactMap { tasks.expert(ofClass: $0) })
        for (expert, task) in tasks.taskOfExpert.enumerated() {
            guard let task, !present.contains(expert) else { continue }
            throw Failure(
                .dataTooFew,
                "no training sample belongs to task '\(evaluation.loaded.taskNames[task])' of expert "
                    + "'\(evaluation.experts.ids[expert])'",
                place: "train.samples", hint: "take more samples, or add --allow-missing")
        }
        let wantsTasks = setup.loss.terms.contains { ["domain", "class", "loramoe"].contains($0.name) }
        let needsTasks = wantsTasks || setup.router.kind == .prototypes || options(.joint)
        if needsTasks, !tasks.isComplete {
            let missing = tasks.taskOfExpert.firstIndex(of: nil).map { evaluation.experts.ids[$0] } ?? ""
            throw Failure(
                .configBadValue, "expert '\(missing)' has no task, and this router learns from tasks",
                place: "domains", hint: "say which: domains: { task: expert, … }, or domains: tag:KEY")
        }
    }

    private func options(_ regime: RouterTrainingOptions.Regime) -> Bool { setup.training.regime == regime }
}
