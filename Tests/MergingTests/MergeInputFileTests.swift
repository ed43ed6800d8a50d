import Foundation
import Tensors
import Testing

@testable import Merging

/// Masks, Fisher information and input Gram matrices from files.
@Suite struct MergeInputFileTests {
    func set(_ ranks: [Int] = [3, 2]) -> [TestAdapter] {
        TestAdapter.set(rows: 12, columns: 9, ranks: ranks, seed: 81)
    }

    func withFile(_ entries: [TensorFile.Entry], _ body: (String) throws -> Void) throws {
        let path = try TensorFile.write(entries)
        defer { TensorFile.remove(path) }
        try body(path)
    }

    // MARK: Masks

    @Test(arguments: [DType.f32, .u8]) func `given masks are used as they are`(_ dtype: DType) throws {
        let adapters = set()
        var random = SplitMix(5)
        let masks = adapters.map { _ in (0..<108).map { _ in random.uniform() < 0.4 ? 1.0 : 0.0 } }
        let entries = zip(adapters, masks).map {
            TensorFile.Entry(name: "mask.m.delta.\($0.name)", shape: [12, 9], values: $1, dtype: dtype)
        }
        try withFile(entries) { path in
            var trial = MergeTrial("dare_linear", adapters, ["density": .number(0.4), "mask_file": .text(path)])
            trial.rank = .keep
            trial.seed = nil
            let expected = Dense.sum(
                zip(adapters, masks).map { adapter, mask in
                    (2.5, Dense(12, 9, zip(adapter.modules[0].delta.values, mask).map { $0 * $1 }))
                })
            let merged = try trial.delta()
            #expect(merged.distance(to: expected) < 1e-5)
        }
    }

    @Test func `a missing mask is drawn from the seed, with a warning`() throws {
        let adapters = set()
        let ones = TensorFile.Entry(
            name: "mask.m.delta.a0", shape: [12, 9], values: [Double](repeating: 1, count: 108))
        try withFile([ones]) { path in
            var trial = MergeTrial(
                "dare_linear", adapters,
                ["density": .number(0.5), "rescale": .text("none"), "mask_file": .text(path)])
            trial.rank = .keep
            let outcome = try trial.run()
            #expect(try outcome.module().warnings.contains { $0.contains("mask.m.delta.a1") })
            var drawn = trial
            drawn.parameters["mask_file"] = nil
            drawn.adapters = [adapters[1]]
            let expected = adapters[0].modules[0].delta + (try drawn.delta())
            #expect(try outcome.delta().distance(to: expected) < 1e-5)
            trial.seed = nil
            #expect(failureCode { _ = try trial.run() } == "recipe.seed_required")
        }
    }

    @Test func `a mask of another size or type is refused`() throws {
        var trial = MergeTrial("dare_linear", [set()[0]], ["density": .number(0.5)])
        let entry = TensorFile.Entry(name: "mask.m.delta.a0", shape: [9, 9], values: [Double](repeating: 1, count: 81))
        try withFile([entry]) { path in
            trial.parameters["mask_file"] = .text(path)
            #expect(failureCode { _ = try trial.run() } == "merge.shape_mismatch")
        }
        trial.parameters["mask_file"] = .text("/nowhere/masks.safetensors")
        #expect(failureCode { _ = try trial.run() } == "io.not_found")
    }

    // MARK: Fisher

    @Test func `fisher weighs every entry by its information`() throws {
        let adapters = set()
        var random = SplitMix(6)
        let information = adapters.map { _ in (0..<108).map { _ in Double(Float(random.uniform())) } }
        let paths = try information.map {
            try TensorFile.write([TensorFile.Entry(name: "fisher.m", shape: [12, 9], values: $0)])
        }
        defer { paths.forEach(TensorFile.remove) }
        let weights = [1.0, 3]
        var trial = MergeTrial("fisher", adapters, weights: weights, ["lambda": .number(0.5)])
        trial.rank = .keep
        trial.operandParameters = paths.map { ["fisher": .text($0)] }
        let expected = (0..<108).map { e -> Double in
            var (numerator, divisor) = (0.0, 0.0)
            for i in adapters.indices {
                numerator += weights[i] * information[i][e] * adapters[i].modules[0].delta.values[e]
                divisor += weights[i] * information[i][e]
            }
            return 0.5 * numerator / divisor
        }
        #expect(try trial.delta().distance(to: Dense(12, 9, expected)) < 1e-5)
        let first = try trial.run()
        trial.blockHeight = 5
        #expect(try trial.run().bytes == first.bytes)
        trial.operandParameters = [[:], [:]]
        let mean = Dense.sum(zip(weights, adapters).map { ($0 / 8, $1.modules[0].delta) })
        let outcome = try trial.run()
        #expect(try outcome.delta().distance(to: mean) < 1e-5)
        #expect(try outcome.module().warnings.count == 2)
    }

    @Test func `a Fisher file without the module or with negative entries is refused`() throws {
        var trial = MergeTrial("fisher", [set()[0]])
        try withFile([TensorFile.Entry(name: "fisher.other", shape: [2], values: [1, 2])]) { path in
            trial.operandParameters = [["fisher": .text(path)]]
            #expect(failureCode { _ = try trial.run() } == "data.missing")
        }
        let negative = [Double](repeating: -1, count: 108)
        try withFile([TensorFile.Entry(name: "fisher.m", shape: [12, 9], values: negative)]) { path in
            trial.operandParameters = [["fisher": .text(path)]]
            #expect(failureCode { _ = try trial.run() } == "data.malformed")
        }
        let turned = [Double](repeating: 1, count: 108)
        try withFile([TensorFile.Entry(name: "fisher.m", shape: [9, 12], values: turned)]) { path in
            trial.operandParameters = [["fisher": .text(path)]]
            #expect(failureCode { _ = try trial.run() } == "merge.shape_mismatch")
        }
    }

    // MARK: RegMean

    @Test func `regmean solves the damped normal equations`() throws {
        let adapters = set()
        var random = SplitMix(9)
        let grams = adapters.map { _ -> Dense in
            let inputs = random.matrix(40, 9)
            return inputs.transposed * inputs
        }
        let paths = try grams.map {
            try TensorFile.write([TensorFile.Entry(name: "gram.m", shape: [9, 9], values: $0.values)])
        }
        defer { paths.forEach(TensorFile.remove) }
        let weights = [1.0, 0.5]
        var trial = MergeTrial("regmean", adapters, weights: weights, ["off_diagonal": .number(0.8)])
        trial.operandParameters = paths.map { ["gram": .text($0)] }
        let damped = grams.map { gram -> Dense in
            var copy = gram
            for i in 0..<9 { for j in 0..<9 where i != j { copy[i, j] *= 0.8 } }
            return copy
        }
        let left = Dense.sum(adapters.indices.map { (weights[$0], adapters[$0].modules[0].delta * damped[$0]) })
        let h = Dense.sum(adapters.indices.map { (weights[$0], damped[$0]) })
        let outcome = try trial.run()
        #expect(try (outcome.delta() * h).distance(to: left) < 1e-5)
        #expect(try outcome.a().rows == 5)
        trial.operandParameters = [[:], [:]]
        let mean = Dense.sum(zip(weights, adapters).map { ($0 / 1.5, $1.modules[0].delta) })
        #expect(try trial.delta().distance(to: mean) < 1e-6)
    }
}
