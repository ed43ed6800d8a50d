import Adapters
import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Networks

/// Strict loading of backbones; adapters of every spelling onto canonical sites.
@Suite struct LoadingTests {
    /// A copy of a fixture with other configuration keys and tensors.
    static func altered(
        _ name: String, configuration: [String: JSONValue] = [:], remove: Set<String> = [],
        add: [String: [Int]] = [:], rename: (String) -> String = { $0 }
    ) throws -> String {
        let fixture = try Fixture(name)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("net-" + UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let text = try String(contentsOfFile: fixture.folder + "/config.json", encoding: .utf8)
        var members = try #require(try StrictJSON.parse(text, .configuration).members)
        members.removeAll { configuration[$0.key] != nil }
        members += configuration.map { JSONValue.Member($0, $1) }
        try JSONValue.object(members).text().write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
        let weights = try #require(try WeightFolder.open("model", in: FolderSource(path: fixture.folder)))
        var buffers: [TensorBuffer] = []
        for view in weights.tensors where !remove.contains(view.name) {
            let buffer = try TensorBuffer(name: rename(view.name), dtype: view.dtype, shape: view.shape)
            buffer.bytes.copyMemory(from: view.bytes)
            buffers.append(buffer)
        }
        for (name, shape) in add { buffers.append(try TensorBuffer(name: name, dtype: .f32, shape: shape)) }
        _ = try SafetensorsWriter.write(buffers.map(\.view), to: folder + "/model.safetensors")
        return folder
    }

    static func failure(_ folder: String) -> Failure? {
        do {
            _ = try Backbone<Float>(folder: folder)
            return nil
        } catch { return error as? Failure }
    }

    @Test func `missing, unexpected and misshapen tensors are named`() throws {
        let missing = Self.failure(try Self.altered("bert", remove: ["encoder.layer.1.output.dense.weight"]))
        #expect(missing?.code == .backboneMissingTensor && missing?.place == "encoder.layer.1.output.dense.weight")
        let extra = Self.failure(try Self.altered("llama", add: ["model.layers.0.surprise": [2]]))
        #expect(extra?.code == .backboneUnexpectedTensor && extra?.place == "model.layers.0.surprise")
        let shape = Self.failure(try Self.altered("mamba", configuration: ["state_size": .number("4")]))
        #expect(shape?.code == .backboneShapeMismatch && shape?.details["expected"] != nil)
        let deeper = Self.failure(try Self.altered("vit_timm", configuration: ["depth": .number("1")]))
        #expect(deeper?.code == .backboneUnexpectedTensor)
        #expect(Self.failure("/nowhere")?.code == .configMissing)
    }

    @Test(arguments: [
        ("vit_timm", "reg_token", "register"), ("vit_timm", "norm_pre.weight", "norm_pre"),
        ("vit_timm", "blocks.0.ls1.gamma", "LayerScale"), ("vit_timm", "fc_norm.weight", "fc_norm"),
        ("vit_timm", "blocks.0.attn.q_norm.weight", "query and key norms"),
    ])
    func `variants that are not implemented are refused by name`(_ name: String, _ tensor: String, _ what: String)
        throws
    {
        let found = Self.failure(try Self.altered(name, add: [tensor: [1]]))
        #expect(found?.code == .configFeatureUnsupported && found?.message.contains(what) == true)
    }

    @Test func `configurations that are not implemented are refused by name`() throws {
        let yarn = JSONValue.object([.init("rope_type", .string("yarn")), .init("rope_theta", .number("10000"))])
        let cases: [(String, String, JSONValue)] = [
            ("llama", "rope_parameters", yarn), ("llama", "hidden_act", .string("gelu")),
            ("bert", "position_embedding_type", .string("relative_key")), ("bert", "is_decoder", .bool(true)),
            ("bert", "hidden_act", .string("swiglu")), ("qwen2", "use_sliding_window", .bool(true)),
        ]
        for (name, key, value) in cases {
            var change = [key: value]
            if key == "use_sliding_window" {
                change["sliding_window"] = .number("4")
                change["layer_types"] = .null
            }
            #expect(
                Self.failure(try Self.altered(name, configuration: change))?.code == .configFeatureUnsupported, "\(key)"
            )
        }
        let other = Self.failure(try Self.altered("bert", configuration: ["model_type": .string("t5")]))
        #expect(other?.code == .configUnsupportedType && other?.hint?.contains("qwen3") == true)
        let type = Self.failure(try Self.altered("bert", configuration: ["hidden_size": .string("24")]))
        #expect(type?.code == .configBadType && type?.place == "hidden_size")
        let heads = Self.failure(try Self.altered("bert", configuration: ["num_attention_heads": .number("5")]))
        #expect(heads?.code == .configBadValue)
    }

