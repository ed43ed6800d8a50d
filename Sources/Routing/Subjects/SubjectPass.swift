import Diagnostics
import Evaluation
import Networks
import Tensors

/// One subject over some samples: which weights, which plan, in which order.
struct SubjectPass {
    private let evaluation: RoutedEvaluation
    private let subject: RoutingSubject
    private let samples: RoutedSamples
    private let backbone: Backbone<Float>
    private let mix: AdapterMix<Float>?
    /// Weights of all samples [samples, experts], where they are known before the pass.
    private let table: [Float]?

    /// True when experts are mixed.
    var mixes: Bool { mix != nil }
    private var count: Int { evaluation.experts.count }

    init(_ evaluation: RoutedEvaluation, _ subject: RoutingSubject, _ samples: RoutedSamples) throws {
        self.evaluation = evaluation
        self.subject = subject
        self.samples = samples
        let experts = evaluation.experts
        switch subject.kind {
        case .backbone:
            (backbone, mix, table) = (experts.backbone, nil, nil)
        case .adapter(let adapter):
            let slot = try LoRASlot<Float>(adapter, name: subject.label, on: experts.backbone.description)
            backbone = try experts.backbone.adding(slot.deltas())
            (mix, table) = (nil, nil)
        case .constant(let weights):
            let table = (0..<samples.count).flatMap { _ in weights }
            (backbone, mix, self.table) = (
                experts.backbone, try ExecutionPlan.mix(for: weights, experts, subject.plan), table
            )
        case .given(let weights):
            (backbone, mix, table) = (
                experts.backbone, try ExecutionPlan.mix(for: weights.elements, experts, subject.plan), weights.elements
            )
        case .router:
            (backbone, table) = (experts.backbone, nil)
            mix = try experts.mix(plan: ExecutionPlan.rowPlan(subject, experts), perSite: subject.perSite)
        case .frozen(let router):
            let found = try Self.frozenWeights(router, evaluation, samples)
            (backbone, table) = (experts.backbone, found)
            mix = try found.map { try ExecutionPlan.mix(for: $0, experts, subject.plan) } ?? experts.packed
        }
        if let table, table.count != samples.count * experts.count {
            throw Failure(
                .backboneBadInput,
                "'\(subject.label)' gives \(table.count) weights for \(samples.count)×\(experts.count)")
        }
    }

    /// Per-sample weights of a frozen router; nil when it gives weights per row.
    static func frozenWeights(
        _ router: any FrozenRouter, _ evaluation: RoutedEvaluation, _ samples: RoutedSamples
    ) throws -> [Float]? {
        let features = try evaluation.frozenFeatures(samples)
        var result: [Float] = []
        for start in stride(from: 0, to: samples.count, by: evaluation.chunk) {
            let rows = start..<min(start + evaluation.chunk, samples.count)
            let pass = FrozenPass(
                backbone: evaluation.experts.backbone, input: samples.encoded.input(rows), threads: evaluation.threads,
                features: { features.rows(rows) })
            guard case .perSample(let weights) = try router.coefficients(pass) else { return nil }
            result += weights
        }
        return result
    }

    /// The order of the samples: by length, and for one product per expert by the strongest expert first.
    func order() -> [Int] {
        let ordered = samples.encoded.ordered(Array(0..<samples.count))
        guard let table, let mix, mix.plan == .separate else { return ordered }
        func key(_ position: Int) -> [Int] {
            let weights = table[position * count..<(position + 1) * count]
            let active = weights.indices.filter { weights[$0] != 0 }.sorted { (-weights[$0], $0) < (-weights[$1], $1) }
            return active.map { $0 - weights.startIndex }
        }
        let keys = (0..<samples.count).map(key)
        return ordered.enumerated().sorted { a, b in
            if keys[a.element] == keys[b.element] { return a.offset < b.offset }
            return keys[a.element].lexicographicallyPrecedes(keys[b.element])
        }.map(\.element)
    }

    /// Features of some samples as the backbone gives them, and mean weights per sample.
    func run(_ positions: [Int]) throws -> (features: [Float], weights: [Float]?) {
        let input = samples.encoded.input(positions)
        let pooling = evaluation.loaded.suite.feature
        guard let mix else {
            return (try backbone.features(input, pooling: pooling, threads: evaluation.threads), nil)
        }
        let watch = WeightSums(
            samples: positions.count, experts: evaluation.experts, oncePerLayer: subject.decidesPerLayer)
        let coefficients: Coefficients<Float>
        switch subject.kind {
        case .router(let router): coefficients = .routed(ObservedRouter(router) { watch.add($1, $2, at: $0) })
        case .frozen(let router) where table == nil:
            let found = try router.coefficients(
                FrozenPass(
                    backbone: backbone, input: input, threads: evaluation.threads,
                    features: { throw Failure(.internalDefect, "a router per token asked for pooled features") }))
            if case .perRow(let rows) = found { watch.add(rows, lengths: try backbone.lengths(of: input)) }
            coefficients = found
        default:
            let rows = positions.flatMap { table?[$0 * count..<($0 + 1) * count] ?? [] }
            coefficients = .perSample(rows)
            watch.add(rows, lengths: positions.map { _ in 1 })
        }
        let features = try backbone.features(
            input, pooling: pooling, mix: mix, coefficients: coefficients, threads: evaluation.threads)
        return (features, watch.means())
    }
}
