/// A tensor name of a PEFT weight file, taken apart.
///
/// Dropped on the way: `base_model.model.`, the segments `_orig_mod` and `_fsdp_wrapped_module` that wrappers leave,
/// and an adapter name (`lora_A.default.weight`).
struct PEFTKey: Hashable {
    enum Slot: String, Hashable {
        case a = "lora_A"
        case b = "lora_B"
        case embeddingA = "lora_embedding_A"
        case embeddingB = "lora_embedding_B"
        case magnitude = "lora_magnitude_vector"
        case loraBias = "lora_B.bias"
        case trainableTokens = "token_adapter.trainable_tokens_delta"
        /// `.base_layer.bias` of an adapted layer, or `.bias` of any.
        case layerBias = "bias"
        /// `.weight` of a module, or any tensor below `modules_to_save`.
        case whole = "whole"
        /// A factor of another kind of adapter.
        case foreign
        case unknown
    }

    var slot: Slot
    /// Canonical module name; for `whole`, `layerBias`, `foreign` and `unknown` the parameter name in full.
    var name: String

    init(_ key: String) {
        var segments = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        segments.removeAll { $0 == "_orig_mod" || $0 == "_fsdp_wrapped_module" }
        if segments.starts(with: ["base_model", "model"]) { segments.removeFirst(2) }
        self = PEFTKey.factor(segments) ?? PEFTKey.whole(segments)
        if name.isEmpty {
            slot = .unknown
            name = key
        }
    }

    private init(_ slot: Slot, _ segments: some Collection<String>) {
        self.slot = slot
        name = segments.joined(separator: ".")
    }

    /// `module.lora_X[.adapter][.weight|.bias]`, `module.token_adapter.trainable_tokens_delta[.adapter]`.
    private static func factor(_ segments: [String]) -> PEFTKey? {
        guard let index = segments.lastIndex(where: { marks.contains($0) }) else { return nil }
        let module = segments[..<index]
        let rest = Array(segments[(index + 1)...])
        switch segments[index] {
        case "lora_A" where ends(rest, in: ["weight"]): return PEFTKey(.a, module)
        case "lora_B" where ends(rest, in: ["weight"]): return PEFTKey(.b, module)
        case "lora_B" where ends(rest, in: ["bias"]): return PEFTKey(.loraBias, module)
        case "lora_embedding_A" where rest.count <= 1: return PEFTKey(.embeddingA, module)
        case "lora_embedding_B" where rest.count <= 1: return PEFTKey(.embeddingB, module)
        case "lora_magnitude_vector" where rest.count <= 1 || ends(rest, in: ["weight"]):
            return PEFTKey(.magnitude, module)
        case "trainable_tokens_delta" where module.last == "token_adapter" && rest.count <= 1:
            return PEFTKey(.trainableTokens, module.dropLast())
        default:
            return foreignMarks.contains(segments[index]) ? PEFTKey(.foreign, segments) : nil
        }
    }

    private static let marks: Set<String> = foreignMarks.union([
        "lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector", "trainable_tokens_delta",
    ])

    /// Factors of LoHa, LoKr, kohya and MLX files.
    private static let foreignMarks: Set<String> = [
        "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "lokr_w1", "lokr_w1_a", "lokr_w1_b",
        "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "lora_down", "lora_up", "lora_mid", "lora_a", "lora_b",
    ]

    private static func ends(_ rest: [String], in endings: Set<String>) -> Bool {
        (1...2).contains(rest.count) && endings.contains(rest[rest.count - 1])
    }

    private static func whole(_ segments: [String]) -> PEFTKey {
        guard let last = segments.last, segments.count >= 2 else { return PEFTKey(.unknown, segments) }
        // The unsaved form of a stored module: `classifier.modules_to_save.default.weight`.
        if let index = segments.lastIndex(of: "modules_to_save"), index + 2 < segments.count, index > 0 {
            return PEFTKey(.whole, segments[..<index] + segments[(index + 2)...])
        }
        if last == "bias" {
            let module = segments.dropLast()
            return PEFTKey(.layerBias, (module.last == "base_layer" ? module.dropLast() : module) + ["bias"])
        }
        return PEFTKey(last == "weight" ? .whole : .unknown, segments)
    }
}
