import Diagnostics
import Networks
import Synchronization
import Tensors

/// Runs a trained router over samples and hands out every decision, sample by sample.
///
/// ```swift
/// try TracedPass(evaluation, router: router).run(samples) { trace in print(trace.load) }
/// ```
public struct TracedPass {
    let evaluation: RoutedEvaluation
    let model: RouterModel
    let routing: RoutingOptions
    let removal: Removal
    /// False: scores may be left empty where decisions do not need them.
    let scores: Bool
    private let chunk = 64

    /// - Parameters:
    ///   - routing: how weights are made; nil: as the router was set up.
    ///   - removed: experts whose weight is set to zero, the rest renormalised.
    ///   - choosingAnew: the others compete for the places of the removed, as if these had never been there.
    ///   - scores: false leaves the scores empty where one router decides for the network, which saves the mixture.
    public init(
        _ evaluation: RoutedEvaluation, router: TrainedRouter, routing: RoutingOptions? = nil,
        removing removed: Set<Int> = [], choosingAnew: Bool = false, scores: Bool = true
    ) {
        self.scores = scores
        self.evaluation = evaluation
        model = router.model
        self.routing = routing ?? router.setup.routing
        removal = Removal(
            experts: removed, count: router.model.experts,
            rule: choosingAnew
                ? MixingRule(
                    self.routing, temperature: router.model.options.temperature, experts: router.model.experts,
                    nullExpert: router.model.options.nullExpert) : nil)
    }

    /// - Parameter each: receives the samples in their order.
    /// - Throws: `CancellationError`, and what a pass throws.
    public func run(
        _ samples: RoutedSamples, progress: any ProgressReporting = SilentProgress(),
        isCancelled: () -> Bool = { false }, each: (SampleTrace) throws -> Void
    ) throws {
        progress.begin("routing", total: Int64(samples.count), unit: "samples")
        defer { progress.end() }
        for start in stride(from: 0, to: samples.count, by: chunk) {
            if isCancelled() { throw CancellationError() }
            let positions = Array(start..<min(start + chunk, samples.count))
            for trace in try run(samples, positions) { try each(trace) }
            progress.advance(by: Int64(positions.count))
        }
    }

    private func run(_ samples: RoutedSamples, _ positions: [Int]) throws -> [SampleTrace] {
        let input = samples.encoded.input(positions)
        let lengths = try evaluation.experts.backbone.lengths(of: input)
        return model.options.scope == .global
            ? try global(samples, positions, input, lengths) : try local(positions, input, lengths)
    }

    private func trace(_ position: Int, _ logits: Matrix<Float>, _ row: Int, _ sites: [SampleTrace.Site]) -> SampleTrace
    {
        let scores = logits.elements[row * logits.columns..<(row + 1) * logits.columns]
        return SampleTrace(position: position, logits: Array(scores), sites: sites, experts: model.experts)
    }

    private func logits(
        _ input: NetworkInput<Float>, _ mix: AdapterMix<Float>, _ coefficients: Coefficients<Float>, count: Int
    ) throws -> Matrix<Float> {
        let suite = evaluation.loaded.suite
        let backbone = evaluation.experts.backbone
        let features = try backbone.features(
            input, pooling: suite.feature, mix: mix, coefficients: coefficients, threads: evaluation.threads)
        let matrix = Matrix(rows: count, columns: backbone.description.width, elements: features)
        return evaluation.head.logits(suite.normalisation == .l2 ? FeatureRows.unitLength(matrix) : matrix)
    }

    // MARK: One router for the network

    private func global(
        _ samples: RoutedSamples, _ positions: [Int], _ input: NetworkInput<Float>, _ lengths: [Int]
    ) throws -> [SampleTrace] {
        let router = GlobalRouter(model, routing: routing)
        let pass = FrozenPass(
            backbone: evaluation.experts.backbone, input: input, threads: evaluation.threads,
            features: {
                let all = try evaluation.frozenFeatures(samples)
                return Matrix(
                    rows: positions.count, columns: all.columns,
                    elements: positions.flatMap { all.elements[$0 * all.columns..<($0 + 1) * all.columns] })
            })
        let read = try GlobalInput.rows(model, pass)
        let decision = router.decide(read.values)
        let (experts, outputs) = (model.experts, model.outputs)
        func kept(of table: [Double]) -> [Float] {
            (0..<decision.rows).flatMap { row in (0..<experts).map { Float(table[row * outputs + $0]) } }
        }
        let p = kept(of: decision.p)
        let w = removal.applied(to: kept(of: decision.w), p: p)
        let scores =
            !scores
            ? Matrix<Float>(rows: positions.count, columns: 0)
            : try logits(
                input, evaluation.experts.packed, read.isPerSample ? .perSample(w) : .perRow(w), count: positions.count)
        var first = 0
        return positions.indices.map { index in
            let rows = read.isPerSample ? 1 : lengths[index]
            let range = first * experts..<(first + rows) * experts
            first += rows
            let site = SampleTrace.Site(
                router: "global", layer: nil, rows: rows, p: Array(p[range]), w: Array(w[range]))
            return trace(positions[index], scores, index, [site])
        }
    }

