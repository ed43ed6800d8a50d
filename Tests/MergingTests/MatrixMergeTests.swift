import Diagnostics
import Tensors
import Testing

@testable import Merging

/// Updates in memory get the tensor that a merge of adapters gives.
@Suite struct MatrixMergeTests {
    @Test(arguments: ["ties", "pam", "magmax", "tsv_m", "iso_c", "magnitude_prune", "task_arithmetic", "svd"])
    func `the same tensor as a merge of adapters`(_ method: String) throws {
        let adapters = TestAdapter.set(rows: 18, columns: 23, ranks: [3, 5], seed: 91)
        var parameters: [String: ParameterValue] = [:]
        if method == "ties" {
            parameters = ["density": .number(0.5), "reduce": .text("weighted_mean"), "zero_sign": .text("zero")]
        }
        if method == "pam" {
            parameters = [
                "space": .text("delta"), "share": .number(0.5), "resolve": .text("zero"), "combine": .text("add"),
                "alpha": .number(0.3),
            ]
        }
        let weights = method == "pam" ? [1.0, 1] : [3, 1]
        var trial = MergeTrial(method, adapters, weights: weights, parameters)
        trial.rank = .keep
        let updates = adapters.map { adapter in
            let delta = adapter.modules[0].delta
            return Matrix<Double>(rows: delta.rows, columns: delta.columns, elements: delta.values)
        }
        let merged = try MatrixMerge(method, parameters: parameters).merged(updates, weights: weights, ranks: [3, 5])
        let result = Dense(merged.rows, merged.columns, merged.elements)
        #expect(result.distance(to: try trial.delta()) < 2e-6)
    }

    @Test func `a drawn vote with zero_sign zero gives 0`() throws {
        let merge = try MatrixMerge("ties", parameters: ["density": .number(1), "zero_sign": .text("zero")])
        let first = Matrix<Double>(rows: 1, columns: 3, elements: [1, 2, -1])
        let second = Matrix<Double>(rows: 1, columns: 3, elements: [-1, 4, -3])
        #expect(try merge.merged([first, second]).elements == [0, 3, -2])
    }

    @Test func `unknown methods and parameters, and methods that need more, are refused`() throws {
        #expect(throws: Failure.self) { try MatrixMerge("tie") }
        #expect(throws: Failure.self) { try MatrixMerge("ties", parameters: ["densty": .number(1)]) }
        let update = Matrix<Double>(rows: 2, columns: 2, elements: [1, 0, 0, 1])
        #expect(throws: Failure.self) { try MatrixMerge("core_ties").merged([update, update]) }
    }
}
