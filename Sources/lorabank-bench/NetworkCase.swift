import Diagnostics
import Networks
import Tensors
import Training
import WeightFiles

/// One network at one batch size, with made-up weights and inputs, ready to run any number of times.
struct NetworkCase {
    let name: String
    /// Images or sentences of one run.
    let samples: Int
    /// Bytes of activations that backward read, the most of one block of samples; 0 without backward.
    var activationBytes: () -> Int = { 0 }
    let run: () throws -> Void

    static let names = [
        "minilm_forward", "minilm_adapter", "minilm_top2", "minilm_top2_separate", "small_vit_forward",
        "small_vit_step", "vit_b16_forward", "vit_b16_step", "vit_b16_step_checkpointing", "minilm_forward_bf16",
        "small_vit_forward_bf16", "vit_b16_forward_bf16",
    ]

    static func make(_ name: String, threads: Int) throws -> NetworkCase {
        switch name {
        case "minilm_forward": try NetworkForms.minilm.forward(name, batch: 32, threads: threads)
        case "minilm_adapter": try NetworkForms.minilm.adapted(name, batch: 32, threads: threads)
        case "minilm_top2": try NetworkForms.minilm.mixture(name, batch: 32, plan: .packed, threads: threads)
        case "minilm_top2_separate":
            try NetworkForms.minilm.mixture(name, batch: 32, plan: .separate, threads: threads)
        case "small_vit_forward": try NetworkForms.smallViT.forward(name, batch: 64, threads: threads)
        case "small_vit_step": try NetworkForms.smallViT.step(name, batch: 64, threads: threads)
        case "vit_b16_forward": try NetworkForms.baseViT.forward(name, batch: 8, threads: threads)
        case "vit_b16_step": try NetworkForms.baseViT.step(name, batch: 8, threads: threads)
        case "vit_b16_step_checkpointing":
            try NetworkForms.baseViT.step(name, batch: 8, threads: threads, checkpoints: true)
        case "minilm_forward_bf16":
            try NetworkForms.minilm.forward(name, batch: 32, threads: threads, precision: .bfloat16)
        case "small_vit_forward_bf16":
            try NetworkForms.smallViT.forward(name, batch: 64, threads: threads, precision: .bfloat16)
        case "vit_b16_forward_bf16":
            try NetworkForms.baseViT.forward(name, batch: 8, threads: threads, precision: .bfloat16)
        default:
            throw Failure(
                .usageBadArgument, "unknown case '\(name)'", hint: "cases: " + names.joined(separator: ", "))
        }
    }
}

/// Shapes of the networks that are measured.
struct NetworkForms {
    let configuration: [(String, JSONValue)]
    let pooling: Pooling
    /// Tokens per sentence.
    var length = 0
    let adapted: [SiteKind]

    private static func vit(_ image: Int, _ patch: Int, _ channels: Int, _ width: Int, _ depth: Int, _ heads: Int)
        -> NetworkForms
    {
        let numbers = [
            ("image_size", image), ("patch_size", patch), ("num_channels", channels), ("hidden_size", width),
            ("num_hidden_layers", depth), ("num_attention_heads", heads), ("intermediate_size", 4 * width),
        ]
        return NetworkForms(
            configuration: [("model_type", .string("vit"))] + numbers.map { ($0.0, .number(String($0.1))) },
            pooling: .cls, adapted: [.qkv, .o])
    }

    static let smallViT = vit(28, 7, 1, 128, 6, 4)
    static let baseViT = vit(224, 16, 3, 768, 12, 12)
    static let minilm = NetworkForms(
        configuration: [("model_type", .string("bert"))]
            + [
                ("hidden_size", 384), ("num_hidden_layers", 6), ("num_attention_heads", 12),
                ("intermediate_size", 1536), ("vocab_size", 30522), ("max_position_embeddings", 512),
                ("type_vocab_size", 2),
            ].map { ($0.0, .number(String($0.1))) }, pooling: .mean, length: 32, adapted: [.q, .k, .v, .o])

    /// The network with normal weights of deviation 0.02 and norms of weight 1.
    func backbone(_ precision: Precision = .float32) throws -> Backbone<Float> {
        let backbone = try Backbone<Float>(configuration: .object(configuration.map { .init($0.0, $0.1) }))
        for entry in backbone.parameters.entries {
            let elements = backbone.parameters.elements(of: entry)
            if entry.shape.count == 1 {
                elements.update(repeating: entry.name.hasSuffix(".weight") ? 1 : 0)
            } else {
                NetworkForms.fill(elements, entry.name)
            }
        }
        backbone.precision = precision
        backbone.weightsChanged()
        return backbone
    }

