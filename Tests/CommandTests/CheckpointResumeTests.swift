import Foundation
import Tensors
import Testing
import WeightFiles

/// Work on full weights that was killed in the middle: the same command goes on and gives the same bytes.
@Suite struct CheckpointResumeTests {
    private func tensor(_ seed: Int, _ shape: [Int], _ dtype: DType, _ name: String) throws -> TensorView {
        let count = shape.reduce(1, *)
        let random = CounterRandom(seed: UInt64(seed), stream: 11)
        let values = (0..<count).map { Float(random.word(UInt64($0))) / Float(UInt32.max) - 0.5 }
        let buffer = try TensorBuffer(name: name, dtype: dtype, shape: shape)
        try values.withUnsafeBufferPointer { _ = try buffer.write($0) }
        return buffer.view
    }

    private func model(_ seed: Int, to path: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var tensors = [try tensor(seed + 90, [12], .f32, "norm.weight")]
        for layer in 0..<6 { tensors.append(try tensor(seed + layer, [20, 12], .bf16, "layers.\(layer).q.weight")) }
        try SafetensorsWriter.write(tensors.sorted { $0.name < $1.name }, to: path + "/model.safetensors")
        try Data(#"{"model_type":"bert"}"#.utf8).write(to: URL(filePath: path + "/config.json"))
    }

    private func files(_ scratch: Scratch) throws {
        for (index, name) in ["base", "first", "second"].enumerated() {
            try model(100 * index, to: scratch.folder + "/" + name)
        }
        let adapter = scratch.folder + "/adapter"
        try FileManager.default.createDirectory(atPath: adapter, withIntermediateDirectories: true)
        let pairs = try (0..<6).flatMap { layer in
            [
                try tensor(500 + layer, [2, 12], .f32, "base_model.model.layers.\(layer).q.lora_A.weight"),
                try tensor(600 + layer, [20, 2], .f32, "base_model.model.layers.\(layer).q.lora_B.weight"),
            ]
        }
        try SafetensorsWriter.write(pairs.sorted { $0.name < $1.name }, to: adapter + "/adapter_model.safetensors")
        let configuration = """
            {"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q"],"base_model_name_or_path":"x","bias":"none"}
            """
        try Data(configuration.utf8).write(to: URL(filePath: adapter + "/adapter_config.json"))
    }

    /// What a command left below `out` (a folder or a file).
    private func result(_ scratch: Scratch, _ name: String) throws -> [String: Data] {
        let path = scratch.folder + "/" + name
        return name.hasSuffix(".safetensors")
            ? [name: try Data(contentsOf: URL(filePath: path))] : try scratch.contents(of: path)
    }

    static let commands: [[String]] = [
        ["merge", "--method", "linear", "first", "second", "--threads", "1", "--to", "out"],
        [
            "merge", "--method", "ties", "first", "second", "--set", "base_model=base", "--threads", "2", "--to",
            "out.safetensors",
        ],
        ["bake", "path:adapter", "--base", "base", "--threads", "1", "--to", "out"],
        ["extract", "--base", "base", "--tuned", "first", "--rank", "3", "--threads", "1", "--to", "out"],
    ]

    @Test(arguments: commands)
    func `killed at any point, a command goes on to the same bytes`(_ command: [String]) throws {
        let scratch = try Scratch(bank: false)
        try files(scratch)
        let out = command[command.count - 1]
        #expect(try scratch.tool.run(command).status == 0)
        let wanted = try result(scratch, out)
        var killed = 0
        var resumed = 0
        for point in [2, 9, 15, 24] {
            try FileManager.default.removeItem(atPath: scratch.folder + "/" + out)
            var tool = scratch.tool
            tool.environment["LORABANK_CRASH_AT"] = "\(point)"
            let died = try tool.run(command).status == -9
            killed += died ? 1 : 0
            let visible = FileManager.default.fileExists(atPath: scratch.folder + "/" + out)
            // Killed after the last step: what is visible is whole.
            let again = visible ? nil : try scratch.tool.run(command + ["--json"])
            #expect((again?.status ?? 0) == 0, "after point \(point): \(again?.errors ?? "")")
            let warnings = try again?.json()["warnings"]?.array?.compactMap(\.string) ?? []
            resumed += warnings.contains { $0.contains("interrupted run") } ? 1 : 0
            #expect(try result(scratch, out) == wanted, "other bytes after point \(point)")
        }
        #expect(killed >= 2, "the kills came too late to mean anything")
        #expect(resumed > 0, "nothing was taken over from a killed run")
        let left = try FileManager.default.contentsOfDirectory(atPath: scratch.folder).filter {
            $0.contains(".lorabank-")
        }
        #expect(left.isEmpty, "left behind: \(left)")
    }

    @Test func `other inputs do not go on where the first ones stopped`() throws {
        let scratch = try Scratch(bank: false)
        try files(scratch)
        let merge = ["merge", "--method", "linear", "first", "second", "--threads", "1", "--to", "out"]
        var tool = scratch.tool
        tool.environment["LORABANK_CRASH_AT"] = "19"
        #expect(try tool.run(merge).status == -9)
        let other = merge + ["--set", "models[0].parameters.weight=3"]
        let outcome = try scratch.tool.run(other + ["--json"])
        #expect(outcome.status == 0)
        #expect(try outcome.json()["warnings"]?.array?.isEmpty ?? false)
        let found = try result(scratch, "out")
        try FileManager.default.removeItem(atPath: scratch.folder + "/out")
        #expect(try scratch.tool.run(other).status == 0)
        #expect(try result(scratch, "out") == found)
    }
}
