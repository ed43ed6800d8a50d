import Diagnostics

/// BERT encoder (post-norm) and RoBERTa, which differs in names and in where positions begin.
///
/// Block: h = LN_a(X + MHA(X)·Woᵀ + bo); Y = LN_o(h + GELU(h·W1ᵀ + b1)·W2ᵀ + b2).
struct BERT: BackboneFamily {
    let description: BackboneDescription
    private(set) var layout = ParameterLayout()
    private(set) var sources: [TensorSource] = []

    private typealias Place = (weight: Int, bias: Int)
    private struct Block {
        var qkv: Place = (0, 0)
        var o: Place = (0, 0)
        var norm1: Place = (0, 0)
        var fc1: Place = (0, 0)
        var fc2: Place = (0, 0)
        var norm2: Place = (0, 0)
    }

    private let width: Int
    private let heads: Int
    private let inner: Int
    private let vocabulary: Int
    private let positionCount: Int
    private let typeCount: Int
    private let firstPosition: Int
    private let epsilon: Double
    private let activation: Activation
    private let root: String
    /// Names of norm weights: `weight`/`bias`, in very old files `gamma`/`beta`.
    private let normNames: (String, String)
    private var blocks: [Block] = []
    private var words = 0
    private var positions = 0
    private var types = 0
    private var norm: Place = (0, 0)
    private var pooler: Place?

    static func accepts(_ configuration: ConfigurationReader) -> Bool {
        ["bert", "roberta", "xlm-roberta"].contains(configuration.modelType)
    }

    init(_ c: ConfigurationReader, tensors: [String: [Int]]?) throws {
        let isRoberta = c.modelType != "bert"
        if try c.flag("is_decoder", default: false) { throw c.unsupported("a BERT decoder", "is_decoder") }
        if let kind = c["position_embedding_type"]?.string, kind != "absolute" {
            throw c.unsupported("position embedding '\(kind)'", "position_embedding_type")
        }
        width = try c.count("hidden_size", default: 768)
        heads = try c.count("num_attention_heads", default: 12)
        inner = try c.count("intermediate_size", default: 3072)
        vocabulary = try c.count("vocab_size", default: isRoberta ? 50265 : 30522)
        positionCount = try c.count("max_position_embeddings", default: 512)
        typeCount = try c.count("type_vocab_size", default: 2)
        epsilon = try c.number("layer_norm_eps", default: 1e-12)
        activation = try c.activation("hidden_act", default: "gelu")
        firstPosition = isRoberta ? (c["pad_token_id"]?.integer ?? 1) + 1 : 0
        _ = try c.divide(width, by: heads, "num_attention_heads")
        let depth = try c.count("num_hidden_layers", default: 12)
        let names = tensors.map { Set($0.keys) } ?? []
        let prefix = isRoberta ? "roberta." : "bert."
        root = names.contains { $0.hasPrefix(prefix + "embeddings.") } ? prefix : ""
        normNames = names.contains(root + "embeddings.LayerNorm.gamma") ? ("gamma", "beta") : ("weight", "bias")
        let hasPooler = names.contains(root + "pooler.dense.weight")
        description = BackboneDescription(
            family: "bert", modelType: c.modelType, width: width, depth: depth,
            input: .tokens(vocabulary: vocabulary, positions: positionCount - firstPosition),
            groups: [
                SiteGroup(
                    index: 0, inputs: width, outputs: 3 * width,
                    spans: [.q: 0..<width, .k: width..<2 * width, .v: 2 * width..<3 * width]),
                SiteGroup(index: 1, inputs: width, outputs: width, spans: [.o: 0..<width]),
                SiteGroup(index: 2, inputs: width, outputs: inner, spans: [.fc1: 0..<inner]),
                SiteGroup(index: 3, inputs: inner, outputs: width, spans: [.fc2: 0..<width]),
            ], siteMap: Self.siteMap, poolings: hasPooler ? [.cls, .mean, .pooler] : [.cls, .mean], isCausal: false)
        addTensors(depth: depth, hasPooler: hasPooler)
    }

