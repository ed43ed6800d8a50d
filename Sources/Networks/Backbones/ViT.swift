import Diagnostics

/// Vision Transformer, pre-norm, with a class token: Hugging Face's `ViTModel` and timm's `VisionTransformer`.
///
/// Block: h = X + MHA(LN1(X))·Woᵀ + bo; Y = h + GELU(LN2(h)·W1ᵀ + b1)·W2ᵀ + b2.
struct ViT: BackboneFamily {
    let description: BackboneDescription
    private(set) var layout = ParameterLayout()
    private(set) var sources: [TensorSource] = []

    private struct Block {
        var norm1 = (weight: 0, bias: 0)
        var qkv = (weight: 0, bias: 0)
        var o = (weight: 0, bias: 0)
        var norm2 = (weight: 0, bias: 0)
        var fc1 = (weight: 0, bias: 0)
        var fc2 = (weight: 0, bias: 0)
    }

    private let width: Int
    private let heads: Int
    private let inner: Int
    private let patch: Int
    private let image: (channels: Int, height: Int, width: Int)
    private let epsilon: Double
    private let activation: Activation
    private let hasBias: Bool
    private let isTimm: Bool
    private let root: String
    private var blocks: [Block] = []
    private var cls = 0
    private var positions = 0
    private var projection = (weight: 0, bias: 0)
    private var norm = (weight: 0, bias: 0)
    private var pooler: (weight: Int, bias: Int)?

    static func accepts(_ configuration: ConfigurationReader) -> Bool {
        configuration.modelType == "vit" || isTimm(configuration)
    }

    private static func isTimm(_ configuration: ConfigurationReader) -> Bool {
        guard configuration.modelType.isEmpty, let name = configuration["architecture"]?.string else { return false }
        return name == "timm.VisionTransformer" || name == "VisionTransformer" || name.hasPrefix("vit_")
    }

    init(_ configuration: ConfigurationReader, tensors: [String: [Int]]?) throws {
        isTimm = Self.isTimm(configuration)
        let shape =
            isTimm
            ? try TimmShape(configuration, tensors: tensors) : try TimmShape(huggingFace: configuration)
        (width, heads, inner, patch) = (shape.width, shape.heads, shape.inner, shape.patch)
        (image, epsilon, activation, hasBias) = (shape.image, shape.epsilon, shape.activation, shape.hasBias)
        _ = try configuration.divide(width, by: heads, "num_attention_heads")
        let patches =
            try configuration.divide(image.height, by: patch, "patch_size")
            * configuration.divide(image.width, by: patch, "patch_size")
        root = !isTimm && (tensors?.keys.contains { $0.hasPrefix("vit.") } ?? true) ? "vit." : ""
        if let tensors { try Self.refuseVariants(tensors, configuration) }
        let hasPooler = tensors?.keys.contains(root + "pooler.dense.weight") ?? false
        description = Self.describe(shape, depth: shape.depth, isTimm: isTimm, hasPooler: hasPooler)
        if isTimm { addTimm(shape.depth, patches) } else { addHuggingFace(shape.depth, patches, hasPooler: hasPooler) }
    }

    private static func refuseVariants(_ tensors: [String: [Int]], _ configuration: ConfigurationReader) throws {
        let variants = [
            ("reg_token", "register tokens"), ("norm_pre.weight", "a norm in front of the blocks (norm_pre)"),
            ("blocks.0.ls1.gamma", "LayerScale (ls1.gamma)"),
            ("fc_norm.weight", "a norm behind mean pooling (fc_norm)"),
            ("blocks.0.attn.q_norm.weight", "query and key norms"), ("dist_token", "a distillation token"),
            ("blocks.0.attn.rel_pos.relative_position_bias_table", "relative position bias"),
        ]
        for (name, what) in variants where tensors[name] != nil {
            throw Failure(
                .configFeatureUnsupported, "\(what) is not implemented", path: configuration.path, place: name)
        }
        if isTimm(configuration), tensors["cls_token"] == nil {
            throw Failure(
                .configFeatureUnsupported, "a ViT without class token is not implemented", path: configuration.path,
                place: "cls_token")
        }
    }

    private static func describe(
        _ shape: TimmShape, depth: Int, isTimm: Bool, hasPooler: Bool
    ) -> BackboneDescription {
        let d = shape.width
        return BackboneDescription(
            family: "vit", modelType: isTimm ? "timm vit" : "vit", width: d, depth: depth,
            input: .images(channels: shape.image.channels, height: shape.image.height, width: shape.image.width),
            groups: [
                SiteGroup(
                    index: 0, inputs: d, outputs: 3 * d,
                    spans: [.q: 0..<d, .k: d..<2 * d, .v: 2 * d..<3 * d, .qkv: 0..<3 * d]),
                SiteGroup(index: 1, inputs: d, outputs: d, spans: [.o: 0..<d]),
                SiteGroup(index: 2, inputs: d, outputs: shape.inner, spans: [.fc1: 0..<shape.inner]),
                SiteGroup(index: 3, inputs: shape.inner, outputs: d, spans: [.fc2: 0..<d]),
            ], siteMap: siteMap, poolings: hasPooler ? [.cls, .mean, .pooler] : [.cls, .mean], isCausal: false)
    }

