import Diagnostics

/// Mamba-1 and Falcon-Mamba: X′ = X + Mixer(RMS(X)). Falcon-Mamba normalises δ, B and C, without weights.
struct Mamba: BackboneFamily {
    let description: BackboneDescription
    private(set) var layout = ParameterLayout()
    private(set) var sources: [TensorSource] = []

    struct Shape: Sendable {
        var width: Int
        /// Channels of the scan.
        var inner: Int
        var states: Int
        var taps: Int
        /// Width of δ.
        var steps: Int
        var hasBias: Bool
        var hasConvolutionBias: Bool
        var epsilon: Double
        /// Falcon-Mamba: ε of the norms of δ, B and C.
        var mixerEpsilon: Double?
    }

    struct Block: Sendable {
        var norm = 0
        var `in`: (weight: Int, bias: Int?) = (0, nil)
        var convolution: (weight: Int, bias: Int?) = (0, nil)
        var x = 0
        var dt = (weight: 0, bias: 0)
        var aLog = 0
        var d = 0
        var out: (weight: Int, bias: Int?) = (0, nil)
    }

    private let shape: Shape
    private let vocabulary: Int
    private let embeddings: String
    private let root: String
    private var blocks: [Block] = []
    private var words = 0
    private var norm = 0
    private var head: Int?

    /// The original state-spaces files have no `model_type`; they name `ssm_cfg`.
    static func accepts(_ configuration: ConfigurationReader) -> Bool {
        ["mamba", "falcon_mamba"].contains(configuration.modelType)
            || (configuration.modelType.isEmpty && configuration["ssm_cfg"] != nil)
    }

    init(_ c: ConfigurationReader, tensors: [String: [Int]]?) throws {
        let original = c.modelType.isEmpty
        let ssm = ConfigurationReader(json: original ? c["ssm_cfg"] ?? .object([]) : c.json, path: c.path)
        if original, let layer = ssm["layer"]?.string, layer != "Mamba1" { throw c.unsupported(layer, "ssm_cfg.layer") }
        let width = try c.count(original ? "d_model" : "hidden_size")
        let inner = try ssm.count("expand", default: 2) * width
        let automatic = (width + 15) / 16
        let named = ssm["time_step_rank"] ?? ssm["dt_rank"]
        let steps =
            try named?.string == "auto"
            ? automatic
            : ssm.count("time_step_rank", "dt_rank", default: automatic)
        if let given = c["intermediate_size"]?.integer, given != inner, !original {
            throw Failure(
                .configBadValue, "intermediate_size \(given) is not expand · hidden_size = \(inner)", path: c.path,
                place: "intermediate_size")
        }
        guard try c.activation("hidden_act", default: "silu") == .silu else {
            throw c.unsupported("a Mamba with another activation than SiLU", "hidden_act")
        }
        shape = Shape(
            width: width, inner: inner, states: try ssm.count("state_size", "d_state", default: 16),
            taps: try ssm.count("conv_kernel", "d_conv", default: 4), steps: steps,
            hasBias: try ssm.flag("use_bias", default: false),
            hasConvolutionBias: try ssm.flag("use_conv_bias", default: true),
            epsilon: try c.number("layer_norm_epsilon", default: 1e-5),
            mixerEpsilon: c.modelType == "falcon_mamba" ? try c.number("mixer_rms_eps", default: 1e-6) : nil)
        let depth = try c.count(original ? "n_layer" : "num_hidden_layers")
        root = tensors?.keys.contains { $0.hasPrefix("backbone.") } ?? true ? "backbone." : ""
        embeddings = tensors?[root + "embedding.weight"] != nil ? "embedding.weight" : "embeddings.weight"
        // The original files pad the vocabulary: the table knows its size.
        vocabulary = try tensors?[root + embeddings]?.first ?? c.count("vocab_size")
        let parts = shape.steps + 2 * shape.states
        description = BackboneDescription(
            family: "mamba", modelType: original ? "mamba" : c.modelType, width: width, depth: depth,
            input: .tokens(vocabulary: vocabulary, positions: nil),
            groups: [
                SiteGroup(
                    index: 0, inputs: width, outputs: 2 * inner,
                    spans: [.in: 0..<2 * inner, .inX: 0..<inner, .inZ: inner..<2 * inner]),
                SiteGroup(index: 1, inputs: inner, outputs: parts, spans: [.x: 0..<parts]),
                SiteGroup(index: 2, inputs: shape.steps, outputs: inner, spans: [.dt: 0..<inner]),
                SiteGroup(index: 3, inputs: inner, outputs: width, spans: [.out: 0..<width]),
            ], siteMap: Self.siteMap, poolings: [.last, .mean], isCausal: true)
        let tied = try c.flag(original ? "tie_embeddings" : "tie_word_embeddings", default: true)
        addTensors(depth: depth, tied: tied, hasHead: tensors?.keys.contains("lm_head.weight") ?? true)
    }