    static let siteMap = SiteMap(namings: [
        SiteNaming(
            name: "hf", roots: ["bert.", "", "roberta.", "0.auto_model."], layers: "encoder.layer.",
            modules: [
                .q: "attention.self.query", .k: "attention.self.key", .v: "attention.self.value",
                .o: "attention.output.dense", .fc1: "intermediate.dense", .fc2: "output.dense",
            ])
    ])

    func ignores(_ tensor: String) -> Bool {
        let others = ["cls.", "classifier.", "lm_head.", "qa_outputs.", "score.", root + "pooler."]
        let buffers = [root + "embeddings.position_ids", root + "embeddings.token_type_ids"]
        return buffers.contains(tensor) || others.contains { tensor.hasPrefix($0) }
    }

    private mutating func add(_ canonical: String, _ file: String, _ shape: [Int]) -> Int {
        let offset = layout.add(canonical, shape)
        sources.append(TensorSource(name: root + file, shape: shape, offset: offset))
        return offset
    }

    private mutating func linear(_ canonical: String, _ file: String, _ shape: [Int]) -> Place {
        let weight = add(canonical + ".weight", file + ".weight", shape)
        return (weight, add(canonical + ".bias", file + ".bias", [shape[0]]))
    }

    private mutating func layerNorm(_ canonical: String, _ file: String) -> Place {
        let weight = add(canonical + ".weight", file + "." + normNames.0, [width])
        return (weight, add(canonical + ".bias", file + "." + normNames.1, [width]))
    }

    private mutating func addTensors(depth: Int, hasPooler: Bool) {
        words = add("words", "embeddings.word_embeddings.weight", [vocabulary, width])
        positions = add("positions", "embeddings.position_embeddings.weight", [positionCount, width])
        types = add("types", "embeddings.token_type_embeddings.weight", [typeCount, width])
        norm = layerNorm("norm", "embeddings.LayerNorm")
        for n in 0..<depth {
            let (name, file) = ("layers.\(n)", "encoder.layer.\(n)")
            var block = Block()
            let parts = [("q", "query"), ("k", "key"), ("v", "value")]
            let weights = parts.map {
                add(name + ".\($0.0).weight", file + ".attention.self.\($0.1).weight", [width, width])
            }
            let biases = parts.map { add(name + ".\($0.0).bias", file + ".attention.self.\($0.1).bias", [width]) }
            block.qkv = (weights[0], biases[0])
            block.o = linear(name + ".o", file + ".attention.output.dense", [width, width])
            block.norm1 = layerNorm(name + ".norm1", file + ".attention.output.LayerNorm")
            block.fc1 = linear(name + ".fc1", file + ".intermediate.dense", [inner, width])
            block.fc2 = linear(name + ".fc2", file + ".output.dense", [width, inner])
            block.norm2 = layerNorm(name + ".norm2", file + ".output.LayerNorm")
            blocks.append(block)
        }
        if hasPooler { pooler = linear("pooler", "pooler.dense", [width, width]) }
    }

    func assemble<S: NetworkScalar>(_ parameters: ParameterStore<S>) -> BackboneParts<S> {
        func linear(_ place: Place, _ outputs: Int, _ inputs: Int) -> Linear<S> {
            Linear(parameters, outputs: outputs, inputs: inputs, weight: place.weight, bias: place.bias)
        }
        func layerNorm(_ place: Place) -> Normalisation<S> {
            Normalisation(kind: .layer, width: width, epsilon: S(epsilon), weight: place.weight, bias: place.bias)
        }
        let attention = Attention<S>(heads: heads, keyHeads: heads, headWidth: width / heads)
        let layers = blocks.map { block in
            BERTLayer(
                parameters, qkv: linear(block.qkv, 3 * width, width), attention: attention,
                o: linear(block.o, width, width), norm1: layerNorm(block.norm1),
                fc1: linear(block.fc1, inner, width), fc2: linear(block.fc2, width, inner),
                norm2: layerNorm(block.norm2), activation: activation)
        }
        let tables = TokenEmbedding<S>.Tables(
            words: words, vocabulary: vocabulary, positions: (positions, positionCount), firstPosition: firstPosition,
            types: (types, typeCount))
        return BackboneParts(
            embedding: TokenEmbedding(parameters, width: width, tables: tables, norm: layerNorm(norm)),
            layers: layers, finalNorm: nil, pooler: pooler.map { linear($0, width, width) }, learnsParameters: true)
    }
}
