import Diagnostics

/// Llama-style decoders: Llama, Mistral, Qwen2, Qwen3.
///
/// Block: h = X + MHA_causal(RoPE(q), RoPE(k), v)·Woᵀ with q, k, v from RMS1(X); Y = h + (SiLU(g)⊙u)·Wdᵀ with g, u
/// from RMS2(h). Qwen3 normalises each head of q and k before the rotation.
struct Llama: BackboneFamily {
    let description: BackboneDescription
    private(set) var layout = ParameterLayout()
    private(set) var sources: [TensorSource] = []

    private struct Block {
        var norm1 = 0
        var qkv: (weight: Int, bias: Int?) = (0, nil)
        var headNorms: (query: Int, key: Int)?
        var o: (weight: Int, bias: Int?) = (0, nil)
        var norm2 = 0
        var gateUp: (weight: Int, bias: Int?) = (0, nil)
        var down: (weight: Int, bias: Int?) = (0, nil)
        var window: Int?
    }

    private let width: Int
    private let heads: Int
    private let keyHeads: Int
    private let headWidth: Int
    private let inner: Int
    private let vocabulary: Int
    private let epsilon: Double
    private let rotary: RotaryEmbedding
    private let root: String
    private var blocks: [Block] = []
    private var words = 0
    private var norm = 0
    private var head: Int?

    static func accepts(_ configuration: ConfigurationReader) -> Bool {
        ["llama", "mistral", "qwen2", "qwen3"].contains(configuration.modelType)
    }

    init(_ c: ConfigurationReader, tensors: [String: [Int]]?) throws {
        let type = c.modelType
        width = try c.count("hidden_size")
        heads = try c.count("num_attention_heads")
        keyHeads = try c.count("num_key_value_heads", default: heads)
        inner = try c.count("intermediate_size")
        vocabulary = try c.count("vocab_size")
        headWidth =
            try c["head_dim"] == nil
            ? (type == "qwen3" ? 128 : c.divide(width, by: heads, "num_attention_heads")) : c.count("head_dim")
        epsilon = try c.number("rms_norm_eps", default: 1e-6)
        _ = try c.divide(heads, by: keyHeads, "num_key_value_heads")
        _ = try c.divide(headWidth, by: 2, "head_dim")
        guard try c.activation("hidden_act", default: "silu") == .silu else {
            throw c.unsupported("a feed-forward network other than SiLU-gated", "hidden_act")
        }
        rotary = try Self.rotary(c, headWidth: headWidth)
        let depth = try c.count("num_hidden_layers")
        root = tensors?.keys.contains("embed_tokens.weight") ?? false ? "" : "model."
        let (query, key) = (heads * headWidth, keyHeads * headWidth)
        description = BackboneDescription(
            family: "llama", modelType: type, width: width, depth: depth,
            input: .tokens(vocabulary: vocabulary, positions: nil),
            groups: [
                SiteGroup(
                    index: 0, inputs: width, outputs: query + 2 * key,
                    spans: [.q: 0..<query, .k: query..<query + key, .v: query + key..<query + 2 * key]),
                SiteGroup(index: 1, inputs: query, outputs: width, spans: [.o: 0..<width]),
                SiteGroup(
                    index: 2, inputs: width, outputs: 2 * inner,
                    spans: [.gate: 0..<inner, .up: inner..<2 * inner]),
                SiteGroup(index: 3, inputs: inner, outputs: width, spans: [.down: 0..<width]),
            ], siteMap: Self.siteMap, poolings: [.last, .mean], isCausal: true)
        try addTensors(c, depth: depth, hasHead: tensors?.keys.contains("lm_head.weight") ?? true)
    }

    static let siteMap = SiteMap(namings: [
        SiteNaming(
            name: "hf", roots: ["model.", ""], layers: "layers.",
            modules: [
                .q: "self_attn.q_proj", .k: "self_attn.k_proj", .v: "self_attn.v_proj", .o: "self_attn.o_proj",
                .gate: "mlp.gate_proj", .up: "mlp.up_proj", .down: "mlp.down_proj",
            ])
    ])

    private static func rotary(_ c: ConfigurationReader, headWidth: Int) throws -> RotaryEmbedding {
        let parameters = ConfigurationReader(
            json: c["rope_parameters"] ?? c["rope_scaling"] ?? .object([]), path: c.path)
        let base = try parameters.number("rope_theta", default: c.number("rope_theta", default: 10_000))
        if try c.number("partial_rotary_factor", default: 1) != 1 {
            throw c.unsupported("partial rotary embedding", "partial_rotary_factor")
        }
        let type = (parameters["rope_type"] ?? parameters["type"])?.string ?? "default"
        let scaling: RotaryEmbedding.Scaling
        switch type {
        case "default": scaling = .none
        case "linear": scaling = .linear(factor: try parameters.number("factor", default: 1))
        case "llama3":
            scaling = .llama3(
                factor: try parameters.number("factor", default: 8),
                lowFrequency: try parameters.number("low_freq_factor", default: 1),
                highFrequency: try parameters.number("high_freq_factor", default: 4),
                originalPositions: try parameters.number("original_max_position_embeddings", default: 8192))
        default: throw c.unsupported("rotary embedding '\(type)'", "rope_type")
        }
        return RotaryEmbedding(headWidth: headWidth, base: base, scaling: scaling)
    }