    static let siteMap = SiteMap(namings: [
        SiteNaming(
            name: "hf4", roots: ["vit.", ""], layers: "encoder.layer.",
            modules: [
                .q: "attention.attention.query", .k: "attention.attention.key", .v: "attention.attention.value",
                .o: "attention.output.dense", .fc1: "intermediate.dense", .fc2: "output.dense",
            ]),
        SiteNaming(
            name: "hf5", roots: ["vit.", ""], layers: "layers.",
            modules: [
                .q: "attention.q_proj", .k: "attention.k_proj", .v: "attention.v_proj", .o: "attention.o_proj",
                .fc1: "mlp.fc1", .fc2: "mlp.fc2",
            ]),
        SiteNaming(
            name: "timm", roots: [""], layers: "blocks.",
            modules: [.qkv: "attn.qkv", .o: "attn.proj", .fc1: "mlp.fc1", .fc2: "mlp.fc2"]),
    ])

    func ignores(_ tensor: String) -> Bool {
        let heads = ["head.", "classifier.", root + "pooler.", root + "embeddings.mask_token"]
        return heads.contains { tensor.hasPrefix($0) }
    }

    // MARK: Tensors

    private mutating func add(_ canonical: String, _ file: String?, _ shape: [Int]) -> Int {
        let offset = layout.add(canonical, shape)
        if let file { sources.append(TensorSource(name: file, shape: shape, offset: offset)) }
        return offset
    }

    private mutating func pair(_ canonical: String, _ file: String, _ shape: [Int]) -> (weight: Int, bias: Int) {
        let weight = add(canonical + ".weight", file + ".weight", shape)
        return (weight, add(canonical + ".bias", file + ".bias", [shape[0]]))
    }

    private mutating func addTimm(_ depth: Int, _ patches: Int) {
        let d = width
        cls = add("cls", "cls_token", [1, 1, d])
        positions = add("positions", "pos_embed", [1, patches + 1, d])
        projection = pair("patch", "patch_embed.proj", [d, image.channels, patch, patch])
        for n in 0..<depth {
            let (name, file) = ("layers.\(n)", "blocks.\(n)")
            var block = Block()
            block.norm1 = pair(name + ".norm1", file + ".norm1", [d])
            block.qkv.weight = add(name + ".qkv.weight", file + ".attn.qkv.weight", [3 * d, d])
            block.qkv.bias = add(name + ".qkv.bias", hasBias ? file + ".attn.qkv.bias" : nil, [3 * d])
            block.o = pair(name + ".o", file + ".attn.proj", [d, d])
            block.norm2 = pair(name + ".norm2", file + ".norm2", [d])
            block.fc1 = pair(name + ".fc1", file + ".mlp.fc1", [inner, d])
            block.fc2 = pair(name + ".fc2", file + ".mlp.fc2", [d, inner])
            blocks.append(block)
        }
        norm = pair("norm", "norm", [d])
    }

    private mutating func addHuggingFace(_ depth: Int, _ patches: Int, hasPooler: Bool) {
        let d = width
        cls = add("cls", root + "embeddings.cls_token", [1, 1, d])
        positions = add("positions", root + "embeddings.position_embeddings", [1, patches + 1, d])
        projection = pair(
            "patch", root + "embeddings.patch_embeddings.projection", [d, image.channels, patch, patch])
        for n in 0..<depth {
            let (name, file) = ("layers.\(n)", root + "encoder.layer.\(n)")
            var block = Block()
            block.norm1 = pair(name + ".norm1", file + ".layernorm_before", [d])
            let parts = [("q", "query"), ("k", "key"), ("v", "value")]
            let weights = parts.map { part in
                add(name + ".\(part.0).weight", file + ".attention.attention.\(part.1).weight", [d, d])
            }
            let biases = parts.map { part in
                add(name + ".\(part.0).bias", hasBias ? file + ".attention.attention.\(part.1).bias" : nil, [d])
            }
            block.qkv = (weights[0], biases[0])
            block.o = pair(name + ".o", file + ".attention.output.dense", [d, d])
            block.norm2 = pair(name + ".norm2", file + ".layernorm_after", [d])
            block.fc1 = pair(name + ".fc1", file + ".intermediate.dense", [inner, d])
            block.fc2 = pair(name + ".fc2", file + ".output.dense", [d, inner])
            blocks.append(block)
        }
        norm = pair("norm", root + "layernorm", [d])
        if hasPooler { pooler = pair("pooler", root + "pooler.dense", [d, d]) }
    }

    // MARK: Parts

