import Diagnostics
import Foundation
import Tensors

/// How tokens are chosen.
public struct GenerationOptions: Sendable {
    /// At most so many new tokens.
    public var maxTokens = 64
    /// 0: always the most likely token (the lowest id on a tie). Above: sampling from softmax(logits / temperature).
    public var temperature = 0.0
    /// Sampling is limited to the k most likely tokens; nil: all.
    public var topK: Int?
    /// Sampling is limited to the smallest set of most likely tokens whose probabilities reach p.
    public var topP = 1.0
    /// Token n of a sequence depends on (seed, n) and its logits alone.
    public var seed: UInt64 = 0
    /// Generation ends behind one of these.
    public var stops: Set<Int32> = []

    public init() {}
}

extension Backbone {
    /// The tokens that continue a prompt, without it.
    ///
    /// - Parameter coefficients: constant or routed; default: every slot with weight 1.
    /// - Throws: `backbone.bad_input` for an empty prompt or unknown tokens, `config.feature_unsupported` when the
    ///   backbone is no decoder.
    public func generate(
        _ prompt: [Int32], options: GenerationOptions = GenerationOptions(), mix: AdapterMix<S>? = nil,
        coefficients: Coefficients<S>? = nil
    ) throws -> [Int32] {
        let decoder = try makeDecoder()
        var next = prompt
        var result: [Int32] = []
        while result.count < options.maxTokens {
            let hidden = try extend(decoder, with: next, mix: mix, coefficients: coefficients)
            let last = Array(hidden[(hidden.count - description.width)...])
            let token = Sampler.choose(try logits(last).map { Double($0) }, options, index: result.count)
            result.append(token)
            if options.stops.contains(token) { break }
            next = [token]
        }
        return result
    }

    /// The state of a sequence without tokens.
    public func makeDecoder() throws -> DecoderState<S> {
        guard description.isCausal else {
            throw Failure(.configFeatureUnsupported, "a \(description.modelType) backbone does not generate text")
        }
        return DecoderState(depth: description.depth)
    }

    /// Reads further tokens of a sequence and returns their hidden states behind the final norm, [tokens, width].
    public func extend(
        _ decoder: DecoderState<S>, with tokens: [Int32], mix: AdapterMix<S>? = nil,
        coefficients: Coefficients<S>? = nil
    ) throws -> [S] {
        let input = NetworkInput<S>.tokens(TokenBatch([tokens]))
        let (plan, layout) = try makePlan(input, .hiddenStates, mix, coefficients, learning: [])
        let workspace = workspaces.take()
        defer { workspaces.give(workspace) }
        let run = BlockRun(
            plan: plan, block: layout.blocks[0], workspace: workspace, backbone: description, accumulatorIndex: 0)
        run.decoder = decoder
        let count = tokens.count * description.width
        let result = [S](unsafeUninitializedCapacity: count) { buffer, filled in
            if let base = buffer.baseAddress { self.run(input, .hiddenStates, run, into: base) }
            filled = count
        }
        decoder.position += tokens.count
        return result
    }
}

/// Chooses a token from logits.
public enum Sampler {
    /// - Parameters:
    ///   - logits: one number per token.
    ///   - index: how many tokens were chosen before.
    public static func choose(_ logits: [Double], _ options: GenerationOptions, index: Int) -> Int32 {
        let order = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }
        guard options.temperature > 0, let best = order.first else { return Int32(order.first ?? 0) }
        let candidates = order.prefix(max(1, options.topK ?? order.count))
        let weights = candidates.map { exp((logits[$0] - logits[best]) / options.temperature) }
        let total = weights.reduce(0, +)
        var kept = 0
        var mass = 0.0
        while kept < weights.count, kept == 0 || mass < options.topP * total {
            mass += weights[kept]
            kept += 1
        }
        let random = CounterRandom(seed: options.seed, stream: "generation")
        var rest = Double(random.uniform(UInt64(index))) * mass
        for (place, weight) in weights.prefix(kept).enumerated() {
            rest -= weight
            if rest < 0 { return Int32(candidates[candidates.startIndex + place]) }
        }
        return Int32(candidates[candidates.startIndex + kept - 1])
    }
}
