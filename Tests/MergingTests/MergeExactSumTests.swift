import Tensors
import Testing

@testable import Merging

/// cat, linear, task_arithmetic, negate, svd against dense sums in double precision.
@Suite struct MergeExactSumTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var rows: Int
        var columns: Int
        var ranks: [Int]
        var testDescription: String { "\(rows)×\(columns) ranks \(ranks)" }
    }

    static let cases = [
        Case(rows: 24, columns: 17, ranks: [3]),
        Case(rows: 40, columns: 96, ranks: [4, 1, 7]),
        Case(rows: 96, columns: 31, ranks: [8, 8, 2, 5]),
        Case(rows: 20, columns: 33, ranks: [10, 12, 8]),
    ]
    static let weights = [0.7, -0.4, 1.9, 0.25]

    func sum(_ adapters: [TestAdapter], _ weights: [Double]) -> Dense {
        Dense.sum(zip(weights, adapters).map { ($0, $1.modules[0].delta) })
    }

    @Test(arguments: cases) func `weighted sums equal the dense sum`(_ size: Case) throws {
        let adapters = TestAdapter.set(rows: size.rows, columns: size.columns, ranks: size.ranks, seed: 11)
        let weights = Array(Self.weights.prefix(adapters.count))
        let expected = sum(adapters, weights)
        var cat = MergeTrial("cat", adapters, weights: weights, ["allow_overcomplete": .bool(true)])
        for split in Merging.FactorSplit.allCases {
            cat.parameters["split"] = .text(split.rawValue)
            let outcome = try cat.run()
            #expect(try outcome.delta().distance(to: expected) < 1e-6)
            #expect(try outcome.a().rows == size.ranks.reduce(0, +))
            #expect(try abs(outcome.module().frobenius / expected.norm - 1) < 1e-5)
        }
        let arithmetic = MergeTrial("task_arithmetic", adapters, weights: weights, ["lambda": .number(0.3)])
        #expect(try arithmetic.delta().distance(to: 0.3 * expected) < 1e-6)
        let linear = MergeTrial("linear", adapters, weights: weights)
        #expect(try linear.delta().distance(to: (1 / weights.reduce(0, +)) * expected) < 1e-6)
        let negate = MergeTrial("negate", adapters, weights: weights)
        #expect(try negate.delta().distance(to: -1 * expected) < 1e-6)
    }

    @Test func `split decides which factor takes weight and scaling`() throws {
        let adapters = TestAdapter.set(rows: 12, columns: 10, ranks: [2, 3], seed: 3)
        let (first, second) = (adapters[0].modules[0], adapters[1].modules[0])
        let outcome = try MergeTrial("cat", adapters, weights: [2, -0.5]).run()
        #expect(try outcome.b() == Dense.sideBySide([first.b, second.b]))
        let expected = Dense.sideBySide([
            (2 * first.scale) * first.a.transposed, (-0.5 * second.scale) * second.a.transposed,
        ]).transposed
        #expect(try outcome.a().distance(to: expected) < 1e-7)
        let other = try MergeTrial("cat", adapters, weights: [2, -0.5], ["split": .text("b")]).run()
        #expect(try other.a() == Dense.sideBySide([first.a.transposed, second.a.transposed]).transposed)
    }

    @Test func `cat refuses a total rank above the small side`() throws {
        let adapters = TestAdapter.set(rows: 12, columns: 9, ranks: [5, 5], seed: 3)
        #expect(failureCode { _ = try MergeTrial("cat", adapters).run() } == "merge.rank_limit")
        #expect(try MergeTrial("linear", adapters).run().a().rows == 9)
    }

    @Test func `normalising weights that add up to zero is an error`() throws {
        let adapters = TestAdapter.set(rows: 12, columns: 9, ranks: [2, 2], seed: 3)
        let trial = MergeTrial("linear", adapters, weights: [1, -1])
        #expect(failureCode { _ = try trial.run() } == "recipe.zero_weight_sum")
    }

    @Test(arguments: cases) func `svd is the best approximation of the sum`(_ size: Case) throws {
        let adapters = TestAdapter.set(rows: size.rows, columns: size.columns, ranks: size.ranks, seed: 5)
        let weights = Array(Self.weights.prefix(adapters.count))
        let exact = JacobiSVD(sum(adapters, weights))
        for rank in [1, 2, size.ranks.max() ?? 1, 100] {
            var trial = MergeTrial("svd", adapters, weights: weights)
            trial.rank = .fixed(rank)
            let outcome = try trial.run()
            #expect(try outcome.delta().distance(to: exact.truncated(rank)) < 1e-6)
            #expect(try outcome.a().rows <= rank)
            let lost = exact.sigma.dropFirst(rank).reduce(0) { $0 + $1 * $1 }
            let total = exact.sigma.reduce(0) { $0 + $1 * $1 }
            #expect(try abs(outcome.module().discardedEnergy - lost / total) < 1e-9)
        }
        let standard = try MergeTrial("svd", adapters, weights: weights).run()
        #expect(try standard.delta().distance(to: exact.truncated(size.ranks.max() ?? 1)) < 1e-6)
    }

    @Test func `clamp limits entries to the quantile of the signed factor entries`() throws {
        let adapters = TestAdapter.set(rows: 14, columns: 11, ranks: [3, 2], seed: 8)
        var trial = MergeTrial("svd", adapters)
        trial.rank = .fixed(4)
        let free = try trial.run()
        trial.parameters["clamp"] = .number(0.9)
        try expectClamped(try trial.run(), free, quantile: 0.9)
    }

    @Test func `kohya's svd puts the singular values into B and clamps at 0_99`() throws {
        let adapters = TestAdapter.set(rows: 60, columns: 50, ranks: [3, 2], seed: 9)
        var trial = MergeTrial("svd", adapters, weights: [0.5, 1.5])
        trial.rank = .max
        trial.split = .b
        let free = try trial.run()
        trial.compatibility = .kohya
        (trial.rank, trial.split) = (nil, nil)
        try expectClamped(try trial.run(), free, quantile: 0.99)
    }

    private func expectClamped(_ clamped: MergeOutcome, _ free: MergeOutcome, quantile: Double) throws {
        let entries = try (free.a().values + free.b().values).sorted()
        let position = quantile * Double(entries.count - 1)
        let low = Int(position)
        let limit = entries[low] + (position - Double(low)) * (entries[low + 1] - entries[low])
        func clamp(_ matrix: Dense) -> Dense {
            Dense(matrix.rows, matrix.columns, matrix.values.map { min(max($0, -limit), limit) })
        }
        #expect(try clamped.a().distance(to: clamp(free.a())) < 1e-6)
        #expect(try clamped.b().distance(to: clamp(free.b())) < 1e-6)
        #expect(entries.contains { $0 > limit })
    }
}
