import Adapters
import Diagnostics
import Foundation
import Synchronization
import Tensors
import Testing

@testable import Merging

/// Bad inputs, missing modules, cancellation: named errors and nothing half-written.
@Suite struct MergeEdgeTests {
    static let methods = ["cat", "linear", "svd", "ties", "magnitude_prune", "tsv_m", "pam"]

    /// Runs a plan into a folder inside a fresh empty one; returns what is left there, and the error's code.
    static func attempt(_ plan: StagePlan, isCancelled: @escaping @Sendable () -> Bool = { false }) throws -> (
        code: String?, left: [String]
    ) {
        let parent = NSTemporaryDirectory() + "merge-edge-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: parent) }
        let code = failureCode { _ = try MergeEngine.run(plan, to: .folder(parent + "/out"), isCancelled: isCancelled) }
        return (code, try FileManager.default.contentsOfDirectory(atPath: parent))
    }

    @Test(arguments: methods, [Double.nan, .infinity])
    func `NaN and infinities are refused with count and place, or count as zero`(_ method: String, _ bad: Double) throws
    {
        var adapters = TestAdapter.set(rows: 12, columns: 20, ranks: [3, 2], seed: 90)
        let clean = adapters
        adapters[1].modules[0].a.values[7] = bad
        adapters[1].modules[0].a.values[30] = bad
        var trial = MergeTrial(method, adapters)
        let result = try Self.attempt(try trial.plan())
        #expect(result.code == "merge.non_finite")
        #expect(result.left.isEmpty)
        do {
            _ = try trial.run()
        } catch let failure as Failure {
            #expect(failure.details == ["count": "2", "first_index": "7"])
            #expect(failure.place == "m.lora_A.weight")
            #expect(failure.message.contains("'a1'"))
        }
        trial.zeroNonFinite = true
        let repaired = try trial.run()
        #expect(repaired.record.replacedEntries == 2)
        #expect(try repaired.module().warnings.contains { $0.contains("2 NaN or infinite") })
        var zeroed = clean
        zeroed[1].modules[0].a.values[7] = 0
        zeroed[1].modules[0].a.values[30] = 0
        #expect(try repaired.delta() == MergeTrial(method, zeroed).delta())
    }

    @Test(arguments: methods) func `overflowing results are refused`(_ method: String) throws {
        var adapters = TestAdapter.set(rows: 12, columns: 20, ranks: [3, 2], seed: 91)
        adapters[0].modules[0].scale = 1e300
        adapters[0].modules[0].b = 1e30 * adapters[0].modules[0].b
        let result = try Self.attempt(try MergeTrial(method, adapters).plan())
        #expect(result.code == "merge.nonfinite_result")
        #expect(result.left.isEmpty)
    }

    @Test func `shapes and kinds must agree`() throws {
        var random = SplitMix(92)
        let first = TestAdapter("a", [.random("m", 12, 10, 2, &random)])
        for other in [TestModule.random("m", 12, 11, 2, &random), .random("m", 10, 12, 2, &random)] {
            let plan = try MergeTrial("cat", [first, TestAdapter("b", [other])]).plan()
            let result = try Self.attempt(plan)
            #expect(result.code == "merge.shape_mismatch")
            #expect(result.left.isEmpty)
        }
        var transposed = first
        transposed.name = "t"
        transposed.modules[0].fanInFanOut = true
        #expect(try Self.attempt(try MergeTrial("cat", [first, transposed]).plan()).code == "merge.shape_mismatch")
    }

    @Test func `DoRA adapters need the base`() throws {
        let adapters = TestAdapter.set(rows: 6, columns: 5, ranks: [2, 2], seed: 93)
        var plan = try MergeTrial("cat", adapters).plan()
        plan.operands[1].adapter.modules[0].magnitude = try view([1, 1, 1, 1, 1, 1], [6], .f32, "magnitude")
        #expect(try Self.attempt(plan).code == "merge.dora_needs_base")
    }

    @Test func `unknown methods and bad parameters are refused`() throws {
        let adapters = TestAdapter.set(rows: 6, columns: 5, ranks: [2, 2], seed: 94)
        #expect(failureCode { _ = try MergeTrial("nonsense", adapters).run() } == "recipe.unknown_method")
        let trial = MergeTrial("ties", adapters, ["reduce": .text("nonsense")])
        #expect(failureCode { _ = try trial.run() } == "recipe.bad_parameter")
    }