    @Test func `older spellings of configurations and tensors load to the same backbone`() throws {
        let cases: [(String, [String: JSONValue], (String) -> String)] = [
            (
                "llama",
                [
                    "rope_parameters": .null, "rope_theta": .number("1000.0"),
                    "rope_scaling": .object([
                        .init("type", .string("llama3")), .init("factor", .number("4.0")),
                        .init("low_freq_factor", .number("1.0")), .init("high_freq_factor", .number("4.0")),
                        .init("original_max_position_embeddings", .number("16")),
                    ]),
                ], { $0 }
            ),
            (
                "bert", [:],
                {
                    "bert."
                        + $0.replacingOccurrences(of: "LayerNorm.weight", with: "LayerNorm.gamma")
                        .replacingOccurrences(of: "LayerNorm.bias", with: "LayerNorm.beta")
                }
            ),
            ("mamba", [:], { $0.replacingOccurrences(of: "embeddings.weight", with: "embedding.weight") }),
            ("qwen3", [:], { $0.hasPrefix("model.") ? String($0.dropFirst(6)) : $0 }),
        ]
        for (name, change, rename) in cases {
            let fixture = try Fixture(name)
            let folder = try Self.altered(name, configuration: change, rename: rename)
            let found = try Backbone<Float>(folder: folder).hiddenStates(try fixture.input())
            #expect(found == (try fixture.backbone().hiddenStates(try fixture.input())), "\(name)")
        }
    }

    @Test func `linear scaling divides the frequencies`() {
        let plain = RotaryEmbedding(headWidth: 8, base: 100, scaling: .none).frequencies
        let scaled = RotaryEmbedding(headWidth: 8, base: 100, scaling: .linear(factor: 4)).frequencies
        #expect(zip(plain, scaled).allSatisfy { abs($0 / 4 - $1) < 1e-15 })
        #expect(plain[0] == 1 && abs(plain[3] - pow(100, -0.75)) < 1e-15)
    }

    // MARK: Sites

