import Diagnostics
import Networks
import Tensors

/// Text from a decoder whose experts a router mixes, token by token.
///
/// Each new token is routed by its own inputs; keys and values of earlier tokens stay valid, because no router looks
/// ahead: sequence routers read the mean of the rows so far. A global router per sequence decides once, from the prompt.
public struct RoutedGeneration {
    private let experts: RoutedExperts
    private let router: TrainedRouter
    private let routing: RoutingOptions

    public init(_ router: TrainedRouter, over experts: RoutedExperts, routing: RoutingOptions? = nil) {
        self.experts = experts
        self.router = router
        self.routing = routing ?? router.setup.routing
    }

    /// One sequence while it grows.
    public final class Sequence {
        let mixed: DecoderState<Float>
        let frozen: DecoderState<Float>?
        let local: LearnedRouter<Float>?
        var decided: [Float]?

        init(_ mixed: DecoderState<Float>, frozen: DecoderState<Float>?, local: LearnedRouter<Float>?) {
            self.mixed = mixed
            self.frozen = frozen
            self.local = local
        }
    }

    /// - Throws: `config.feature_unsupported` when the backbone is no decoder, or the global router reads a lower layer.
    public func begin() throws -> Sequence {
        let backbone = experts.backbone
        guard router.model.options.scope == .global else {
            return Sequence(
                try backbone.makeDecoder(), frozen: nil,
                local: LearnedRouter(router.model, routing: routing, generating: true))
        }
        guard router.model.options.layer == nil else {
            throw Failure(
                .configFeatureUnsupported, "a global router that reads a lower layer cannot generate",
                place: "router.layer")
        }
        return Sequence(try backbone.makeDecoder(), frozen: try backbone.makeDecoder(), local: nil)
    }

    /// Reads further tokens; hidden states [tokens, width] behind the final norm.
    public func extend(_ sequence: Sequence, with tokens: [Int32]) throws -> [Float] {
        let mix = try experts.mix(perSite: router.model.isPerSite)
        return try experts.backbone.extend(
            sequence.mixed, with: tokens, mix: mix, coefficients: coefficients(sequence, tokens))
    }

    private func coefficients(_ sequence: Sequence, _ tokens: [Int32]) throws -> Coefficients<Float> {
        if let local = sequence.local { return .routed(local) }
        guard let frozen = sequence.frozen else { return .ones(experts.count) }
        if let decided = sequence.decided { return .constant(decided) }
        let width = experts.backbone.description.width
        let hidden = try experts.backbone.extend(frozen, with: tokens)
        let rows = Matrix(rows: tokens.count, columns: width, elements: hidden)
        let global = GlobalRouter(router.model, routing: routing)
        if router.model.options.granularity == .token { return .perRow(global.weights(rows)) }
        var mean = Matrix<Float>(rows: 1, columns: width)
        for row in 0..<rows.rows { for i in 0..<width { mean[0, i] += rows[row, i] / Float(rows.rows) } }
        let weights = global.weights(mean)
        sequence.decided = weights
        return .constant(weights)
    }

    /// The tokens that continue a prompt, without it.
    ///
    /// - Throws: `backbone.bad_input` for an empty prompt or unknown tokens, `config.feature_unsupported`.
    public func generate(_ prompt: [Int32], options: GenerationOptions = GenerationOptions()) throws -> [Int32] {
        let sequence = try begin()
        let width = experts.backbone.description.width
        var next = prompt
        var result: [Int32] = []
        while result.count < options.maxTokens {
            let hidden = try extend(sequence, with: next)
            let logits = try experts.backbone.logits(Array(hidden.suffix(width)))
            let token = Sampler.choose(logits.map(Double.init), options, index: result.count)
            result.append(token)
            if options.stops.contains(token) { break }
            next = [token]
        }
        return result
    }
}