    func assemble<S: NetworkScalar>(_ parameters: ParameterStore<S>) -> BackboneParts<S> {
        func linear(
            _ place: (weight: Int, bias: Int), _ outputs: Int, _ inputs: Int, hasBias: Bool = true
        ) -> Linear<S> {
            Linear(
                parameters, outputs: outputs, inputs: inputs, weight: place.weight, bias: hasBias ? place.bias : nil)
        }
        func layerNorm(_ place: (weight: Int, bias: Int)) -> Normalisation<S> {
            Normalisation(kind: .layer, width: width, epsilon: S(epsilon), weight: place.weight, bias: place.bias)
        }
        let attention = Attention<S>(heads: heads, keyHeads: heads, headWidth: width / heads)
        let layers = blocks.map { block in
            ViTLayer(
                parameters, norm1: layerNorm(block.norm1), qkv: linear(block.qkv, 3 * width, width, hasBias: hasBias),
                attention: attention, o: linear(block.o, width, width), norm2: layerNorm(block.norm2),
                fc1: linear(block.fc1, inner, width), fc2: linear(block.fc2, width, inner), activation: activation)
        }
        let embedding = PatchEmbedding(
            parameters, image: image, patch: patch, width: width,
            projection: linear(projection, width, image.channels * patch * patch), cls: cls, positions: positions)
        let length = embedding.length
        return BackboneParts(
            embedding: embedding, layers: layers, finalNorm: layerNorm(norm), meanStart: 1,
            pooler: pooler.map { linear($0, width, width) }, learnsParameters: true,
            targetRows: max(1, 160 / length) * length)
    }
}

/// Shapes of a ViT as either kind of configuration gives them.
private struct TimmShape {
    var width, heads, inner, depth, patch: Int
    var image: (channels: Int, height: Int, width: Int)
    var epsilon: Double
    var activation: Activation
    var hasBias: Bool

    init(huggingFace c: ConfigurationReader) throws {
        width = try c.count("hidden_size", default: 768)
        heads = try c.count("num_attention_heads", default: 12)
        inner = try c.count("intermediate_size", default: 3072)
        depth = try c.count("num_hidden_layers", default: 12)
        patch = try c.count("patch_size", default: 16)
        image.channels = try c.count("num_channels", default: 3)
        if let sides = c["image_size"]?.array, sides.count == 2, let height = sides[0].integer,
            let width = sides[1].integer, height > 0, width > 0
        {
            (image.height, image.width) = (height, width)
        } else {
            image.height = try c.count("image_size", default: 224)
            image.width = image.height
        }
        epsilon = try c.number("layer_norm_eps", default: 1e-12)
        activation = try c.activation("hidden_act", default: "gelu")
        hasBias = try c.flag("qkv_bias", default: true)
    }

    /// timm's own `config.json` names an architecture only; its shapes are then read off the tensors, heads are 64
    /// wide as in every `vit_{tiny,small,base,large}`.
    init(_ c: ConfigurationReader, tensors: [String: [Int]]?) throws {
        let named = c["embed_dim"] == nil && c["model_args"]?["embed_dim"] == nil
        let arguments = ConfigurationReader(json: c["model_args"] ?? c.json, path: c.path)
        epsilon = try arguments.number("layer_norm_eps", default: 1e-6)
        activation = try arguments.activation("act", default: "gelu")
        hasBias = try arguments.flag("qkv_bias", default: true)
        if c["global_pool"]?.string == "map" { throw c.unsupported("attention pooling", "global_pool") }
        guard named else {
            width = try arguments.count("embed_dim")
            heads = try arguments.count("num_heads")
            inner = Int(try arguments.number("mlp_ratio", default: 4) * Double(width))
            depth = try arguments.count("depth")
            patch = try arguments.count("patch_size")
            image.channels = try arguments.count("in_chans", default: 3)
            image.height = try arguments.count("img_size", default: 224)
            image.width = image.height
            return
        }
        let architecture = c["architecture"]?.string ?? ""
        let known = ["vit_tiny_patch", "vit_small_patch", "vit_base_patch", "vit_large_patch"]
        guard known.contains(where: { architecture.hasPrefix($0) }),
            let projection = tensors?["patch_embed.proj.weight"], projection.count == 4,
            let fc1 = tensors?["blocks.0.mlp.fc1.weight"], fc1.count == 2,
            let rows = tensors?["pos_embed"], rows.count == 3, projection[0] % 64 == 0
        else { throw c.unsupported("the architecture '\(architecture)'", "architecture") }
        width = projection[0]
        heads = width / 64
        inner = fc1[0]
        patch = projection[3]
        depth = tensors?.keys.filter { $0.hasSuffix(".norm1.weight") }.count ?? 0
        let side = Int(Double(rows[1] - 1).squareRoot().rounded())
        guard side * side == rows[1] - 1 else { throw c.unsupported("an image that is not square", "pos_embed") }
        image = (projection[1], side * patch, side * patch)
    }
}
