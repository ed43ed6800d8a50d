import Diagnostics
import Networks
import Tensors
import Training

/// Learns the weights of a `cat` merge by gradient descent on a few samples, one per expert and module (merge-methods
/// 3.26, `cat_learned`; Prabhakar et al., "LoRA Soups", arXiv 2410.13025). Experts, backbone and head stay as they are.
public struct CatLearning {
    public struct Options: Sendable {
        /// Steps of AdamW without weight decay, learning rate falling as a cosine.
        public var steps = 100
        public var learningRate = 0.05
        public var batch = 32
        /// Share of the samples, stratified by class, that decides which step's weights are kept; 0: the last.
        public var validation = 0.2
        public var seed: UInt64 = 0

        public init() {}
    }

    /// A step at which the held-out samples were looked at.
    public struct Record: Sendable {
        public let step: Int
        /// Mean cross-entropy of the held-out samples.
        public let loss: Double
        /// Share of right answers among them.
        public let accuracy: Double
    }

    public struct Outcome: Sendable {
        /// Weight per expert and site, for the sites that were asked for.
        public let weights: [Int: [SiteID: Double]]
        /// Step 0 are the weights that were given.
        public let records: [Record]
        /// The step whose weights these are.
        public let step: Int
        /// Samples that were learned from, and held out.
        public let counts: (training: Int, validation: Int)
    }

    private let evaluation: RoutedEvaluation
    private let options: Options
    private let loss: TaskLoss

    /// - Throws: `config.feature_unsupported` when the suite's head is not linear.
    public init(_ evaluation: RoutedEvaluation, options: Options = Options()) throws {
        self.evaluation = evaluation
        self.options = options
        loss = try TaskLoss(evaluation.head, unitLength: evaluation.loaded.suite.normalisation == .l2)
    }

    /// - Parameters:
    ///   - initial: weight per expert (in the order of the experts) and site; other sites take no part.
    ///   - split: training samples.
    /// - Throws: `data.too_few` without samples or without weights, `CancellationError`.
    public func run(
        from initial: [Int: [SiteID: Double]], on split: TrainSplit,
        progress: any ProgressReporting = SilentProgress(), isCancelled: () -> Bool = { false }
    ) throws -> Outcome {
        let samples = try evaluation.encode(split.samples)
        var flat: [ExpertPair: Double] = [:]
        for (expert, sites) in initial {
            for (site, weight) in sites { flat[ExpertPair(expert: expert, site: site)] = weight }
        }
        guard samples.count > 0, !flat.isEmpty else {
            throw Failure(.dataTooFew, flat.isEmpty ? "there is no weight to learn" : "there are no training samples")
        }
        let model = try ModuleWeights<Float>(
            flat, experts: evaluation.experts.count, on: evaluation.experts.backbone.description)
        let folds = folds(samples)
        let held =
            folds.validation.isEmpty
            ? nil : try evaluation.encode(split.samples.selecting(folds.validation))
        let records = try learn(model, samples, folds.train, held, progress, isCancelled)
        var weights: [Int: [SiteID: Double]] = [:]
        for (index, key) in model.keys.enumerated() {
            weights[key.expert, default: [:]][key.site] = model.values[index]
        }
        return Outcome(
            weights: weights, records: records.all, step: records.best,
            counts: (folds.train.count, folds.validation.count))
    }

    private func folds(_ samples: RoutedSamples) -> (train: [Int], validation: [Int]) {
        var settings = RouterTrainingOptions()
        (settings.seed, settings.validation) = (options.seed, options.validation)
        guard options.validation > 0 else { return (Array(0..<samples.count), []) }
        let fold = SampleFolds(tasks: samples.encoded.labels.map { $0 }, options: settings).folds.first
        return (fold?.train ?? [], fold?.validation ?? [])
    }

    /// Leaves the best weights in the model.
    private func learn(
        _ model: ModuleWeights<Float>, _ samples: RoutedSamples, _ train: [Int], _ held: RoutedSamples?,
        _ progress: any ProgressReporting, _ isCancelled: () -> Bool
    ) throws -> (all: [Record], best: Int) {
        let mix = try evaluation.experts.mix(perSite: true)
        let gradients = Gradients(backbone: evaluation.experts.backbone, mix: mix)
        let optimizer = Optimizer(
            .adamw,
            groups: [
                ParameterGroup(name: "weights", values: model.values, gradient: model.gradient, weightDecay: 0)
            ])
        let schedule = LearningRateSchedule(
            .cosine, base: options.learningRate, warmupSteps: 0, totalSteps: options.steps)
        var records = try held.map { [try validate(model, $0, step: 0)] } ?? []
        var best = (step: held == nil ? options.steps : 0, values: Array(model.values))
        let every = max(1, (options.steps + 9) / 10)
        progress.begin("learning weights", total: Int64(options.steps), unit: "steps")
        defer { progress.end() }
        let batches = BatchOrder.batches(
            train, size: options.batch, steps: options.steps, seed: options.seed, stage: "cat")
        for (step, batch) in batches.enumerated() {
            if isCancelled() { throw CancellationError() }
            try descend(model, samples, batch, mix, gradients)
            optimizer.step(learningRate: schedule.rate(at: step))
            progress.advance(by: 1)
            guard let held, (step + 1) % every == 0 || step + 1 == options.steps else { continue }
            let record = try validate(model, held, step: step + 1)
            if record.loss < (records.map(\.loss).min() ?? .infinity) { best = (step + 1, Array(model.values)) }
            records.append(record)
        }
        if held != nil { _ = model.values.update(fromContentsOf: best.values) }
        return (records, best.step)
    }

    private func descend(
        _ model: ModuleWeights<Float>, _ samples: RoutedSamples, _ batch: [Int], _ mix: AdapterMix<Float>,
        _ gradients: Gradients<Float>
    ) throws {
        let pass = try evaluation.experts.backbone.forward(
            samples.encoded.input(batch), output: .features(evaluation.loaded.suite.feature), mix: mix,
            coefficients: .routed(model), learning: .coefficients, threads: evaluation.threads)
        let slope = loss.evaluate(pass.output, labels: batch.map { samples.encoded.labels[$0] }).gradient
        gradients.zero()
        model.begin()
        pass.backward(slope, into: gradients)
        model.finish()
    }

    private func validate(_ model: ModuleWeights<Float>, _ held: RoutedSamples, step: Int) throws -> Record {
        let subject = RoutingSubject(label: "cat", kind: .router(model), perSite: true)
        let found = try evaluation.predictions(subject, held)
        let losses = found.losses(labels: held.encoded.labels)
        let count = Double(max(1, held.count))
        return Record(
            step: step, loss: losses.reduce(0, +) / count, accuracy: Double(found.tally.correctGlobal) / count)
    }
}
