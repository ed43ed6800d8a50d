import Diagnostics
import Foundation
import Tensors
import Testing

@testable import Adapters

@Suite struct AdapterDefectTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func code(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch let failure as Failure {
            return failure.code.name
        } catch { return "\(error)" }
    }

    @Test(arguments: [
        (["peft_type": "null"], "config.missing_field"),
        (["peft_type": "3"], "config.bad_type"),
        (["peft_type": "\"PROMPT_TUNING\""], "config.unsupported_type"),
        (["peft_type": "\"LOHA\""], "config.feature_unsupported"),
        (["r": "0"], "config.bad_value"),
        (["r": "-3"], "config.bad_value"),
        (["r": "4.0"], "config.bad_type"),
        (["r": "\"4\""], "config.bad_type"),
        (["r": "true"], "config.bad_type"),
        (["r": "null"], "config.bad_type"),
        (["r": "99999999999999999999"], "config.bad_value"),
        (["r": "8"], "adapter.rank_mismatch"),
        (["lora_alpha": "1e999"], "config.bad_value"),
        (["lora_alpha": "[8]"], "config.bad_type"),
        (["other": "{\"deep\": [-1e400]}"], "config.bad_value"),
        (["use_rslora": "1"], "config.bad_type"),
        (["use_dora": "\"no\""], "config.bad_type"),
        (["use_dora": "true"], "adapter.pair_missing"),
        (["lora_bias": "true"], "adapter.pair_missing"),
        (["bias": "\"some\""], "config.bad_value"),
        (["rank_pattern": "[]"], "config.bad_type"),
        (["rank_pattern": "{\"q\": 0}"], "config.bad_value"),
        (["rank_pattern": "{\"q\": \"4\"}"], "config.bad_type"),
        (["rank_pattern": "{\"(?!x)q\": 4}"], "config.bad_value"),
        (["alpha_pattern": "{\"q\": null}"], "config.bad_type"),
        (["target_modules": "7"], "config.bad_type"),
        (["target_modules": "[7]"], "config.bad_type"),
        (["modules_to_save": "\"head\""], "config.bad_type"),
        (["layers_to_transform": "\"3\""], "config.bad_type"),
        (["trainable_token_indices": "[\"a\"]"], "config.bad_type"),
        (["revision": "1"], "config.bad_type"),
        (["layer_replication": "[[0, 2]]"], "config.feature_unsupported"),
        (["target_parameters": "[\"experts\"]"], "config.feature_unsupported"),
        (["use_qalora": "true"], "config.feature_unsupported"),
        (["use_bdlora": "{\"x\": 1}"], "config.feature_unsupported"),
        (["alora_invocation_tokens": "[1, 2]"], "config.feature_unsupported"),
        (["arrow_config": "{\"x\": 1}"], "config.feature_unsupported"),
        (["kasa_config": "{\"x\": 1}"], "config.feature_unsupported"),
        (["monteclora_config": "{\"x\": 1}"], "config.feature_unsupported"),
    ])
    func `a configuration is refused by name`(fields: [String: String], expected: String) throws {
        #expect(code { _ = try folder.read(linearFactors(["q"]), fields) } == expected)
    }

    @Test(arguments: [
        ["use_rslora": "null", "rank_pattern": "null", "use_bdlora": "null", "layer_replication": "null"],
        ["use_qalora": "false", "alora_invocation_tokens": "null", "layers_to_transform": "[1, 2]"],
        ["rank_pattern": "{\"q\": 4, \"(?=never reached)\": 7}", "target_modules": "\"(.*a+)+(.*a+)+b?.*q\""],
        ["lora_alpha": "-2.5", "modules_to_save": "null", "bias": "\"lora_only\""],
    ])
    func `unused fields do no harm`(fields: [String: String]) throws {
        #expect(try folder.read(linearFactors(["q"]), fields).modules.count == 1)
    }

    @Test(arguments: [
        ("{'r': 4}", "config.not_json"), ("[]", "config.bad_type"), ("{\"r\": 4, \"r\": 4}", "config.duplicate_key"),
        ("{\"lora_alpha\": NaN}", "config.not_json"), (String(repeating: "[", count: 100), "config.too_deep"),
        ("{\"fine_tune_type\": \"lora\"}", "config.unsupported_type"),
    ])
    func `a configuration that is none`(text: String, expected: String) throws {
        try folder.write(text, "a/adapter_config.json")
        try folder.write(linearFactors(["q"]), "a/adapter_model.safetensors")
        #expect(code { _ = try AdapterReader.read(path: folder.file("a")) } == expected)
    }

    @Test func `a configuration of more than 16 MiB`() throws {
        try folder.write("{\"x\": \"" + String(repeating: "a", count: 17 << 20) + "\"}", "a/adapter_config.json")
        try folder.write(linearFactors(["q"]), "a/adapter_model.safetensors")
        #expect(code { _ = try AdapterReader.read(path: folder.file("a")) } == "config.too_large")
    }

    struct Parts: CustomTestStringConvertible, Sendable {
        var testDescription: String
        /// Name and shape, separated by spaces.
        var tensors: [String]
        var expected: String

        init(_ description: String, _ tensors: [String], _ expected: String) {
            (testDescription, self.tensors, self.expected) = (description, tensors, expected)
        }
    }

    @Test(arguments: [
        Parts("A without B", ["q.lora_A.weight 4 10"], "adapter.pair_missing"),
        Parts("B without A", ["q.lora_B.weight 12 4"], "adapter.pair_missing"),
        Parts("embedding without B", ["q.lora_embedding_A 4 10"], "adapter.pair_missing"),
        Parts("nothing", ["x.weight 2"], "adapter.empty"),
        Parts("LoHa factors", ["q.hada_w1_a 4 4"], "config.feature_unsupported"),
        Parts("kohya factors", ["q.lora_down.weight 4 4", "q.lora_up.weight 4 4"], "config.unsupported_type"),
        Parts("inner rank", ["q.lora_A.weight 4 10", "q.lora_B.weight 12 3"], "adapter.rank_mismatch"),
        Parts("flat A", ["q.lora_A.weight 40", "q.lora_B.weight 12 4"], "adapter.shape_mismatch"),
        Parts("scalar A", ["q.lora_A.weight", "q.lora_B.weight 12 4"], "adapter.shape_mismatch"),
        Parts("mixed dimensions", ["q.lora_A.weight 4 10", "q.lora_B.weight 12 4 1 1"], "adapter.shape_mismatch"),
        Parts("wide B kernel", ["q.lora_A.weight 4 3 3 3", "q.lora_B.weight 12 4 3 3"], "adapter.shape_mismatch"),
        Parts("3-D embedding", ["q.lora_embedding_A 4 3 3", "q.lora_embedding_B 12 4 1"], "adapter.shape_mismatch"),
        Parts("no inputs", ["q.lora_A.weight 4 0", "q.lora_B.weight 12 4"], "adapter.shape_mismatch"),
        Parts("no outputs", ["q.lora_A.weight 4 5", "q.lora_B.weight 0 4"], "adapter.shape_mismatch"),
        Parts(
            "two spellings",
            ["q.lora_A.weight 4 5", "q.lora_A.default.weight 4 5", "q.lora_B.weight 6 4"],
            "adapter.duplicate_module"),
        Parts(
            "with and without prefix",
            ["base_model.model.q.lora_A.weight 4 5", "q.lora_A.weight 4 5", "q.lora_B.weight 6 4"],
            "adapter.duplicate_module"),
        Parts(
            "linear and embedding at once",
            ["q.lora_A.weight 4 5", "q.lora_B.weight 6 4", "q.lora_embedding_A 4 5"],
            "adapter.duplicate_module"),
    ])
    func `modules that do not hold together`(parts: Parts) throws {
        let tensors = try parts.tensors.map { text in
            let words = text.split(separator: " ").map(String.init)
            return try tensor(words[0], words.dropFirst().compactMap { Int($0) })
        }
        #expect(code { _ = try folder.read(tensors) } == parts.expected)
    }

    @Test func `factors must be numbers with a fraction`() throws {
        for dtype in [DType.i64, .u8, .bool, .f8e4m3] {
            let tensors = [
                try tensor("q.lora_A.weight", [4, 10], dtype: dtype), try tensor("q.lora_B.weight", [12, 4]),
            ]
            #expect(code { _ = try folder.read(tensors) } == "adapter.bad_dtype")
        }
        for dtype in [DType.f64, .f16, .bf16] {
            #expect(try folder.read(linearFactors(["q"], dtype: dtype)).modules.count == 1)
        }
    }

    @Test func `extras have one value per output`() throws {
        let wrong = try linearFactors(["q"]) + [tensor("q.lora_magnitude_vector", [10])]
        #expect(code { _ = try folder.read(wrong, ["use_dora": "true"]) } == "adapter.shape_mismatch")
        let bias = try linearFactors(["q"]) + [tensor("q.lora_B.bias", [1, 12])]
        #expect(code { _ = try folder.read(bias, ["lora_bias": "true"]) } == "adapter.shape_mismatch")
    }

    @Test func `a rank above the dimensions is a finding`() throws {
        let adapter = try folder.read(linearFactors(["q"], rank: 4, dOut: 3, dIn: 10))
        #expect(adapter.findings.map(\.code) == ["adapter.rank_above_dimensions"])
    }

    @Test func `control characters in names are a finding`() throws {
        let adapter = try folder.read(linearFactors(["q"]) + [tensor("evil\u{1B}[2J", [1])])
        #expect(adapter.findings.map(\.code).sorted() == ["adapter.unknown_key", "name.control_characters"])
    }

    @Test func `a flood of unknown keys is counted, not listed`() throws {
        let stray = try (0..<250).map { try tensor("stray.\($0)", [1]) }
        let adapter = try folder.read(linearFactors(["q"]) + stray)
        #expect(adapter.findings.count == 101)
        #expect(adapter.findings.last?.details == "150 further tensors belong to no module")
        #expect(adapter.unclaimed.count == 250)
    }

    @Test func `a list of saved modules that takes too long is refused`() throws {
        let names = (0..<5_000).map { "\"m\($0)\"" }.joined(separator: ",")
        let stray = try (0..<50).map { try tensor("s\($0)" + String(repeating: ".x", count: 100) + ".weight", [1]) }
        let expected = code { _ = try folder.read(linearFactors(["q"]) + stray, ["modules_to_save": "[\(names)]"]) }
        #expect(expected == "config.bad_value")
    }

    @Test func `missing parts of a folder`() throws {
        try folder.write(configurationText(), "a/adapter_config.json")
        #expect(code { _ = try AdapterReader.read(path: folder.file("a")) } == "adapter.weights_missing")
        try folder.write(linearFactors(["q"]), "b/adapter_model.safetensors")
        #expect(code { _ = try AdapterReader.read(path: folder.file("b")) } == "config.missing")
        try folder.write(configurationText(), "c/adapter_config.json")
        try folder.write("x", "c/adapter_model.bin")
        #expect(code { _ = try AdapterReader.read(path: folder.file("c")) } == "pickle.refused")
    }

    @Test(arguments: [
        ("model.pt", "anything", "pickle.refused"), ("model.bin", "\u{0}", "pickle.refused"),
        ("model.gguf", "GGUX", "gguf.bad_magic"), ("page.safetensors", "<!DOCTYPE html>", "file.html"),
        ("short.safetensors", "abc", "safetensors.too_short"),
    ])
    func `bare files of other kinds`(name: String, content: String, expected: String) throws {
        try folder.write(content, name)
        #expect(code { _ = try AdapterReader.read(path: folder.file(name)) } == expected)
    }

    struct GGUF: Sendable {
        var version: UInt32 = 3
        var tensors: UInt64 = 0
        var pairs: UInt64 = 0
        var rest: [UInt8] = []
        var expected: String
    }

    @Test(arguments: [
        GGUF(expected: "config.unsupported_type"),
        GGUF(version: 1, expected: "gguf.bad_version"),
        GGUF(tensors: 1 << 60, expected: "gguf.bad_count"),
        GGUF(pairs: 1 << 60, expected: "gguf.bad_count"),
        GGUF(pairs: 1, rest: [255, 255, 255, 255, 255, 255, 255, 255, 120], expected: "gguf.bad_string"),
        GGUF(pairs: 1, rest: [1, 0, 0, 0, 0, 0, 0, 0, 120, 99, 0, 0, 0], expected: "gguf.bad_type"),
        GGUF(
            pairs: 1, rest: [1, 0, 0, 0, 0, 0, 0, 0, 120, 4, 0, 0, 0, 7, 0, 0, 0], expected: "config.unsupported_type"),
    ])
    func `GGUF is refused, damaged GGUF by what is wrong`(file: GGUF) throws {
        var bytes = Array("GGUF".utf8)
        withUnsafeBytes(of: file.version.littleEndian) { bytes += $0 }
        withUnsafeBytes(of: file.tensors.littleEndian) { bytes += $0 }
        withUnsafeBytes(of: file.pairs.littleEndian) { bytes += $0 }
        try Data(bytes + file.rest).write(to: URL(fileURLWithPath: folder.file("model.gguf")))
        #expect(code { _ = try AdapterReader.read(path: folder.file("model.gguf")) } == file.expected)
    }
}