    static let siteMap = SiteMap(namings: [
        SiteNaming(
            name: "hf", roots: ["backbone.", ""], layers: "layers.",
            modules: [
                .in: "mixer.in_proj", .x: "mixer.x_proj", .dt: "mixer.dt_proj", .out: "mixer.out_proj",
            ])
    ])

    func ignores(_ tensor: String) -> Bool { tensor == "lm_head.weight" && head == words }

    private mutating func add(_ canonical: String, _ file: String, _ shape: [Int]) -> Int {
        let offset = layout.add(canonical, shape)
        sources.append(TensorSource(name: file, shape: shape, offset: offset))
        return offset
    }

    private mutating func addTensors(depth: Int, tied: Bool, hasHead: Bool) {
        let s = shape
        words = add("words", root + embeddings, [vocabulary, s.width])
        for n in 0..<depth {
            let (name, file) = ("layers.\(n)", root + "layers.\(n).mixer")
            var block = Block()
            block.norm = add(name + ".norm.weight", root + "layers.\(n).norm.weight", [s.width])
            block.in.weight = add(name + ".in.weight", file + ".in_proj.weight", [2 * s.inner, s.width])
            if s.hasBias { block.in.bias = add(name + ".in.bias", file + ".in_proj.bias", [2 * s.inner]) }
            block.convolution.weight = add(name + ".conv.weight", file + ".conv1d.weight", [s.inner, 1, s.taps])
            if s.hasConvolutionBias {
                block.convolution.bias = add(name + ".conv.bias", file + ".conv1d.bias", [s.inner])
            }
            block.x = add(name + ".x.weight", file + ".x_proj.weight", [s.steps + 2 * s.states, s.inner])
            block.dt.weight = add(name + ".dt.weight", file + ".dt_proj.weight", [s.inner, s.steps])
            block.dt.bias = add(name + ".dt.bias", file + ".dt_proj.bias", [s.inner])
            block.aLog = add(name + ".A_log", file + ".A_log", [s.inner, s.states])
            block.d = add(name + ".D", file + ".D", [s.inner])
            block.out.weight = add(name + ".out.weight", file + ".out_proj.weight", [s.width, s.inner])
            if s.hasBias { block.out.bias = add(name + ".out.bias", file + ".out_proj.bias", [s.width]) }
            blocks.append(block)
        }
        norm = add("norm.weight", root + "norm_f.weight", [s.width])
        if tied {
            head = words
        } else if hasHead {
            head = add("head.weight", "lm_head.weight", [vocabulary, s.width])
        }
    }

    func assemble<S: NetworkScalar>(_ parameters: ParameterStore<S>) -> BackboneParts<S> {
        func rms(_ weight: Int) -> Normalisation<S> {
            Normalisation(
                kind: .rootMeanSquare, width: shape.width, epsilon: S(shape.epsilon), weight: weight, bias: nil)
        }
        return BackboneParts(
            embedding: TokenEmbedding(
                parameters, width: shape.width, tables: .init(words: words, vocabulary: vocabulary)),
            layers: blocks.map { MambaLayer(parameters, shape: shape, block: $0, norm: rms($0.norm)) },
            finalNorm: rms(norm),
            languageHead: head.map {
                Linear(parameters, outputs: vocabulary, inputs: shape.width, weight: $0, bias: nil)
            })
    }
}
