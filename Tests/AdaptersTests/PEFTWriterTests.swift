import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Adapters

@Suite struct PEFTWriterTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func inMemory(
        _ name: String, rank: Int, scale: Double = 1, dOut: Int = 9, dIn: Int = 7, seed: UInt64 = 3
    ) throws -> LoRAModule {
        LoRAModule(
            name: name, kind: .linear, dOut: dOut, dIn: dIn, rank: rank, scale: scale, alpha: scale * Double(rank),
            a: try tensor("a", [rank, dIn], seed: seed), b: try tensor("b", [dOut, rank], seed: seed + 1),
            deltaShape: [dOut, dIn])
    }

    private func adapter(_ modules: [LoRAModule], configuration: JSONValue = .null) -> Adapter {
        Adapter(
            modules: modules.sorted { Adapter.namePrecedes($0.name, $1.name) }, saved: [],
            base: BaseIdentity(name: "example/base", revision: "main"), format: "peft", configuration: configuration,
            findings: [])
    }

    private func rewritten(_ adapter: Adapter) throws -> Adapter {
        let path = folder.file(UUID().uuidString)
        try PEFTWriter.write(adapter, to: path)
        return try AdapterReader.read(path: path)
    }

    /// Names that are tails of one another, or patterns for one another.
    private static let nastyNames = [
        "fc1", "x.fc1", "y.x.fc1", "x_fc1", "a.b", "aXb", "a+b", "a.b.c", "c", "0", "1.0", "q(proj)", "[q]", "q*", "é",
        "z.é", "model.layers.1.q", "model.layers.11.q", "layers.1.q", "model_layers.1.q", "$", "a|b", "b^", "{2}",
        "\\d",
    ]

    @Test(arguments: 0..<20)
    func `random ranks and scales of nasty names come back`(seed: Int) throws {
        var numbers = Numbers(UInt64(seed + 1))
        let modules = try PEFTWriterTests.nastyNames.enumerated().map { index, name in
            let rank = 1 + Int((numbers.next() + 0.5) * 5)
            let scale = seed % 2 == 0 ? 1 : [0.25, 1, 2.5][Int((numbers.next() + 0.5) * 2.99)]
            return try inMemory(name, rank: rank, scale: scale, seed: UInt64(index + 5))
        }
        let original = adapter(modules)
        let copy = try rewritten(original)
        #expect(copy.modules.map(\.name) == original.modules.map(\.name))
        #expect(copy.modules.map(\.rank) == original.modules.map(\.rank))
        #expect(copy.modules.map(\.scale) == original.modules.map(\.scale))
        #expect(copy.deltaID() == original.deltaID())
        #expect(copy.findings.isEmpty)
        if seed % 2 == 0 {
            #expect(copy.configuration["rank_pattern"] == copy.configuration["alpha_pattern"])
            #expect(copy.configuration["r"] == copy.configuration["lora_alpha"])
        }
    }

    @Test func `every key matches its module alone`() throws {
        let names = PEFTWriterTests.nastyNames
        let keys = PEFTModuleKeys(names)
        for (index, name) in names.enumerated() {
            let key = keys.key(at: index)
            let hits = try names.filter { try matches(key, $0) }
            #expect(hits == [name], "\(key)")
        }
        #expect(keys.key(at: 0) == "^fc1")
        #expect(PEFTModuleKeys(["model.layers.0.q_proj", "v"]).key(at: 0) == "model.layers.0.q_proj")
        #expect(PEFTModuleKeys(["a.b", "aXb"]).key(at: 0) == #"a\.b"#)
    }

    @Test func `the most common rank is the default`() throws {
        let ranks = [4, 8, 8, 2]
        let modules = try ranks.enumerated().map { try inMemory("layers.\($0).q", rank: $1) }
        let configuration = PEFTWriter.configuration(
            for: PEFTLayout(adapter(modules)), base: BaseIdentity(name: "example/base"), source: nil)
        #expect(configuration["r"] == .number("8"))
        #expect(configuration["lora_alpha"] == .number("8"))
        #expect(configuration["rank_pattern"]?.text() == #"{"layers.0.q":4,"layers.3.q":2}"#)
        #expect(configuration["alpha_pattern"] == configuration["rank_pattern"])
        #expect(configuration["use_rslora"] == .bool(false))
        #expect(configuration["base_model_name_or_path"] == .string("example/base"))
        #expect(configuration["target_modules"]?.array?.count == 4)
        #expect(configuration["peft_type"] == .string("LORA"))
        let text = String(decoding: PEFTWriter.configurationText(configuration), as: UTF8.self)
        #expect(text.hasPrefix("{\n  \"alpha_pattern\": {\n    \"layers.0.q\": 4,"))
    }

    @Test func `fields of the source that still hold are kept`() throws {
        let source = try StrictJSON.parse(
            """
            {"peft_type": "LORA", "r": 64, "lora_alpha": 3, "use_rslora": true, "task_type": "CAUSAL_LM",
             "new_field": {"z": 1}, "layers_to_transform": [1], "exclude_modules": ["x"], "init_lora_weights": "pissa",
             "rank_pattern": {"q": 2}, "target_modules": "all-linear", "bias": "all", "modules_to_save": ["head", "gone"],
             "auto_mapping": {"a": "b"}, "trainable_token_indices": [1], "loftq_config": {"x": 1}, "eva_config": {"y": 2}}
            """, .configuration)
        var merged = adapter([try inMemory("q", rank: 4)], configuration: source)
        merged.saved = [
            SavedTensor(name: "head.weight", role: .savedModule, tensor: try tensor("h", [2, 2])),
            SavedTensor(name: "other.out.weight", role: .savedModule, tensor: try tensor("o", [2, 2])),
        ]
        let configuration = PEFTWriter.configuration(for: PEFTLayout(merged), base: merged.base, source: source)
        #expect(configuration["new_field"]?.text() == #"{"z":1}"#)
        #expect(configuration["task_type"] == .string("CAUSAL_LM"))
        #expect(configuration["auto_mapping"]?.text() == #"{"a":"b"}"#)
        #expect(configuration["modules_to_save"]?.text() == #"["head","other.out"]"#)
        #expect(configuration["use_rslora"] == .bool(false))
        #expect(configuration["init_lora_weights"] == .bool(true))
        #expect(configuration["rank_pattern"] == .object([]))
        #expect(configuration["target_modules"]?.text() == #"["q"]"#)
        #expect(configuration["bias"] == .string("none"))
        for name in ["layers_to_transform", "exclude_modules", "trainable_token_indices", "eva_config"] {
            #expect(configuration[name] == .null, "\(name)")
        }
        #expect(configuration["loftq_config"] == .object([]))
        let keys = try #require(configuration.members).map(\.key)
        #expect(keys == keys.sorted())
        #expect(try rewritten(merged).saved.map(\.name) == ["head.weight", "other.out.weight"])
    }

    @Test func `a source of another kind gives no fields`() throws {
        let source = JSONValue.object([.init("fine_tune_type", .string("lora")), .init("r", .number("3"))])
        let layout = PEFTLayout(adapter([try inMemory("q", rank: 4)]))
        let configuration = PEFTWriter.configuration(for: layout, base: BaseIdentity(name: ""), source: source)
        #expect(configuration["fine_tune_type"] == nil)
        #expect(configuration["base_model_name_or_path"] == .null)
        #expect(configuration["bias"] == .string("none"))
    }

    @Test func `all kinds of modules and companions make the round trip`() throws {
        let prefix = "base_model.model."
        let original = try folder.read(
            [
                tensor(prefix + "conv.lora_A.weight", [4, 3, 5, 7]),
                tensor(prefix + "conv.lora_B.weight", [6, 4, 1, 1]),
                tensor(prefix + "conv.lora_magnitude_vector", [1, 6, 1, 1]), tensor(prefix + "conv.lora_B.bias", [6]),
                tensor(prefix + "one.lora_A.weight", [4, 3, 5], dtype: .bf16),
                tensor(prefix + "one.lora_B.weight", [6, 4, 1], dtype: .f16),
                tensor(prefix + "one.lora_magnitude_vector", [1, 6, 1]), tensor(prefix + "one.lora_B.bias", [6]),
                tensor(prefix + "emb.lora_embedding_A", [4, 50]), tensor(prefix + "emb.lora_embedding_B", [9, 4]),
                tensor(prefix + "emb.lora_magnitude_vector", [9]),
                tensor(prefix + "head.weight", [3, 4]), tensor(prefix + "one.base_layer.bias", [6]),
                tensor(prefix + "norm.bias", [6]), tensor(prefix + "lm_head.weight", [5, 2]),
                tensor(prefix + "emb.token_adapter.trainable_tokens_delta", [2, 9]),
            ],
            [
                "use_dora": "true", "lora_bias": "true", "bias": "\"all\"", "modules_to_save": "[\"head\"]",
                "trainable_token_indices": "[3, 4]", "use_rslora": "true",
            ])
        let copy = try rewritten(original)
        #expect(copy.findings.isEmpty)
        #expect(copy.deltaID() == original.deltaID())
        #expect(copy.modules.map(\.kind) == original.modules.map(\.kind))
        #expect(copy.modules.map(\.deltaShape) == original.modules.map(\.deltaShape))
        #expect(copy.modules.map(\.a.dtype) == original.modules.map(\.a.dtype))
        #expect(copy.modules.map(\.b.dtype) == original.modules.map(\.b.dtype))
        #expect(copy.saved.map(\.name) == original.saved.map(\.name))
        #expect(copy.saved.map(\.role) == original.saved.map(\.role))
        for (a, b) in zip(copy.saved, original.saved) { #expect(Array(a.tensor.bytes) == Array(b.tensor.bytes)) }
        for (a, b) in zip(copy.modules, original.modules) {
            #expect(abs(a.scale - b.scale) <= 1e-15 * abs(b.scale))
            #expect(a.bias.map { Array($0.bytes) } == b.bias.map { Array($0.bytes) })
        }
        #expect(copy.metadata == ["format": "pt"])
    }

    @Test func `fan in fan out makes the round trip`() throws {
        let original = try folder.read(linearFactors(["q"]), ["fan_in_fan_out": "true"])
        let copy = try rewritten(original)
        #expect(copy.deltaID() == original.deltaID())
        #expect(copy.modules[0].fanInFanOut && copy.modules[0].deltaShape == [10, 12])
    }

    @Test func `the layout names every tensor and what stands in it`() throws {
        let layout = PEFTLayout(
            modules: [
                PEFTModule(name: "q", rank: 2, deltaShape: [5, 3], dtype: .bf16),
                PEFTModule(name: "c", kind: .convolution, rank: 2, deltaShape: [4, 3, 2, 2]),
            ], saved: [PEFTSavedTensor(name: "q.bias", role: .bias, dtype: .f32, shape: [5])])
        #expect(
            layout.tensors.map { "\($0.name) \($0.dtype.rawValue) \($0.shape)" } == [
                "base_model.model.q.lora_A.weight BF16 [2, 3]", "base_model.model.q.lora_B.weight BF16 [5, 2]",
                "base_model.model.c.lora_A.weight F32 [2, 3, 2, 2]",
                "base_model.model.c.lora_B.weight F32 [4, 2, 1, 1]",
                "base_model.model.q.base_layer.bias F32 [5]",
            ])
        #expect(layout.tensors.map(\.part) == [.a(module: 0), .b(module: 0), .a(module: 1), .b(module: 1), .saved(0)])
    }

    @Test func `nothing is overwritten unasked`() throws {
        let sample = adapter([try inMemory("q", rank: 2)])
        try PEFTWriter.write(sample, to: folder.file("out"))
        let failure = #expect(throws: Failure.self) { try PEFTWriter.write(sample, to: folder.file("out")) }
        #expect(failure?.code == .outputExists)
        try PEFTWriter.write(sample, to: folder.file("out"), overwrite: true)
        #expect(try AdapterReader.read(path: folder.file("out")).modules.count == 1)
    }
}
