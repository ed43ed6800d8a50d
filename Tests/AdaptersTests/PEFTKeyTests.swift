import Testing

@testable import Adapters

@Suite struct PEFTKeyTests {
    @Test(arguments: [
        ("base_model.model.layers.0.q_proj.lora_A.weight", PEFTKey.Slot.a, "layers.0.q_proj"),
        ("layers.0.q_proj.lora_B.weight", .b, "layers.0.q_proj"),
        ("base_model.model.layers.0.q_proj.lora_A.default.weight", .a, "layers.0.q_proj"),
        ("base_model.model._orig_mod.layers.0.q_proj.lora_B.weight", .b, "layers.0.q_proj"),
        ("_orig_mod.base_model.model.layers.0._fsdp_wrapped_module.q.lora_B.weight", .b, "layers.0.q"),
        ("base_model.model.fc.lora_B.bias", .loraBias, "fc"),
        ("base_model.model.fc.lora_B.other.bias", .loraBias, "fc"),
        ("base_model.model.embed.lora_embedding_A", .embeddingA, "embed"),
        ("base_model.model.embed.lora_embedding_B.default", .embeddingB, "embed"),
        ("base_model.model.fc.lora_magnitude_vector", .magnitude, "fc"),
        ("base_model.model.fc.lora_magnitude_vector.weight", .magnitude, "fc"),
        ("base_model.model.fc.lora_magnitude_vector.default.weight", .magnitude, "fc"),
        ("base_model.model.embed.token_adapter.trainable_tokens_delta", .trainableTokens, "embed"),
        ("base_model.model.fc.base_layer.bias", .layerBias, "fc.bias"),
        ("base_model.model.norm.bias", .layerBias, "norm.bias"),
        ("base_model.model.classifier.weight", .whole, "classifier.weight"),
        ("base_model.model.classifier.modules_to_save.default.weight", .whole, "classifier.weight"),
        ("base_model.model.bn.running_mean", .unknown, "bn.running_mean"),
        ("optimizer.step", .unknown, "optimizer.step"),
        ("base_model.model.fc.hada_w1_a", .foreign, "fc.hada_w1_a"),
        ("lora_unet_x.lora_down.weight", .foreign, "lora_unet_x.lora_down.weight"),
        ("base_model.model.lora_A.weight", .unknown, "base_model.model.lora_A.weight"),
        ("", .unknown, ""),
    ])
    func `a key is taken apart`(key: String, slot: PEFTKey.Slot, name: String) {
        let parsed = PEFTKey(key)
        #expect(parsed.slot == slot)
        #expect(parsed.name == name)
    }
}
