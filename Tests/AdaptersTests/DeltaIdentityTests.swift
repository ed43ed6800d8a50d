import Diagnostics
import Tensors
import Testing

@testable import Adapters

@Suite struct DeltaIdentityTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func identity(_ tensors: [TensorView], _ fields: [String: String] = [:]) throws -> String {
        try folder.read(tensors, fields).deltaID().hex
    }

    @Test func `spelling, order, configuration and companions do not count`() throws {
        let tensors = try linearFactors(["q", "v"])
        let identity = try identity(tensors)
        let renamed = tensors.map { tensor in
            TensorView(
                name: tensor.name.replacingOccurrences(of: "base_model.model.", with: "")
                    .replacingOccurrences(of: ".weight", with: ".default.weight"),
                dtype: tensor.dtype, shape: tensor.shape, bytes: tensor.bytes, owner: tensor.owner)
        }
        #expect(try self.identity(renamed.reversed()) == identity)
        #expect(try self.identity(tensors, ["alpha_pattern": "{\"q\": 8, \"v\": 8}", "lora_alpha": "1"]) == identity)
        #expect(try self.identity(tensors, ["use_rslora": "true", "lora_alpha": "4"]) == identity)
        let head = try tensor("base_model.model.head.weight", [2, 2])
        #expect(try self.identity(tensors + [head], ["modules_to_save": "[\"head\"]"]) == identity)
    }

    @Test func `a number type that holds the values exactly does not count`() throws {
        let halves = try linearFactors(["q"], dtype: .bf16)
        for dtype in [DType.f32, .f64] {
            let same = try halves.map { half in
                let buffer = try TensorBuffer(name: half.name, dtype: dtype, shape: half.shape)
                var values = [Float](repeating: 0, count: half.count)
                try values.withUnsafeMutableBufferPointer { try half.copy(into: $0) }
                try values.withUnsafeBufferPointer { _ = try buffer.write($0) }
                return buffer.view
            }
            #expect(try identity(same) == identity(halves))
        }
    }

    @Test func `names, kinds, values, ranks and scales count`() throws {
        let tensors = try linearFactors(["q"])
        var identities = Set([try identity(tensors)])
        identities.insert(try identity(linearFactors(["p"])))
        identities.insert(try identity(linearFactors(["q"], seed: 8)))
        identities.insert(try identity(tensors, ["lora_alpha": "9"]))
        identities.insert(try identity(tensors, ["use_rslora": "true"]))
        identities.insert(try identity(tensors, ["fan_in_fan_out": "true"]))
        identities.insert(try identity(linearFactors(["q", "v"])))
        let bias = try tensor("q.lora_B.bias", [12])
        identities.insert(try identity(tensors + [bias], ["lora_bias": "true"]))
        let magnitude = try tensor("q.lora_magnitude_vector", [12])
        identities.insert(try identity(tensors + [magnitude], ["use_dora": "true"]))
        let flat = try [
            tensor("q.lora_A.weight", [4, 10, 1, 1], seed: 7), tensor("q.lora_B.weight", [12, 4, 1, 1], seed: 8),
        ]
        identities.insert(try identity(flat))
        #expect(identities.count == 10)
    }

    @Test func `the identity of a known adapter is fixed`() throws {
        let adapter = try AdapterReader.read(path: Fixture.path("eve"))
        #expect(adapter.deltaID().hex == "82d0427779dae05d3db13d94222c4e8284e274aa270a7b5513fc1d71073ed677")
        #expect(adapter.deltaID() == adapter.deltaID())
    }
}