    @Test func `every spelling of a ViT module is the same site`() throws {
        let map = ViT.siteMap
        let q = SiteID(layer: 3, kind: .q)
        let spellings = [
            "vit.encoder.layer.3.attention.attention.query", "encoder.layer.3.attention.attention.query",
            "vit.layers.3.attention.q_proj", "layers.3.attention.q_proj",
        ]
        for name in spellings { #expect(map.site(forModule: name) == q) }
        #expect(map.site(forModule: "blocks.3.attn.qkv") == SiteID(layer: 3, kind: .qkv))
        #expect(map.module(for: q, naming: "hf4") == spellings[0])
        #expect(map.module(for: q, naming: "hf5") == spellings[2])
        #expect(map.module(for: q, naming: "timm") == nil)
        #expect(map.module(for: SiteID(layer: 0, kind: .fc2), naming: "timm") == "blocks.0.mlp.fc2")
        for name in ["vit.encoder.layer.x.output.dense", "pooler.dense", "vit.encoder.layer.3.output", ""] {
            #expect(map.site(forModule: name) == nil)
        }
    }

    @Test(arguments: Fixture.all)
    func `sites and module names map both ways`(_ name: String) throws {
        let description = try Fixture(name).backbone(Float.self).description
        for naming in description.siteMap.namings {
            for site in description.sites {
                guard let module = description.siteMap.module(for: site, naming: naming.name) else { continue }
                #expect(description.siteMap.site(forModule: module) == site)
                #expect(SiteID("\(site)") == site)
            }
        }
        #expect(description.sites == description.sites.sorted())
        #expect(SiteID("L0.in.z") == SiteID(layer: 0, kind: .inZ))
        for text in ["", "L", "L1", "q", "L-1.q", "L1.qq", "M1.q"] { #expect(SiteID(text) == nil) }
    }

    static func module(
        _ name: String, _ dOut: Int, _ dIn: Int, kind: ModuleKind = .linear, fanIn: Bool = false, bias: Bool = false
    ) throws -> LoRAModule {
        let a = try TensorBuffer(name: "a", dtype: .bf16, shape: [2, dIn])
        let b = try TensorBuffer(name: "b", dtype: .f32, shape: [dOut, 2])
        try (0..<2 * dIn).map { Float($0 % 5) - 2 }.withUnsafeBufferPointer { _ = try a.write($0) }
        try (0..<2 * dOut).map { Float($0 % 7) - 3 }.withUnsafeBufferPointer { _ = try b.write($0) }
        return LoRAModule(
            name: name, kind: kind, dOut: dOut, dIn: dIn, rank: 2, scale: 2, alpha: 4, a: a.view, b: b.view,
            deltaShape: [dOut, dIn], bias: bias ? b.view : nil, fanInFanOut: fanIn)
    }

    static func adapter(_ modules: [LoRAModule]) -> Adapter {
        Adapter(
            modules: modules, saved: [], base: BaseIdentity(name: "test"), format: "peft", configuration: .null,
            findings: [])
    }

    @Test func `an adapter becomes a slot, or is refused with both shapes`() throws {
        let backbone = try Fixture("vit_hf").backbone(Float.self).description
        func slot(_ modules: LoRAModule...) throws -> LoRASlot<Float> {
            try LoRASlot(Self.adapter(modules), name: "a", on: backbone)
        }
        func code(_ modules: LoRAModule...) -> Failure? {
            do {
                _ = try LoRASlot<Float>(Self.adapter(modules), name: "a", on: backbone)
                return nil
            } catch { return error as? Failure }
        }
        let query = "vit.layers.1.attention.q_proj"
        let good = try slot(Self.module(query, 20, 20), Self.module("vit.layers.0.mlp.fc1", 36, 20))
        #expect(good.sites == [SiteID(layer: 0, kind: .fc1), SiteID(layer: 1, kind: .q)])
        let pair = try #require(good.pairs.last)
        #expect(pair.scale == 2 && Array(good.a(pair)) == (0..<40).map { Float($0 % 5) - 2 })
        #expect(Array(good.b(pair)) == (0..<40).map { Float($0 % 7) - 3 })
        let wide = try code(Self.module(query, 24, 20))
        #expect(wide?.code == .backboneAdapterMismatch && wide?.place == query)
        #expect(wide?.details == ["expected": "20x20", "found": "24x20"])
        #expect(try code(Self.module("vit.layers.2.attention.q_proj", 20, 20))?.code == .backboneAdapterMismatch)
        let foreign = try code(Self.module("model.layers.0.self_attn.q_proj", 20, 20))
        #expect(foreign?.code == .backboneAdapterMismatch && foreign?.hint?.isEmpty == false)
        let twice = try code(
            Self.module(query, 20, 20), Self.module("encoder.layer.1.attention.attention.query", 20, 20))
        #expect(twice?.code == .adapterDuplicateModule)
        for refused in [
            try Self.module(query, 20, 20, kind: .embedding), try Self.module(query, 20, 20, fanIn: true),
            try Self.module(query, 20, 20, bias: true),
        ] { #expect(code(refused)?.code == .configFeatureUnsupported) }
    }

    @Test func `an adapter on dt_proj runs, with a warning`() throws {
        let backbone = try Fixture("mamba").backbone(Float.self).description
        let adapter = Self.adapter([try Self.module("backbone.layers.0.mixer.dt_proj", 40, 3)])
        let findings = backbone.findings(for: adapter)
        #expect(findings.count == 1 && findings[0].code == FindingCode.adapterMaybeInactive.name)
        #expect(findings[0].place == "backbone.layers.0.mixer.dt_proj" && findings[0].level == .warning)
        let other = Self.adapter([try Self.module("backbone.layers.0.mixer.x_proj", 13, 40)])
        #expect(backbone.findings(for: other).isEmpty)
        #expect(try LoRASlot<Float>(adapter, name: "dt", on: backbone).sites == [SiteID(layer: 0, kind: .dt)])
    }

    @Test func `a dense change equals the adapter whose product it is`() throws {
        let fixture = try Fixture("qwen3")
        let backbone = try fixture.backbone(Float.self)
        let slot = try fixture.slot(on: backbone)
        var deltas: [SiteID: Matrix<Float>] = [:]
        for pair in slot.pairs {
            var delta = Matrix<Float>(rows: pair.outputs, columns: pair.inputs)
            for o in 0..<pair.outputs {
                for i in 0..<pair.inputs {
                    delta[o, i] = (0..<pair.rank).reduce(0) {
                        $0 + Float(pair.scale) * slot.b(pair)[o * pair.rank + $1] * slot.a(pair)[$1 * pair.inputs + i]
                    }
                }
            }
            deltas[pair.site] = delta
        }
        let merged = try backbone.adding(deltas)
        let found = try merged.hiddenStates(try fixture.input())
        #expect(relativeError(found, try fixture.numbers("hidden")) < 1e-5)
        #expect(throws: (any Error).self) {
            try backbone.adding([SiteID(layer: 0, kind: .q): Matrix<Float>(rows: 2, columns: 2)])
        }
    }
}
