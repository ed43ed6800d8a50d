import Foundation
import Tensors
import Testing
import WeightFiles

/// `bake`, `extract` and merges of full weights, against plain loops in double precision.
@Suite struct CheckpointCommandTests {
    private typealias Numbers = [String: (shape: [Int], values: [Double])]

    /// A deterministic number in −1…1.
    private func number(_ seed: Int, _ index: Int) -> Double {
        let word = CounterRandom(seed: UInt64(seed), stream: 7).word(UInt64(index))
        return Double(Float(word) / Float(UInt32.max) * 2 - 1)
    }

    private func tensor(_ seed: Int, _ shape: [Int]) -> (shape: [Int], values: [Double]) {
        (shape, (0..<shape.reduce(1, *)).map { Double(Float(number(seed, $0))) })
    }

    private func write(_ numbers: Numbers, _ path: String, dtype: DType = .f32) throws {
        let views = try numbers.sorted { $0.key < $1.key }.map { name, tensor in
            let matrix = Matrix(rows: 1, columns: tensor.values.count, elements: tensor.values.map(Float.init))
            let buffer = try TensorBuffer(name: name, dtype: dtype, matrix: matrix)
            return TensorView(
                name: name, dtype: dtype, shape: tensor.shape, bytes: UnsafeRawBufferPointer(buffer.bytes),
                owner: buffer)
        }
        try SafetensorsWriter.write(views, to: path)
    }

    private func read(_ path: String) throws -> Numbers {
        var result: Numbers = [:]
        for tensor in try SafetensorsFile(path: path).tensors {
            var values = [Double](repeating: 0, count: tensor.count)
            try values.withUnsafeMutableBufferPointer { try tensor.copy(into: $0) }
            result[tensor.name] = (tensor.shape, values)
        }
        return result
    }

    /// A base of two layers with a name beyond ASCII, and an adapter on one with a norm and a head of its own.
    private func makeFiles(_ scratch: Scratch) throws -> (base: Numbers, adapter: Numbers) {
        let base: Numbers = [
            "enc.q.weight": tensor(1, [8, 6]), "enc.q.bias": tensor(2, [8]), "norm.weight": tensor(3, [6]),
            "réseau.weight": tensor(4, [5, 6]),
        ]
        let adapter: Numbers = [
            "base_model.model.enc.q.lora_A.weight": tensor(5, [2, 6]),
            "base_model.model.enc.q.lora_B.weight": tensor(6, [8, 2]),
            "base_model.model.norm.weight": tensor(7, [6]), "base_model.model.classifier.weight": tensor(8, [3, 6]),
            "base_model.model.classifier.bias": tensor(9, [3]),
        ]
        let files = FileManager.default
        for folder in ["base", "adapter"] {
            try files.createDirectory(atPath: scratch.folder + "/" + folder, withIntermediateDirectories: true)
        }
        try write(base, scratch.folder + "/base/model.safetensors")
        try Data(#"{"model_type":"bert"}"#.utf8).write(to: URL(filePath: scratch.folder + "/base/config.json"))
        try write(adapter, scratch.folder + "/adapter/adapter_model.safetensors")
        let configuration = """
            {"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q"],"modules_to_save":["classifier","norm"],
             "base_model_name_or_path":"x","bias":"none"}
            """
        try Data(configuration.utf8).write(to: URL(filePath: scratch.folder + "/adapter/adapter_config.json"))
        return (base, adapter)
    }

    /// base + scale·B·A.
    private func folded(_ base: Numbers, _ adapter: Numbers, scale: Double) throws -> [Double] {
        var values = try #require(base["enc.q.weight"]).values
        let a = try #require(adapter["base_model.model.enc.q.lora_A.weight"]).values
        let b = try #require(adapter["base_model.model.enc.q.lora_B.weight"]).values
        for row in 0..<8 {
            for column in 0..<6 {
                for k in 0..<2 { values[row * 6 + column] += scale * b[row * 2 + k] * a[k * 6 + column] }
            }
        }
        return values
    }

    private func distance(_ a: [Double], _ b: [Double]) -> Double {
        a.count == b.count ? zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } : .infinity
    }

