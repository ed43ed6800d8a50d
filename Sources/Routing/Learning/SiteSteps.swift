import Networks
import Training

/// Steps of routers that stand at the linears: recorded passes through the mixture.
final class SiteSteps: RouterSteps {
    let model: RouterModel
    let gradient: UnsafeMutableBufferPointer<Double>
    private let evaluation: RoutedEvaluation
    private let data: LearningSamples
    private let mix: AdapterMix<Float>
    private let terms: LossTerms
    private let taskWeight: Double
    private let taskLoss: TaskLoss?
    private let routing: RoutingOptions
    /// Rows in front of the lowest routed layer, when they fit in memory.
    private let prefix: PrefixActivations<Float>?
    private let gradients: Gradients<Float>
    /// Experts' gradients; nil where experts are frozen.
    var expertGradients: [UnsafeMutableBufferPointer<Float>?] { gradients.slots }
    var learnsExperts = false
    private var routers: [RoutingOptions.Mode: LearnedRouter<Float>] = [:]

    /// - Parameter trainable: experts that are trained as well.
    init(
        _ model: RouterModel, _ evaluation: RoutedEvaluation, _ data: LearningSamples, setup: RouterSetup,
        trainable: Set<Int> = []
    ) throws {
        self.model = model
        self.evaluation = evaluation
        self.data = data
        mix = try evaluation.experts.mix(perSite: model.isPerSite, trainable: trainable)
        terms = LossTerms(losses: setup.loss.terms)
        taskWeight = setup.loss.task
        taskLoss =
            taskWeight == 0
            ? nil : try TaskLoss(evaluation.head, unitLength: evaluation.loaded.suite.normalisation == .l2)
        routing = setup.routing
        gradients = Gradients(backbone: evaluation.experts.backbone, mix: mix)
        gradient = .allocate(capacity: max(1, model.count))
        gradient.initialize(repeating: 0)
        prefix = try Self.prefix(evaluation, data, mix)
    }

    deinit { gradient.deallocate() }

    /// The frozen layers below the lowest expert give the same rows every time (backbones reference, section 1.4).
    private static func prefix(
        _ evaluation: RoutedEvaluation, _ data: LearningSamples, _ mix: AdapterMix<Float>
    ) throws -> PrefixActivations<Float>? {
        guard let lowest = mix.points.first?.layer, lowest > 0 else { return nil }
        let backbone = evaluation.experts.backbone
        let input = data.samples.encoded.input(0..<data.samples.count)
        let rows = try backbone.lengths(of: input).reduce(0, +)
        guard rows * backbone.description.width * 4 <= 1 << 30 else { return nil }
        return try backbone.prefix(of: input, through: lowest, threads: evaluation.threads)
    }

    private func input(_ positions: [Int]) -> NetworkInput<Float> {
        prefix.map { .activations($0, samples: positions) } ?? data.samples.encoded.input(positions)
    }

    private func router(_ mode: RoutingOptions.Mode) -> LearnedRouter<Float> {
        if let known = routers[mode] { return known }
        var options = routing
        options.mode = mode
        (options.threshold, options.topP) = (0, nil)
        let made = LearnedRouter<Float>(model, routing: options)
        routers[mode] = made
        return made
    }

    func step(_ positions: [Int], coefficients: [Double], mode: RoutingOptions.Mode) throws -> [LossRecord.Term] {
        let backbone = evaluation.experts.backbone
        let input = input(positions)
        let router = router(mode)
        router.begin(
            lengths: try backbone.lengths(of: input), domains: positions.map { data.domains[$0] },
            labels: positions.map { data.units[$0] })
        defer { router.end() }
        let pass = try backbone.forward(
            input, output: .features(evaluation.loaded.suite.feature), mix: mix, coefficients: .routed(router),
            learning: learnsExperts ? [.coefficients, .adapters] : .coefficients, threads: evaluation.threads)
        var batches = router.batches()
        var values = terms.evaluate(&batches, coefficients: coefficients)
        router.finish(batches)
        var slope = [Float](repeating: 0, count: pass.output.count)
        if let taskLoss {
            let (loss, gradient) = taskLoss.evaluate(
                pass.output, labels: positions.map { data.samples.encoded.labels[$0] })
            slope = gradient.map { Float(taskWeight) * $0 }
            values.insert(LossRecord.Term(name: "task", value: loss, coefficient: taskWeight), at: 0)
        }
        gradients.zero()
        pass.backward(slope, into: gradients)
        _ = gradient.update(fromContentsOf: router.gradient())
        return values
    }

    /// One step of the experts alone: each sample through the expert of its task.
    ///
    /// - Returns: the mean task loss.
    func expertStep(_ positions: [Int]) throws -> Double {
        guard let taskLoss else { return 0 }
        let choice = positions.map { data.domains[$0] }
        let count = evaluation.experts.count
        var weights = [Float](repeating: 0, count: choice.count * count)
        for (row, expert) in choice.enumerated() { if let expert { weights[row * count + expert] = 1 } }
        let pass = try evaluation.experts.backbone.forward(
            input(positions), output: .features(evaluation.loaded.suite.feature), mix: mix,
            coefficients: model.isPerSite ? .routed(HardRouter(choice, experts: count)) : .perSample(weights),
            learning: .adapters, threads: evaluation.threads)
        let (loss, slope) = taskLoss.evaluate(
            pass.output, labels: positions.map { data.samples.encoded.labels[$0] })
        gradients.zero()
        pass.backward(slope, into: gradients)
        return loss
    }

    /// Takes the experts' factors over after they changed.
    func refreshExperts() { mix.refresh() }
}

/// The expert of each sample's task, at every site.
final class HardRouter: SiteRouter {
    typealias S = Float
    private let choice: [Int?]
    private let experts: Int

    init(_ choice: [Int?], experts: Int) {
        self.choice = choice
        self.experts = experts
    }

    func coefficients(at point: RoutingPoint, rows: RoutedRows<Float>, into weights: UnsafeMutablePointer<Float>) {
        weights.update(repeating: 0, count: rows.count * rows.columns)
        for sample in 0..<rows.offsets.count - 1 {
            guard let expert = choice[rows.firstSample + sample] else { continue }
            for row in rows.offsets[sample]..<rows.offsets[sample + 1] {
                for site in stride(from: expert, to: rows.columns, by: experts) {
                    weights[row * rows.columns + site] = 1
                }
            }
        }
    }

    func backward(
        at point: RoutingPoint, rows: RoutedRows<Float>, weights: UnsafePointer<Float>,
        weightGradient: UnsafePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?
    ) {}
}
