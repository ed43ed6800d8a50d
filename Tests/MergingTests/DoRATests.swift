import Adapters
import Digests
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Merging

/// DoRA with the base at hand: W' = m ∘ (W + s·B·A) / ‖W + s·B·A‖, against plain loops.
@Suite struct DoRATests {
    private struct Scene {
        var base: Dense
        var module: TestModule
        var magnitude: [Double]
        var folder: String
        /// Base weights are stored [in, out] and outputs are columns.
        var isTransposed: Bool

        func named() throws -> NamedAdapter {
            var named = try TestAdapter("dora", [module]).named()
            named.adapter.modules[0].magnitude = try view(magnitude, [magnitude.count], .f32, "m.magnitude")
            return named
        }

        /// W' with norms over the inputs of each output.
        var tuned: Dense {
            var result = base + (isTransposed ? module.delta.transposed : module.delta)
            for output in 0..<magnitude.count {
                var sum = 0.0
                let inputs = isTransposed ? result.rows : result.columns
                for input in 0..<inputs {
                    let value = isTransposed ? result[input, output] : result[output, input]
                    sum += value * value
                }
                for input in 0..<inputs {
                    if isTransposed {
                        result[input, output] *= magnitude[output] / sum.squareRoot()
                    } else {
                        result[output, input] *= magnitude[output] / sum.squareRoot()
                    }
                }
            }
            return result
        }
    }

