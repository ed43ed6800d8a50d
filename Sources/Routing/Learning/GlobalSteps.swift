import Evaluation
import Networks
import Tensors

/// Steps of a global router: what it reads is computed once; the mixture runs only where the task loss has weight.
final class GlobalSteps: RouterSteps {
    let model: RouterModel
    let gradient: UnsafeMutableBufferPointer<Double>
    private let evaluation: RoutedEvaluation
    private let data: LearningSamples
    private let cache: GlobalCache
    private let terms: LossTerms
    private let taskWeight: Double
    private let taskLoss: TaskLoss?
    private let routing: RoutingOptions
    private let gradients: Gradients<Float>

    init(
        _ model: RouterModel, _ evaluation: RoutedEvaluation, _ data: LearningSamples, cache: GlobalCache,
        setup: RouterSetup
    ) throws {
        self.model = model
        self.evaluation = evaluation
        self.data = data
        self.cache = cache
        terms = LossTerms(losses: setup.loss.terms)
        taskWeight = setup.loss.task
        taskLoss =
            taskWeight == 0
            ? nil : try TaskLoss(evaluation.head, unitLength: evaluation.loaded.suite.normalisation == .l2)
        routing = setup.routing
        gradients = Gradients(backbone: evaluation.experts.backbone, mix: evaluation.experts.packed)
        gradient = .allocate(capacity: max(1, model.count))
        gradient.initialize(repeating: 0)
    }

    deinit { gradient.deallocate() }

    func step(_ positions: [Int], coefficients: [Double], mode: RoutingOptions.Mode) throws -> [LossRecord.Term] {
        var options = routing
        options.mode = mode
        (options.threshold, options.topP) = (0, nil)
        let router = GlobalRouter(model, routing: options)
        let (rows, offsets) = cache.rows(positions)
        let decision = router.decide(rows)
        let network = model.networks[0]
        var batch = RouterBatch(
            rows: rows.rows, outputs: network.outputs, units: network.units, temperature: router.rule.temperature,
            active: router.rule.active, offsets: offsets)
        (batch.z, batch.p, batch.logP, batch.u) = (decision.z, decision.p, decision.logP, decision.u)
        batch.domains = positions.map { data.domains[$0] }
        batch.labels = positions.map { data.units[$0] }
        var batches = [batch]
        var values = terms.evaluate(&batches, coefficients: coefficients)
        batch = batches[0]
        if let taskLoss {
            let loss = try addTask(taskLoss, positions, router, decision, &batch)
            values.insert(LossRecord.Term(name: "task", value: loss, coefficient: taskWeight), at: 0)
        }
        learn(rows, decision, batch)
        return values
    }

    /// The task loss through the mixture, its gradient added to the scores'.
    private func addTask(
        _ taskLoss: TaskLoss, _ positions: [Int], _ router: GlobalRouter, _ decision: Decision,
        _ batch: inout RouterBatch
    ) throws -> Double {
        let (experts, outputs) = (model.experts, model.outputs)
        let weights = (0..<decision.rows).flatMap { row in
            (0..<experts).map { Float(decision.w[row * outputs + $0]) }
        }
        let pass = try evaluation.experts.backbone.forward(
            data.samples.encoded.input(positions), output: .features(evaluation.loaded.suite.feature),
            mix: evaluation.experts.packed, coefficients: cache.isPerSample ? .perSample(weights) : .perRow(weights),
            learning: .coefficients, threads: evaluation.threads)
        let (loss, gradient) = taskLoss.evaluate(
            pass.output, labels: positions.map { data.samples.encoded.labels[$0] })
        pass.backward(gradient.map { Float(taskWeight) * $0 }, into: gradients)
        let slopes = gradients.coefficients
        for row in 0..<decision.rows {
            let a = (0..<outputs).map { $0 < experts ? Double(slopes[row * experts + $0]) : 0 }
            let first = row * outputs
            let (p, logP) = (
                Array(decision.p[first..<first + outputs]), Array(decision.logP[first..<first + outputs])
            )
            var dz = [Double](repeating: 0, count: outputs)
            router.rule.backward(a, p: p, logP: logP, into: &dz)
            for i in 0..<outputs { batch.dz[first + i] += dz[i] }
        }
        return loss
    }

    private func learn(_ rows: Matrix<Float>, _ decision: Decision, _ batch: RouterBatch) {
        gradient.update(repeating: 0)
        guard let target = gradient.baseAddress else { return }
        rows.elements.map(Double.init).withUnsafeBufferPointer { raw in
            batch.dz.withUnsafeBufferPointer { dz in
                batch.du.withUnsafeBufferPointer { du in
                    guard let raw = raw.baseAddress, let dz = dz.baseAddress else { return }
                    model.learn(
                        0, raw: raw, decision: decision, dz: dz, du: du.baseAddress, gradient: target, dx: nil)
                }
            }
        }
    }
}

/// What a global router reads of every sample, computed once.
struct GlobalCache {
    let isPerSample: Bool
    private let values: Matrix<Float>
    private let offsets: [Int]

    init(_ model: RouterModel, _ evaluation: RoutedEvaluation, _ samples: RoutedSamples) throws {
        let backbone = evaluation.experts.backbone
        let features = try evaluation.frozenFeatures(samples)
        var elements: [Float] = []
        var offsets = [0]
        var perSample = true
        for start in stride(from: 0, to: samples.count, by: 256) {
            let rows = start..<min(start + 256, samples.count)
            let input = samples.encoded.input(rows)
            let found = try GlobalInput.rows(
                model,
                FrozenPass(
                    backbone: backbone, input: input, threads: evaluation.threads,
                    features: { features.rows(rows) }))
            elements += found.values.elements
            perSample = found.isPerSample
            let lengths = found.isPerSample ? rows.map { _ in 1 } : try backbone.lengths(of: input)
            for length in lengths { offsets.append((offsets.last ?? 0) + length) }
        }
        isPerSample = perSample
        self.offsets = offsets
        values = Matrix(rows: offsets.last ?? 0, columns: backbone.description.width, elements: elements)
    }

    /// The rows of some samples, and where each sample's begin.
    func rows(_ positions: [Int]) -> (Matrix<Float>, offsets: [Int]) {
        var elements: [Float] = []
        var own = [0]
        let width = values.columns
        for position in positions {
            let range = offsets[position]..<offsets[position + 1]
            elements += values.elements[range.lowerBound * width..<range.upperBound * width]
            own.append((own.last ?? 0) + range.count)
        }
        return (Matrix(rows: own.last ?? 0, columns: width, elements: elements), own)
    }

    /// Mean of the rows of each group of samples; nil for empty groups.
    func means(_ groups: [[Int]]) -> [[Double]?] {
        groups.map { group in
            let rows = self.rows(group).0
            guard rows.rows > 0 else { return nil }
            var sum = [Double](repeating: 0, count: rows.columns)
            for row in 0..<rows.rows { for i in 0..<rows.columns { sum[i] += Double(rows[row, i]) } }
            return sum.map { $0 / Double(rows.rows) }
        }
    }
}
