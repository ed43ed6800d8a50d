import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Adapters

@Suite struct AdapterReaderTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func `a folder written by PEFT is read with ranks and scales of its patterns`() throws {
        let adapter = try AdapterReader.read(path: Fixture.path("eve"))
        #expect(adapter.modules.count == 8)
        #expect(adapter.findings.isEmpty)
        #expect(adapter.format == "peft")
        #expect(adapter.metadata == ["format": "pt"])
        for module in adapter.modules {
            #expect(module.rank == (module.name.hasSuffix("q_proj") ? 8 : 4), "\(module.name)")
            let alpha = module.name.hasSuffix("fc1") ? 2.0 : 8.0
            #expect(module.alpha == alpha)
            #expect(module.scale == alpha / Double(module.rank))
            #expect(module.kind == .linear)
            #expect(module.deltaShape == [module.dOut, module.dIn])
        }
        #expect(adapter.modules.map(\.name) == adapter.modules.map(\.name).sorted())
        #expect(adapter.rankMin == 4 && adapter.rankMax == 8)
    }

    @Test func `rslora divides by the root of the rank`() throws {
        let adapter = try folder.read(linearFactors(["q"]), ["use_rslora": "true"])
        #expect(adapter.modules[0].scale == 8 / 2)
    }

    @Test func `names are normalised`() throws {
        let names = [
            ("base_model.model.x.q.lora_A.default.weight", [4, 10]),
            ("base_model.model._orig_mod.x.q.lora_B.default.weight", [12, 4]),
            ("x._fsdp_wrapped_module.v.lora_A.weight", [4, 10]), ("x.v.lora_B.weight", [12, 4]),
        ]
        let adapter = try folder.read(names.map { try tensor($0.0, $0.1) })
        #expect(adapter.modules.map(\.name) == ["x.q", "x.v"])
        #expect(adapter.findings.isEmpty)
    }

    @Test func `convolutions, embeddings, DoRA and biases keep their shapes`() throws {
        let prefix = "base_model.model."
        let adapter = try folder.read(
            [
                tensor(prefix + "conv.lora_A.weight", [4, 3, 5, 7]),
                tensor(prefix + "conv.lora_B.weight", [6, 4, 1, 1]),
                tensor(prefix + "conv.lora_magnitude_vector", [1, 6, 1, 1]),
                tensor(prefix + "conv.lora_B.bias", [6]),
                tensor(prefix + "one.lora_A.weight", [4, 3, 5]), tensor(prefix + "one.lora_B.weight", [6, 4, 1]),
                tensor(prefix + "one.lora_magnitude_vector.weight", [1, 6, 1]), tensor(prefix + "one.lora_B.bias", [6]),
                tensor(prefix + "tokens.lora_embedding_A", [4, 50]),
                tensor(prefix + "tokens.lora_embedding_B", [9, 4]),
                tensor(prefix + "tokens.lora_magnitude_vector", [9]),
            ], ["use_dora": "true", "lora_bias": "true"])
        let modules = Dictionary(uniqueKeysWithValues: adapter.modules.map { ($0.name, $0) })
        let convolution = try #require(modules["conv"])
        #expect(convolution.kind == .convolution)
        #expect(convolution.deltaShape == [6, 3, 5, 7])
        #expect(convolution.dOut == 6 && convolution.dIn == 105)
        #expect(convolution.bias?.shape == [6])
        #expect(modules["one"]?.deltaShape == [6, 3, 5])
        let embedding = try #require(modules["tokens"])
        #expect(embedding.kind == .embedding)
        #expect(embedding.deltaShape == [50, 9])
        #expect(embedding.dOut == 9 && embedding.dIn == 50 && embedding.magnitude != nil)
        #expect(adapter.findings.isEmpty)
    }

    @Test func `fan in fan out turns linear updates only`() throws {
        let convolution = [
            try tensor("conv.lora_A.weight", [4, 3, 1, 1]), try tensor("conv.lora_B.weight", [6, 4, 1, 1]),
        ]
        let adapter = try folder.read(linearFactors(["q"]) + convolution, ["fan_in_fan_out": "true"])
        #expect(adapter.modules.map(\.deltaShape) == [[6, 3, 1, 1], [10, 12]])
        #expect(adapter.modules.map(\.fanInFanOut) == [false, true])
    }

    @Test func `whole tensors find their role`() throws {
        let prefix = "base_model.model."
        let adapter = try folder.read(
            linearFactors(["q"]) + [
                tensor(prefix + "head.out.weight", [3, 4]), tensor(prefix + "head.out.bias", [3]),
                tensor(prefix + "head.norm.running_mean", [3], dtype: .i64),
                tensor(prefix + "q.base_layer.bias", [12]), tensor(prefix + "norm.bias", [12]),
                tensor(prefix + "emb.token_adapter.trainable_tokens_delta", [2, 8]),
                tensor(prefix + "model.embed_tokens.weight", [20, 8]), tensor("optimizer.step", [1]),
            ],
            ["modules_to_save": "[\"head\"]", "bias": "\"all\"", "trainable_token_indices": "{\"emb\": [1, 5]}"])
        #expect(
            adapter.saved.map { "\($0.name) \($0.role)" } == [
                "emb.token_adapter.trainable_tokens_delta tokens", "head.norm.running_mean savedModule",
                "head.out.bias savedModule", "head.out.weight savedModule", "model.embed_tokens.weight other",
                "norm.bias bias", "q.bias bias",
            ])
        #expect(
            adapter.findings == [
                Finding(
                    .adapterUnknownKey, .warning, place: "optimizer.step",
                    details: "belongs to no module of the adapter")
            ])
        #expect(adapter.unclaimed.map(\.name) == ["optimizer.step"])
    }

    @Test func `tensors that the configuration does not announce are reported and left alone`() throws {
        let adapter = try folder.read(
            linearFactors(["q"]) + [
                tensor("q.lora_magnitude_vector", [12]), tensor("q.lora_B.bias", [12]), tensor("q.bias", [12]),
                tensor("head.weight", [2, 2]), tensor("e.token_adapter.trainable_tokens_delta", [1, 2]),
            ])
        #expect(adapter.findings.count == 5)
        #expect(adapter.findings.allSatisfy { $0.code == "adapter.unknown_key" && $0.level == .warning })
        #expect(adapter.modules[0].magnitude == nil && adapter.modules[0].bias == nil)
        #expect(adapter.saved.isEmpty)
    }

    @Test func `a head of the task type counts as saved without being listed`() throws {
        let adapter = try folder.read(
            linearFactors(["q"]) + [tensor("base_model.model.classifier.weight", [3, 4])], ["task_type": "\"SEQ_CLS\""])
        #expect(adapter.saved.map(\.role) == [.savedModule])
    }

    @Test func `ranks of tensors count on request`() throws {
        var options = AdapterReader.Options()
        options.trustTensors = true
        let adapter = try folder.read(linearFactors(["q"]), ["r": "8"], options: options)
        #expect(adapter.modules[0].rank == 4)
        #expect(adapter.modules[0].scale == 2)
        #expect(adapter.findings.map(\.code) == ["config.assumed"])
        #expect(adapter.findings.map(\.level) == [.info])
    }

    @Test func `unknown fields stay in order`() throws {
        try folder.write(
            #"{"zebra": {"b": 1, "a": [1e-05]}, "peft_type": "LORA", "r": 4, "new_field": true}"#,
            "a/adapter_config.json")
        try folder.write(linearFactors(["q"]), "a/adapter_model.safetensors")
        let adapter = try AdapterReader.read(path: folder.file("a"))
        #expect(adapter.configuration.members?.map(\.key) == ["zebra", "peft_type", "r", "new_field"])
        #expect(adapter.configuration["zebra"]?.text() == #"{"b":1,"a":[1e-05]}"#)
        #expect(adapter.modules[0].alpha == 8)
    }

    @Test func `a bare file needs a scale and a base`() throws {
        try folder.write(linearFactors(["q"]), "bare.safetensors")
        let path = folder.file("bare.safetensors")
        let failure = #expect(throws: Failure.self) { try AdapterReader.read(path: path) }
        #expect(failure?.code == .configMissing)
        #expect(failure?.hint?.contains("--alpha") == true)
        var options = AdapterReader.Options()
        options.alpha = 16
        options.base = "example/base"
        let given = try AdapterReader.read(path: path, options: options)
        #expect(given.modules[0].scale == 4)
        #expect(given.base.name == "example/base")
        #expect(given.configuration == .null && given.findings.isEmpty)
        options.scale = 0.5
        #expect(try AdapterReader.read(path: path, options: options).modules[0].alpha == 2)
        options = AdapterReader.Options()
        options.assumesMissing = true
        let assumed = try AdapterReader.read(path: path, options: options)
        #expect(assumed.modules[0].scale == 1)
        #expect(assumed.findings.map(\.code) == ["config.assumed"])
    }

    @Test func `files that only a program could use are reported, pickles are not opened`() throws {
        try folder.write(configurationText(), "a/adapter_config.json")
        try folder.write(linearFactors(["q"]), "a/adapter_model.safetensors")
        for name in ["run.py", "lib.so", "optimizer.pt", "notes.txt", ".hidden.py", "tool"] {
            try folder.write(name == "tool" ? "#!/bin/sh\n" : "x", "a/" + name)
        }
        let adapter = try AdapterReader.read(path: folder.file("a"))
        #expect(
            adapter.findings.map { $0.code + " " + $0.place } == [
                "file.executable_content lib.so", "pickle.ignored optimizer.pt", "file.executable_content run.py",
                "file.executable_content tool",
            ])
    }

    @Test func `digests and the card come on request or by themselves`() throws {
        var options = AdapterReader.Options()
        options.digestsFiles = true
        try folder.write(configurationText(), "a/adapter_config.json")
        try folder.write(linearFactors(["q"]), "a/adapter_model.safetensors")
        try folder.write("---\nlicense: mit\n---\n", "a/README.md")
        let adapter = try AdapterReader.read(path: folder.file("a"), options: options)
        #expect(adapter.fileDigests.keys.sorted() == ["adapter_model.safetensors"])
        #expect(adapter.card == "---\nlicense: mit\n---\n")
        #expect(adapter.findings.isEmpty)
    }

    @Test func `shards are one adapter`() throws {
        let tensors = try linearFactors(["q", "v"])
        let names = ["adapter_model-00001-of-00002.safetensors", "adapter_model-00002-of-00002.safetensors"]
        try folder.write(Array(tensors[..<2]), "a/" + names[0])
        try folder.write(Array(tensors[2...]), "a/" + names[1])
        let map = tensors.enumerated().map { "\"\($1.name)\": \"\(names[$0 / 2])\"" }.joined(separator: ", ")
        try folder.write("{\"metadata\": {}, \"weight_map\": {\(map)}}", "a/adapter_model.safetensors.index.json")
        try folder.write(configurationText(), "a/adapter_config.json")
        let adapter = try AdapterReader.read(path: folder.file("a"))
        #expect(adapter.modules.map(\.name) == ["q", "v"])
    }

    @Test(.enabled(if: Shared.isThere), arguments: ["golden/adapters", "golden/real", "adapters"])
    func `all adapters at hand are read without a finding`(place: String) throws {
        let found = Shared.adapters(below: place)
        #expect(found.count >= 4)
        for name in found {
            let adapter = try AdapterReader.read(path: Shared.path(name))
            #expect(adapter.findings.isEmpty, "\(name)")
            #expect(!adapter.modules.isEmpty)
        }
    }
}
