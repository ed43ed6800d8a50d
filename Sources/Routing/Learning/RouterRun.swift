import Diagnostics
import Networks
import Tensors
import Training

/// Trains one model on one part of the samples.
struct RouterRun {
    let evaluation: RoutedEvaluation
    let setup: RouterSetup
    let tasks: ExpertTasks
    let data: LearningSamples
    let cache: GlobalCache?
    let total: Int
    let progress: any ProgressReporting
    let isCancelled: () -> Bool

    /// - Parameters:
    ///   - train, validation: positions among the samples.
    ///   - until: stop behind this step; nil: run all.
    /// - Returns: the parameters that did best in validation (the last, without validation).
    func run(
        _ model: RouterModel, train: [Int], validation: [Int], fold: Int, until: Int? = nil, log: inout TrainingLog
    ) throws -> [Double] {
        try initialise(model, train)
        let steps = try makeSteps(model)
        let experts = learnsExperts ? ExpertLearning(evaluation, setup) : nil
        let siteSteps = steps as? SiteSteps
        if let siteSteps { experts?.restart(siteSteps) }
        let last = until ?? total
        let terms = setup.loss.terms
        let every = max(1, setup.training.evaluateEvery ?? (total + 4) / 5)
        let group = ParameterGroup(
            name: "router", values: UnsafeMutableBufferPointer(rebasing: model.parameters[0..<model.count]),
            gradient: UnsafeMutableBufferPointer(rebasing: steps.gradient[0..<model.count]),
            weightDecay: setup.training.weightDecay)
        let optimizer = Optimizer(.adamw, groups: [group])
        let schedule = LearningRateSchedule(
            .cosine, base: setup.training.learningRate,
            warmupSteps: Int((setup.training.warmup * Double(total)).rounded()), totalSteps: total)
        let held = validation.isEmpty ? nil : try evaluation.encode(data.samples.labelled.selecting(validation))
        let batches = BatchOrder.batches(
            train, size: setup.training.batch, steps: last, seed: setup.training.seed, stage: "fold \(fold)")
        var best = (record: ValidationRecord?.none, values: model.values, experts: experts?.values)
        for (step, batch) in batches.enumerated() {
            if isCancelled() { throw CancellationError() }
            let coefficients = terms.map { $0.coefficient(at: step, of: total) }
            var values = try steps.step(batch, coefficients: coefficients, mode: mode(at: step))
            let norm = clip(group)
            let rate = schedule.rate(at: step)
            optimizer.step(learningRate: rate)
            if let experts, let siteSteps {
                let share = setup.training.learningRate > 0 ? rate / setup.training.learningRate : 0
                let distance = experts.step(siteSteps, rate: share, preserving: true)
                values.append(
                    LossRecord.Term(name: "preserve", value: distance, coefficient: setup.loss.beta))
            }
            log.steps.append(
                LossRecord(
                    stage: fold < 0 ? "refit" : "fold \(fold)", step: step + 1, learningRate: rate,
                    gradientNorm: norm, terms: values))
            progress.advance(by: 1)
            guard let held, (step + 1) % every == 0 || step + 1 == last else { continue }
            let record = try validate(model, held, fold: fold, step: step + 1)
            log.validations.append(record)
            if best.record.map({ (record.correct, -record.loss) > ($0.correct, -$0.loss) }) ?? true {
                best = (record, model.values, experts?.values)
            }
        }
        guard best.record != nil else { return model.values }
        if let experts, let values = best.experts { experts.values = values }
        return best.values
    }

    private func clip(_ group: ParameterGroup<Double>) -> Double {
        GradientClipping.clip([group], to: setup.training.clip > 0 ? setup.training.clip : .infinity)
    }

    /// Experts move too.
    private var learnsExperts: Bool { setup.training.regime == .joint && setup.training.stageTwo == .both }

    /// The last part of the steps may close the gap between dense training and sparse use.
    private func mode(at step: Int) -> RoutingOptions.Mode {
        let share = setup.training.stageThree
        return share > 0 && Double(step) >= (1 - share) * Double(total) ? .topkSTE : setup.training.mode
    }

    private func makeSteps(_ model: RouterModel) throws -> any RouterSteps {
        if let cache { return try GlobalSteps(model, evaluation, data, cache: cache, setup: setup) }
        let steps = try SiteSteps(
            model, evaluation, data, setup: setup,
            trainable: learnsExperts ? Set(0..<evaluation.experts.count) : [])
        steps.learnsExperts = learnsExperts
        return steps
    }

    private func initialise(_ model: RouterModel, _ train: [Int]) throws {
        try RouterInitialisation(model: model, seed: setup.training.seed).run(slots: evaluation.experts.slots) {
            guard let cache else { return [] }
            guard model.options.kind == .prototypes else {
                return cache.means(
                    (0..<model.outputs).map { expert in train.filter { data.domains[$0] == expert } })
            }
            let groups = model.unitClasses.indices.map { unit in train.filter { data.units[$0] == unit } }
            return zip(cache.means(groups), groups).enumerated().map { unit, found in
                blended(found.0, count: found.1.count, with: headRow(model.unitClasses[unit]))
            }
        }
    }

    /// The mean of a class's samples and the head's row, which counts as some samples: both live in the space of the
    /// features, and where samples are few the row knows more than they do.
    private func blended(_ mean: [Double]?, count: Int, with row: [Double]?) -> [Double]? {
        guard let row else { return mean }
        guard let mean else { return row }
        let weight = setup.router.headSamples
        let total = Double(count) + weight
        return zip(mean, row).map { (Double(count) * $0 + weight * $1) / total }
    }

    private func headRow(_ label: Int?) -> [Double]? {
        guard let label, let head = evaluation.head as? LinearHead else { return nil }
        let row = head.weight.elements[label * head.width..<(label + 1) * head.width].map(Double.init)
        let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? row.map { $0 / length } : nil
    }

    private func validate(_ model: RouterModel, _ held: RoutedSamples, fold: Int, step: Int) throws
        -> ValidationRecord
    {
        let router = TrainedRouter(model: model, setup: setup, tasks: tasks)
        let found = try evaluation.predictions(router.subject(), held)
        let losses = found.losses(labels: held.encoded.labels)
        return ValidationRecord(
            fold: fold, step: step, correct: found.tally.correctGlobal, count: held.count,
            loss: losses.reduce(0, +) / Double(max(1, losses.count)))
    }
}