    @Test func `bake adds the update, replaces whole tensors and takes new ones over`() throws {
        let scratch = try Scratch(bank: false)
        let (base, adapter) = try makeFiles(scratch)
        try scratch.succeed("bake", "path:adapter", "--base", "base", "--to", "out")
        let result = try read(scratch.folder + "/out/model.safetensors")
        let wanted = try folded(base, adapter, scale: 2)
        #expect(distance(try #require(result["enc.q.weight"]).values, wanted) < 1e-6)
        for name in ["norm.weight", "classifier.weight", "classifier.bias"] {
            let found = try #require(result[name])
            let saved = try #require(adapter["base_model.model." + name])
            #expect(found.shape == saved.shape && found.values == saved.values, "\(name)")
        }
        #expect(result["réseau.weight"]?.values == base["réseau.weight"]?.values)
        #expect(result["enc.q.bias"]?.values == base["enc.q.bias"]?.values)
        #expect(result.count == 6)
        #expect(FileManager.default.fileExists(atPath: scratch.folder + "/out/config.json"))
    }

    @Test func `extract finds the update again`() throws {
        let scratch = try Scratch(bank: false)
        let (base, adapter) = try makeFiles(scratch)
        try scratch.succeed("bake", "path:adapter", "--base", "base", "--to", "tuned.safetensors")
        try scratch.succeed(
            "extract", "--base", "base", "--tuned", "tuned.safetensors", "--rank", "2", "--to", "extracted")
        let factors = try read(scratch.folder + "/extracted/adapter_model.safetensors")
        let a = try #require(factors["base_model.model.enc.q.lora_A.weight"])
        let b = try #require(factors["base_model.model.enc.q.lora_B.weight"])
        #expect(a.shape == [2, 6] && b.shape == [8, 2])
        let text = try String(contentsOfFile: scratch.folder + "/extracted/adapter_config.json", encoding: .utf8)
        let configuration = try StrictJSON.parse(text, .configuration)
        let alpha = try #require(configuration["lora_alpha"]?.double)
        let scale = alpha / 2
        var wanted = try folded(base, adapter, scale: 2)
        for (index, value) in try #require(base["enc.q.weight"]).values.enumerated() { wanted[index] -= value }
        var found = [Double](repeating: 0, count: 48)
        for row in 0..<8 {
            for column in 0..<6 {
                for k in 0..<2 { found[row * 6 + column] += scale * b.values[row * 2 + k] * a.values[k * 6 + column] }
            }
        }
        #expect(distance(found, wanted) < 1e-5)
    }

    @Test func `a linear merge of full weights is the weighted mean`() throws {
        let scratch = try Scratch(bank: false)
        let first: Numbers = ["w": tensor(11, [7, 3]), "v": tensor(12, [4])]
        let second: Numbers = ["w": tensor(13, [7, 3]), "v": tensor(14, [4])]
        try write(first, scratch.folder + "/a.safetensors")
        try write(second, scratch.folder + "/b.safetensors")
        try scratch.succeed(
            "merge", "--method", "linear", "a.safetensors", "b.safetensors", "--set", "models[0].parameters.weight=3",
            "--set", "models[1].parameters.weight=1", "--set", "normalize=true", "--to", "m.safetensors")
        let result = try read(scratch.folder + "/m.safetensors")
        for name in ["w", "v"] {
            let x = try #require(first[name]).values
            let y = try #require(second[name]).values
            #expect(distance(try #require(result[name]).values, zip(x, y).map { 0.75 * $0 + 0.25 * $1 }) < 1e-6)
        }
    }

    @Test func `verify accepts what the recipe gives and refuses anything else`() throws {
        let scratch = try Scratch(bank: false)
        let merge = ["merge", "--method", "tsv_m", Tool.starter + "/digits-01", Tool.starter + "/digits-23"]
        #expect(try scratch.tool.run(merge + ["--to", "out"]).status == 0)
        let good = try scratch.tool.run(merge + ["--to", "out", "--verify", "--json"])
        #expect(good.status == 0, "\(good.errors)")
        #expect(try good.json()["verified"]?.bool == true)
        let other = try scratch.tool.run(merge + ["--set", "lambda=0.5", "--to", "out", "--verify"])
        #expect(other.status == 7)
        #expect(other.errors.contains("merge.not_reproduced"))
    }
}