    private static func fill(_ target: UnsafeMutableBufferPointer<Float>, _ name: String) {
        CounterRandom(seed: 1, stream: "bench", name).fillNormals(from: 0, into: target)
        for i in target.indices { target[i] *= 0.02 }
    }

    func input(_ backbone: Backbone<Float>, batch: Int) -> NetworkInput<Float> {
        let random = CounterRandom(seed: 2, stream: "input")
        switch backbone.description.input {
        case .images(let channels, let height, let width):
            var pixels = [Float](repeating: 0, count: batch * channels * height * width)
            pixels.withUnsafeMutableBufferPointer { random.fillNormals(from: 0, into: $0) }
            return .images(pixels)
        case .tokens(let vocabulary, _):
            return .tokens(
                TokenBatch(
                    (0..<batch).map { sample in
                        (0..<length).map {
                            Int32(random.uniform(UInt64(sample * length + $0)) * Float(vocabulary - 1))
                        }
                    }))
        }
    }

    func slot(_ backbone: Backbone<Float>, _ name: String, rank: Int) throws -> LoRASlot<Float> {
        let slot = try LoRASlot<Float>(
            name: name, sites: backbone.description.sites(adapted).map { ($0, rank, 1.0) }, on: backbone.description)
        NetworkForms.fill(slot.values, name)
        return slot
    }

    func forward(
        _ name: String, batch: Int, threads: Int, precision: Precision = .float32
    ) throws -> NetworkCase {
        let backbone = try backbone(precision)
        let input = input(backbone, batch: batch)
        return NetworkCase(name: name, samples: batch) {
            _ = try backbone.features(input, pooling: pooling, threads: threads)
        }
    }

    /// One adapter of rank 16 for every sample.
    func adapted(_ name: String, batch: Int, threads: Int) throws -> NetworkCase {
        let backbone = try backbone()
        let input = input(backbone, batch: batch)
        let mix = try AdapterMix([slot(backbone, "adapter", rank: 16)], on: backbone.description)
        return NetworkCase(name: name, samples: batch) {
            _ = try backbone.features(input, pooling: pooling, mix: mix, threads: threads)
        }
    }

    /// Ten adapters of rank 16; every token row goes through two of them.
    func mixture(
        _ name: String, batch: Int, plan: AdapterMix<Float>.Plan, threads: Int
    ) throws -> NetworkCase {
        let backbone = try backbone()
        let input = input(backbone, batch: batch)
        let slots = try (0..<10).map { try slot(backbone, "expert\($0)", rank: 16) }
        let mix = try AdapterMix(slots, on: backbone.description, plan: plan)
        let random = CounterRandom(seed: 3, stream: "experts")
        var weights = [Float](repeating: 0, count: batch * length * 10)
        for row in 0..<batch * length {
            let first = Int(random.uniform(UInt64(2 * row)) * 10)
            let second = (first + 1 + Int(random.uniform(UInt64(2 * row + 1)) * 9)) % 10
            weights[row * 10 + first] = 0.625
            weights[row * 10 + second] = 0.375
        }
        let coefficients = Coefficients<Float>.perRow(weights)
        return NetworkCase(name: name, samples: batch) {
            _ = try backbone.features(
                input, pooling: pooling, mix: mix, coefficients: coefficients, threads: threads)
        }
    }

    /// Forward, backward and AdamW of an adapter of rank 8 with half the squared features as loss.
    func step(_ name: String, batch: Int, threads: Int, checkpoints: Bool = false) throws -> NetworkCase {
        let backbone = try backbone()
        backbone.usesGradientCheckpointing = checkpoints
        let input = input(backbone, batch: batch)
        let slot = try slot(backbone, "adapter", rank: 8)
        let mix = try AdapterMix([slot], on: backbone.description, trainable: [0])
        let gradients = Gradients(backbone: backbone, mix: mix)
        guard let gradient = gradients.slots[0] else { return NetworkCase(name: name, samples: 0) {} }
        let optimizer = Optimizer<Float>(
            .adamw, groups: [ParameterGroup(name: "lora", values: slot.values, gradient: gradient)])
        let width = backbone.description.width
        let scale = 1 / Float(batch)
        var result = NetworkCase(name: name, samples: batch) {
            gradients.zero()
            try backbone.step(input, pooling: pooling, mix: mix, into: gradients, threads: threads) {
                samples, features, slope, _ in
                for i in 0..<samples.count * width { slope[i] = features[i] * scale }
            }
            optimizer.step(learningRate: 1e-4)
            mix.refresh()
        }
        result.activationBytes = { backbone.activationBytes }
        return result
    }
}