    /// The window of each layer: Mistral's holds for all layers, otherwise `layer_types` says which.
    private static func windows(_ c: ConfigurationReader, depth: Int) throws -> [Int?] {
        let none = [Int?](repeating: nil, count: depth)
        guard c["sliding_window"] != nil else { return none }
        let window = try c.count("sliding_window")
        if let types = c["layer_types"]?.array {
            guard types.count == depth else {
                throw Failure(.configBadValue, "one entry per layer expected", path: c.path, place: "layer_types")
            }
            return try types.map {
                switch $0.string {
                case "full_attention": nil
                case "sliding_attention": window
                default: throw c.unsupported("attention of type \($0.string ?? "?")", "layer_types")
                }
            }
        }
        if c.modelType == "mistral" { return [Int?](repeating: window, count: depth) }
        if try c.flag("use_sliding_window", default: false) {
            throw c.unsupported("a sliding window without layer_types", "use_sliding_window")
        }
        return none
    }

    func ignores(_ tensor: String) -> Bool {
        tensor.hasSuffix("rotary_emb.inv_freq") || tensor.hasPrefix("score.") || tensor.hasPrefix("classifier.")
            || (tensor == "lm_head.weight" && head == words)
    }

    private mutating func add(_ canonical: String, _ file: String, _ shape: [Int]) -> Int {
        let offset = layout.add(canonical, shape)
        sources.append(TensorSource(name: file, shape: shape, offset: offset))
        return offset
    }

    private mutating func fused(
        _ name: String, _ file: String, _ parts: [(site: String, module: String, outputs: Int)], inputs: Int, bias: Bool
    ) -> (weight: Int, bias: Int?) {
        let weights = parts.map {
            add("\(name).\($0.site).weight", "\(file).\($0.module).weight", [$0.outputs, inputs])
        }
        guard bias else { return (weights[0], nil) }
        let biases = parts.map { add("\(name).\($0.site).bias", "\(file).\($0.module).bias", [$0.outputs]) }
        return (weights[0], biases[0])
    }

    private mutating func addTensors(_ c: ConfigurationReader, depth: Int, hasHead: Bool) throws {
        let isQwen2 = c.modelType == "qwen2"
        let attentionBias = try isQwen2 || c.flag("attention_bias", default: false)
        let outputBias = attentionBias && !isQwen2
        let innerBias = try c.flag("mlp_bias", default: false)
        let windows = try Self.windows(c, depth: depth)
        let (query, key) = (heads * headWidth, keyHeads * headWidth)
        words = add("words", root + "embed_tokens.weight", [vocabulary, width])
        for n in 0..<depth {
            let (name, file) = ("layers.\(n)", root + "layers.\(n)")
            var block = Block(window: windows[n])
            block.norm1 = add(name + ".norm1.weight", file + ".input_layernorm.weight", [width])
            block.qkv = fused(
                name, file + ".self_attn", [("q", "q_proj", query), ("k", "k_proj", key), ("v", "v_proj", key)],
                inputs: width, bias: attentionBias)
            if c.modelType == "qwen3" {
                block.headNorms = (
                    add(name + ".q_norm.weight", file + ".self_attn.q_norm.weight", [headWidth]),
                    add(name + ".k_norm.weight", file + ".self_attn.k_norm.weight", [headWidth])
                )
            }
            block.o = fused(
                name, file + ".self_attn", [("o", "o_proj", width)], inputs: query, bias: outputBias)
            block.norm2 = add(name + ".norm2.weight", file + ".post_attention_layernorm.weight", [width])
            block.gateUp = fused(
                name, file + ".mlp", [("gate", "gate_proj", inner), ("up", "up_proj", inner)], inputs: width,
                bias: innerBias)
            block.down = fused(name, file + ".mlp", [("down", "down_proj", width)], inputs: inner, bias: innerBias)
            blocks.append(block)
        }
        norm = add("norm.weight", root + "norm.weight", [width])
        if try c.flag("tie_word_embeddings", default: false) {
            head = words
        } else if hasHead {
            head = add("head.weight", "lm_head.weight", [vocabulary, width])
        }
    }

    func assemble<S: NetworkScalar>(_ parameters: ParameterStore<S>) -> BackboneParts<S> {
        func linear(_ place: (weight: Int, bias: Int?), _ outputs: Int, _ inputs: Int) -> Linear<S> {
            Linear(parameters, outputs: outputs, inputs: inputs, weight: place.weight, bias: place.bias)
        }
        func rms(_ weight: Int, _ width: Int) -> Normalisation<S> {
            Normalisation(kind: .rootMeanSquare, width: width, epsilon: S(epsilon), weight: weight, bias: nil)
        }
        let tables = RotaryCache<S>(rotary)
        let query = heads * headWidth
        let layers = blocks.map { block in
            LlamaLayer(
                parameters, norm1: rms(block.norm1, width),
                qkv: linear(block.qkv, query + 2 * keyHeads * headWidth, width),
                headNorms: block.headNorms.map { (rms($0.query, headWidth), rms($0.key, headWidth)) }, rotary: tables,
                attention: Attention<S>(
                    heads: heads, keyHeads: keyHeads, headWidth: headWidth, causal: true, window: block.window),
                o: linear(block.o, width, query), norm2: rms(block.norm2, width),
                gateUp: linear(block.gateUp, 2 * inner, width), down: linear(block.down, width, inner))
        }
        return BackboneParts(
            embedding: TokenEmbedding(
                parameters, width: width, tables: .init(words: words, vocabulary: vocabulary)),
            layers: layers, finalNorm: rms(norm, width),
            languageHead: head.map { linear(($0, nil), vocabulary, width) })
    }
}