    // MARK: Routers at the linears

    private func local(_ positions: [Int], _ input: NetworkInput<Float>, _ lengths: [Int]) throws -> [SampleTrace] {
        let router = TracingRouter(model, routing: routing, removal: removal)
        let mix = try evaluation.experts.mix(perSite: model.isPerSite)
        let scores = try logits(input, mix, .routed(router), count: positions.count)
        let sites = router.sites(lengths: lengths)
        return positions.indices.map { trace(positions[$0], scores, $0, sites[$0]) }
    }
}

/// A router at the linears that keeps probabilities and weights of every decision.
private final class TracingRouter: SiteRouter {
    typealias S = Float

    private struct Block: Sendable {
        let network: Int
        let layer: Int
        let firstSample: Int
        let offsets: [Int]
        let p: [Float]
        let w: [Float]
    }

    private let model: RouterModel
    private let mixing: LearnedRouter<Float>
    private let soft: LearnedRouter<Float>
    private let removal: Removal
    private let blocks = Mutex<[Block]>([])

    init(_ model: RouterModel, routing: RoutingOptions, removal: Removal) {
        self.model = model
        self.removal = removal
        mixing = LearnedRouter<Float>(model, routing: routing)
        soft = LearnedRouter<Float>(model, routing: RoutingOptions(mode: .soft))
    }

    func enter(layer: Int, rows: RoutedRows<Float>) {
        mixing.enter(layer: layer, rows: rows)
        soft.enter(layer: layer, rows: rows)
    }

    func coefficients(at point: RoutingPoint, rows: RoutedRows<Float>, into weights: UnsafeMutablePointer<Float>) {
        let experts = model.experts
        let count = rows.count * rows.columns
        mixing.coefficients(at: point, rows: rows, into: weights)
        var p = [Float](repeating: 0, count: count)
        p.withUnsafeMutableBufferPointer {
            if let base = $0.baseAddress { soft.coefficients(at: point, rows: rows, into: base) }
        }
        if !removal.isEmpty {
            let kept = removal.applied(to: Array(UnsafeBufferPointer(start: weights, count: count)), p: p)
            for (index, value) in kept.enumerated() { weights[index] = value }
        }
        for site in 0..<rows.columns / experts {
            let found =
                model.options.scope == .layer
                ? model.layerNetwork(point.layer) : model.network(layer: point.layer, group: point.group, kind: site)
            guard let found else { continue }
            func part(_ value: (Int) -> Float) -> [Float] {
                (0..<rows.count).flatMap { row in
                    (0..<experts).map { value(row * rows.columns + site * experts + $0) }
                }
            }
            let block = Block(
                network: found, layer: point.layer, firstSample: rows.firstSample, offsets: rows.offsets,
                p: part { p[$0] }, w: part { weights[$0] })
            blocks.withLock { $0.append(block) }
        }
    }

    func backward(
        at point: RoutingPoint, rows: RoutedRows<Float>, weights: UnsafePointer<Float>,
        weightGradient: UnsafePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?
    ) {}

    /// Decisions by sample, each router's once (routers that several linears share decide the same at each).
    func sites(lengths: [Int]) -> [[SampleTrace.Site]] {
        let experts = model.experts
        // One decision serves all rows of a sample where routers read the sample's mean.
        let once = DecisionRows.form(model) == .means
        var found: [[Int: SampleTrace.Site]] = Array(repeating: [:], count: lengths.count)
        for block in blocks.withLock({ $0 }) {
            for sample in 0..<block.offsets.count - 1 {
                let place = block.firstSample + sample
                guard found[place][block.network] == nil else { continue }
                let first = block.offsets[sample]
                let rows = once ? 1 : block.offsets[sample + 1] - first
                let range = first * experts..<(first + rows) * experts
                found[place][block.network] = SampleTrace.Site(
                    router: model.networks[block.network].id, layer: block.layer, rows: rows,
                    p: Array(block.p[range]), w: Array(block.w[range]))
            }
        }
        return found.map { $0.sorted { $0.key < $1.key }.map(\.value) }
    }
}
