import Adapters
import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Merging

/// Full weights in shards and in half precision.
@Suite struct CheckpointFormTests {
    /// Two models of three matrices and a vector, rounded to `dtype`; values as they stand in the files.
    private static func models(_ dtype: DType) throws -> (folder: String, values: [[String: [Double]]]) {
        let folder = NSTemporaryDirectory() + "checkpoint-form-\(UUID().uuidString)"
        var random = SplitMix(41)
        var values: [[String: [Double]]] = []
        for model in ["one", "two"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/\(model)", withIntermediateDirectories: true)
            var tensors: [TensorView] = []
            var known: [String: [Double]] = [:]
            for (name, shape) in [
                ("a.weight", [9, 7]), ("b.weight", [6, 11]), ("c.weight", [5, 5]), ("d.bias", [13]),
            ] {
                let numbers = (0..<shape.reduce(1, *)).map { _ in random.normal() }
                tensors.append(try view(numbers, shape, dtype, name))
                known[name] = try tensors[tensors.count - 1].doubles()
            }
            try SafetensorsWriter.write(tensors, to: "\(folder)/\(model)/model.safetensors")
            values.append(known)
        }
        return (folder, values)
    }

    private static func plan(_ recipe: String, in folder: String) throws -> StagePlan {
        try RecipePlanner(library: PathLibrary()).plan(try RecipeReader().read(text: recipe, folder: folder)).stages[0]
    }

    /// Nearest, ties to even, from double precision at once.
    private static func rounded(_ value: Double, _ dtype: DType) -> Double {
        switch dtype {
        case .f16: return Double(Float16(value))
        case .bf16:
            guard value != 0 else { return 0 }
            let unit = Double(sign: .plus, exponent: value.exponent - 7, significand: 1)
            return (value / unit).rounded(.toNearestOrEven) * unit
        default: return Double(Float(value))
        }
    }

    @Test(arguments: [DType.f32, .f16, .bf16])
    func `a mean of models is rounded once`(_ dtype: DType) throws {
        let (folder, values) = try Self.models(dtype)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let plan = try Self.plan(
            """
            merge_method: linear
            models: [{ model: ./one, parameters: { weight: 3 } }, { model: ./two, parameters: { weight: 1 } }]
            """, in: folder)
        _ = try MergeEngine.run(plan, to: .folder(folder + "/out"))
        let result = try Checkpoint.require(path: folder + "/out")
        for (name, first) in values[0] {
            let tensor = try #require(result.view(name))
            #expect(tensor.dtype == dtype)
            let second = try #require(values[1][name])
            // Three quarters and one quarter of half-precision numbers have a sum that single precision holds nearly
            // always: then once rounded means equal bits.
            let wanted = zip(first, second).map { Self.rounded(0.75 * $0 + 0.25 * $1, dtype) }
            let found = try tensor.doubles()
            if dtype == .f32 {
                #expect(zip(found, wanted).allSatisfy { abs($0 - $1) <= 1.2e-7 * abs($1) + 1e-9 })
            } else {
                #expect(found == wanted, "\(name)")
            }
        }
    }

    @Test(arguments: [DType.f16, .bf16])
    func `an update is added in single precision and rounded once`(_ dtype: DType) throws {
        let (folder, values) = try Self.models(dtype)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var random = SplitMix(42)
        let adapter = TestAdapter("tune", [.random("a", 9, 7, 2, &random, scale: 0.01)])
        let recipe = """
            merge_method: task_arithmetic
            base_model: ./one
            output: { sink: dense }
            models: [tune]
            """
        let plan = try RecipePlanner(library: TestLibrary(named: [try adapter.named()])).plan(
            try RecipeReader().read(text: recipe, folder: folder)
        ).stages[0]
        _ = try MergeEngine.run(plan, to: .folder(folder + "/out"))
        let tensor = try #require(try Checkpoint.require(path: folder + "/out").view("a.weight"))
        #expect(tensor.dtype == dtype)
        let delta = adapter.modules[0].delta.values
        let ulp = dtype == .f16 ? 0x1p-10 : 0x1p-7
        for (found, (base, change)) in zip(try tensor.doubles(), zip(values[0]["a.weight"] ?? [], delta)) {
            let exact = base + change
            let half = 0.5 * Double(sign: .plus, exponent: exact.exponent, significand: ulp)
            #expect(abs(found - exact) <= half * (1 + 1e-4) + 2e-7)
        }
    }

    @Test func `shards go in and out`() throws {
        let (folder, _) = try Self.models(.f32)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let recipe = """
            merge_method: task_arithmetic
            base_model: ./one
            models: [{ model: ./two, parameters: { weight: 0.5 } }]
            """
        let plan = try Self.plan(recipe, in: folder)
        _ = try MergeEngine.run(plan, to: .folder(folder + "/whole"))
        var run = CheckpointRun(plan, .folder(folder + "/sharded"), false, SilentProgress(), { false })
        // The matrices take 252, 264 and 100 bytes, the vector 52.
        run.shardLimit = 420
        _ = try run.carryOut(nil)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/sharded").sorted()
        #expect(
            names.filter { $0.hasSuffix(".safetensors") } == [
                "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            ])
        let text = try String(contentsOfFile: folder + "/sharded/model.safetensors.index.json", encoding: .utf8)
        let index = try StrictJSON.parse(text, .configuration)
        #expect(index["metadata"]?["total_size"]?.integer == 252 + 264 + 100 + 52)
        #expect(index["weight_map"]?["a.weight"]?.string == "model-00001-of-00002.safetensors")
        #expect(index["weight_map"]?["d.bias"]?.string == "model-00002-of-00002.safetensors")
        let (whole, sharded) = (
            try Checkpoint.require(path: folder + "/whole"), try Checkpoint.require(path: folder + "/sharded")
        )
        #expect(sharded.weights.names.sorted() == whole.weights.names.sorted())
        for name in whole.weights.names {
            #expect(try #require(sharded.view(name)).doubles() == whole.view(name)?.doubles())
        }
        // Shards as operands and as base give the bytes that whole files give.
        let again = { (base: String) in
            try Self.plan(
                """
                merge_method: ties
                base_model: ./one
                parameters: { density: 0.4 }
                models: [\(base), ./two]
                """, in: folder)
        }
        _ = try MergeEngine.run(try again("./whole"), to: .file(folder + "/from-whole.safetensors"))
        _ = try MergeEngine.run(try again("./sharded"), to: .file(folder + "/from-shards.safetensors"))
        #expect(
            try Data(contentsOf: URL(filePath: folder + "/from-whole.safetensors"))
                == Data(contentsOf: URL(filePath: folder + "/from-shards.safetensors")))
    }
}

extension TensorView {
    /// All numbers in double precision.
    func doubles() throws -> [Double] {
        var values = [Double](repeating: 0, count: count)
        try values.withUnsafeMutableBufferPointer { try copy(into: $0) }
        return values
    }
}