    /// - Parameter stretch: reach of m / ‖W‖ around 1.
    private static func scene(
        isTransposed: Bool, kind: ModuleKind = .linear, stretch: Double = 0.3, seed: UInt64 = 1
    ) throws -> Scene {
        var random = SplitMix(seed)
        let (outputs, inputs) = (12, 9)
        let base = isTransposed ? random.matrix(inputs, outputs) : random.matrix(outputs, inputs)
        var module = TestModule.random("m", outputs, inputs, 2, &random, scale: 0.5)
        module.kind = kind
        module.fanInFanOut = isTransposed && kind == .linear
        module.deltaShape = [base.rows, base.columns]
        let sums = (0..<outputs).map { output in
            (0..<inputs).reduce(0.0) { sum, input in
                let value = isTransposed ? base[input, output] : base[output, input]
                return sum + value * value
            }
        }
        let magnitude = sums.map { Double(Float($0.squareRoot() * (1 + stretch * (random.uniform() - 0.5)))) }
        let folder = NSTemporaryDirectory() + "dora-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try SafetensorsWriter.write(
            [try view(base.values, [base.rows, base.columns], .f32, "m.weight")], to: folder + "/base.safetensors")
        return Scene(base: base, module: module, magnitude: magnitude, folder: folder, isTransposed: isTransposed)
    }

    private static func plan(_ scene: Scene, _ rest: String, others: [NamedAdapter] = []) throws -> StagePlan {
        let library = TestLibrary(named: [try scene.named()] + others)
        let models = (["dora"] + others.map(\.name)).joined(separator: ", ")
        let recipe = "base_model: ./base.safetensors\nmodels: [\(models)]\n" + rest
        return try RecipePlanner(library: library).plan(try RecipeReader().read(text: recipe, folder: scene.folder))
            .stages[0]
    }

    @Test(arguments: [false, true]) func `folded into the base it is the published formula`(
        _ isTransposed: Bool
    ) throws {
        let scene = try Self.scene(isTransposed: isTransposed)
        defer { try? FileManager.default.removeItem(atPath: scene.folder) }
        let plan = try Self.plan(scene, "merge_method: task_arithmetic\noutput: { sink: dense }")
        let path = scene.folder + "/out.safetensors"
        _ = try MergeEngine.run(plan, to: .file(path))
        let found = try #require(try SafetensorsFile(path: path).tensors.first { $0.name == "m.weight" })
        let wanted = scene.tuned
        #expect(Dense(wanted.rows, wanted.columns, try found.doubles()).distance(to: wanted) < 1e-6)
    }

    @Test func `an embedding is normed over the vocabulary`() throws {
        let scene = try Self.scene(isTransposed: true, kind: .embedding)
        defer { try? FileManager.default.removeItem(atPath: scene.folder) }
        let plan = try Self.plan(scene, "merge_method: task_arithmetic\noutput: { sink: dense }")
        let path = scene.folder + "/out.safetensors"
        _ = try MergeEngine.run(plan, to: .file(path))
        let found = try #require(try SafetensorsFile(path: path).tensors.first { $0.name == "m.weight" })
        #expect(Dense(9, 12, try found.doubles()).distance(to: scene.tuned) < 1e-6)
    }

    /// With magnitudes near the norms the update is nearly of low rank; the record tells what the conversion lost.
    @Test(arguments: [false, true]) func `for a merge it becomes a low-rank update`(_ isTransposed: Bool) throws {
        let scene = try Self.scene(isTransposed: isTransposed, stretch: 0.02, seed: 3)
        defer { try? FileManager.default.removeItem(atPath: scene.folder) }
        let outcome = try MergeOutcome.of(converted: try Self.plan(scene, "merge_method: cat"))
        let change = scene.tuned - scene.base
        let wanted = isTransposed ? change.transposed : change
        let found = try outcome.delta()
        #expect(found.distance(to: wanted) <= 0.1 + 1e-6)
        let sigma = JacobiSVD(wanted).sigma
        let rank = try outcome.module().rankOut
        #expect(rank <= 8)
        let lost = sigma.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(abs((found - wanted).norm - lost) < 1e-4 * wanted.norm)
        #expect(outcome.record.warnings.contains { $0.contains("'dora' is a DoRA adapter") })
    }

    @Test func `it is merged with plain adapters`() throws {
        let scene = try Self.scene(isTransposed: false, stretch: 0.02, seed: 4)
        defer { try? FileManager.default.removeItem(atPath: scene.folder) }
        var random = SplitMix(8)
        let plain = TestAdapter("plain", [.random("m", 12, 9, 3, &random)])
        let plan = try Self.plan(scene, "merge_method: linear", others: [try plain.named()])
        let found = try MergeOutcome.of(converted: plan).delta()
        let change = scene.tuned - scene.base
        let wanted = 0.5 * change + 0.5 * plain.modules[0].delta
        #expect((found - wanted).norm <= 0.5 * 0.1 * change.norm + 1e-5 * wanted.norm)
    }

    @Test func `the provenance names the base and its content`() throws {
        let scene = try Self.scene(isTransposed: false)
        defer { try? FileManager.default.removeItem(atPath: scene.folder) }
        let recipe = "base_model: ./base.safetensors\nmodels: [dora]\nmerge_method: cat"
        var plan = try RecipePlanner(library: TestLibrary(named: [try scene.named()]))
            .plan(try RecipeReader().read(text: recipe, folder: scene.folder))
        plan = try CheckpointDigests(of: plan, threads: 1).entered(into: plan)
        let record = try MergeOutcome.of(converted: plan.stages[0]).record
        let base = try #require(Provenance(plan: plan, records: [record], program: "test").stages[0].base)
        let bytes = try #require(FileManager.default.contents(atPath: scene.folder + "/base.safetensors"))
        #expect(base.files == ["base.safetensors": SHA256Digest.of(Array(bytes))])
    }

    @Test func `a base without the module is refused`() throws {
        var scene = try Self.scene(isTransposed: false)
        defer { try? FileManager.default.removeItem(atPath: scene.folder) }
        scene.module.name = "other"
        let plan = try Self.plan(scene, "merge_method: cat")
        #expect(failureCode { _ = try MergeOutcome.of(converted: plan) } == "merge.dora_needs_base")
    }
}

extension MergeOutcome {
    /// Through the whole engine, conversion of DoRA updates included.
    static func of(converted plan: StagePlan) throws -> MergeOutcome {
        let folder = NSTemporaryDirectory() + "merge-trial-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try MergeOutcome(try MergeEngine.run(plan, to: .folder(folder)), folder)
    }
}