    @Test func `an existing result is not replaced unasked`() throws {
        let parent = NSTemporaryDirectory() + "merge-exists-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: parent) }
        let plan = try MergeTrial("cat", TestAdapter.set(rows: 6, columns: 5, ranks: [2], seed: 95)).plan()
        _ = try MergeEngine.run(plan, to: .folder(parent + "/out"))
        #expect(failureCode { _ = try MergeEngine.run(plan, to: .folder(parent + "/out")) } == "output.exists")
        _ = try MergeEngine.run(plan, to: .folder(parent + "/out"), overwrite: true)
        let record = try MergeEngine.run(plan, to: .file(parent + "/single.safetensors"))
        #expect(record.bytes == (try Data(contentsOf: URL(fileURLWithPath: parent + "/single.safetensors")).count))
        #expect(try FileManager.default.contentsOfDirectory(atPath: parent).sorted() == ["out", "single.safetensors"])
    }

    @Test(arguments: ["cat", "tsv_m", "ties"]) func `cancelling leaves nothing behind`(_ method: String) throws {
        var random = SplitMix(96)
        let adapters = (0..<2).map { index in
            TestAdapter("a\(index)", (0..<6).map { .random("l\($0)", 16, 12, 2, &random) })
        }
        for limit in [0, 3, 8] {
            let asked = Mutex(0)
            let result = try Self.attempt(try MergeTrial(method, adapters).plan()) {
                asked.withLock { count in
                    count += 1
                    return count > limit
                }
            }
            #expect(result.code == "CancellationError()")
            #expect(result.left.isEmpty)
        }
    }

    @Test func `zero adapters and rank-deficient factors are legal`() throws {
        var random = SplitMix(97)
        let module = TestModule.random("m", 18, 14, 4, &random)
        var zero = module
        zero.b = Dense(18, 4)
        var deficient = module
        for i in 0..<18 { deficient.b[i, 3] = deficient.b[i, 0] }
        for method in ["cat", "linear", "svd", "tsv_m", "pam", "task_arithmetic"] {
            let alone = try MergeTrial(method, [TestAdapter("z", [zero])]).run()
            #expect(try alone.delta().norm == 0)
        }
        for method in ["svd", "tsv_m", "ties"] {
            let outcome = try MergeTrial(method, [TestAdapter("z", [zero])]).run()
            #expect(try outcome.a().rows == 1)
            #expect(try outcome.module().warnings.contains("the merged update is zero"))
        }
        let with = try MergeTrial("tsv_m", [TestAdapter("a", [deficient]), TestAdapter("z", [zero])]).run()
        #expect(try with.delta().distance(to: deficient.delta) < 1e-6)
        #expect(try with.a().rows == 3)
    }

    // MARK: Missing modules

    /// a0 and a1 have x; only a0 has y. Planned from a recipe.
    static func outcome(_ method: String, missing: String, weights: [Double] = [3, 1]) throws -> (
        MergeOutcome, [TestAdapter]
    ) {
        var random = SplitMix(98)
        let adapters = [
            TestAdapter("a0", [.random("x", 12, 10, 2, &random), .random("y", 9, 8, 2, &random)]),
            TestAdapter("a1", [.random("x", 12, 10, 3, &random)]),
        ]
        let text = """
            merge_method: \(method)
            missing: \(missing)
            models:
              - { model: a0, parameters: { weight: \(weights[0]) } }
              - { model: a1, parameters: { weight: \(weights[1]) } }
            """
        let recipe = try RecipeReader().read(text: text, folder: "")
        let plan = try RecipePlanner(library: TestLibrary(named: try adapters.map { try $0.named() })).plan(recipe)
        return (try MergeOutcome.of(try #require(plan.stages.last)), adapters)
    }

    @Test func `missing: skip, renormalize, zero, error`() throws {
        func y(_ missing: String, _ method: String = "task_arithmetic") throws -> (Dense, Dense, MergeRecord.Module) {
            let (outcome, adapters) = try Self.outcome(method, missing: missing)
            let module = try #require(adapters[0].module("y"))
            return (try outcome.delta("y"), module.delta, try outcome.module("y"))
        }
        let skipped = try y("skip")
        #expect(skipped.0.distance(to: 3 * skipped.1) < 1e-6)
        #expect(skipped.2.coverage == 0.5)
        let rescaled = try y("renormalize")
        #expect(rescaled.0.distance(to: 4 * rescaled.1) < 1e-6)
        let zeros = try y("zero")
        #expect(zeros.0.distance(to: 3 * zeros.1) < 1e-6)
        let mean = try y("zero", "linear")
        #expect(mean.0.distance(to: 0.75 * mean.1) < 1e-6)
        let lonelyMean = try y("skip", "linear")
        #expect(lonelyMean.0.distance(to: lonelyMean.1) < 1e-6)
        #expect(failureCode { _ = try y("error") } == "merge.module_mismatch")
        for method in ["cat", "svd", "tsv_m", "ties", "magnitude_prune", "pam"] {
            #expect(try y("zero", method).0.norm > 0, "\(method)")
        }
    }
}
