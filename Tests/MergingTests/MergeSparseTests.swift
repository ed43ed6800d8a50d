import Tensors
import Testing

@testable import Merging

/// dare, breadcrumbs, della, magmax, sce: against plain loops, and the statistics of their draws.
@Suite struct MergeSparseTests {
    static let (rows, columns) = (18, 26)

    func set(_ ranks: [Int] = [3, 5, 2]) -> [TestAdapter] {
        TestAdapter.set(rows: Self.rows, columns: Self.columns, ranks: ranks, seed: 61)
    }

    func dense(_ values: [Double]) -> Dense { Dense(Self.rows, Self.columns, values) }

    func trial(_ method: String, _ adapters: [TestAdapter], _ parameters: [String: ParameterValue]) -> MergeTrial {
        var trial = MergeTrial(method, adapters, parameters)
        trial.rank = .keep
        return trial
    }

    /// The mask that the documented generator gives.
    func mask(_ adapter: TestAdapter, stream: String, seed: UInt64, below p: [Double]) throws -> [Bool] {
        let identity = try adapter.named().adapter.deltaID().hex
        let random = CounterRandom(seed: seed, stream: stream, identity, "m")
        return p.indices.map { Double(random.uniform(UInt64($0))) < p[$0] }
    }

    func sum(_ weights: [Double], _ lists: [[Double]]) -> [Double] {
        lists[0].indices.map { e in zip(weights, lists).reduce(0) { $0 + $1.0 * $1.1[e] } }
    }

    /// Election by weighted sum, mean of what agrees.
    func elected(_ weights: [Double], _ lists: [[Double]]) -> [Double] {
        lists[0].indices.map { e in
            let terms = zip(weights, lists).map { $0 * $1[e] }
            let sign: Double = terms.reduce(0, +) >= 0 ? 1 : -1
            let agreeing = terms.filter { $0 * sign > 0 }
            return agreeing.reduce(0, +) / Double(max(1, agreeing.count))
        }
    }

    // MARK: dare

    @Test(arguments: ["inverse", "l1", "none"])
    func `dare drops by the documented draws and rescales`(_ rescale: String) throws {
        let adapters = set()
        let weights = [1.0, -0.5, 2]
        let densities = [0.5, 0.3, 1]
        var trial = trial("dare_linear", adapters, ["rescale": .text(rescale), "lambda": .number(0.8)])
        trial.weights = weights
        trial.operandParameters = densities.map { ["density": .number($0)] }
        let lists = try zip(adapters, densities).map { adapter, p in
            let count = adapter.entries.count
            let p = [Double](repeating: p, count: count)
            return SparseReference.masked(
                adapter.entries, try mask(adapter, stream: "dare.delta", seed: 7, below: p), probabilities: p,
                rescale: p[0] == 1 ? "none" : rescale)
        }
        #expect(try trial.delta().distance(to: 0.8 * dense(sum(weights, lists))) < 1e-5)
        trial.method = "dare_ties"
        #expect(try trial.delta().distance(to: 0.8 * dense(elected(weights, lists))) < 1e-5)
    }

    @Test func `the mean over seeds of dare_linear is task arithmetic`() throws {
        let adapters = TestAdapter.set(rows: 6, columns: 5, ranks: [2, 2], seed: 3)
        let exact = Dense.sum(adapters.map { (1, $0.modules[0].delta) })
        let seeds = 2000
        var total = Dense(6, 5)
        let plan = try trial("dare_linear", adapters, ["density": .number(0.4)]).plan()
        let task = try #require(try TaskBuilder(plan).tasks().first)
        for seed in 0..<seeds {
            var context = task.context
            context.contentID = { "\($0)" }
            var copy = plan
            copy.seed = UInt64(seed)
            let own = try #require(try TaskBuilder(copy).tasks().first)
            guard case .elements(let make) = own.rule else { continue }
            let matrices = adapters.map { Matrix(rows: 6, columns: 5, elements: $0.entries) }
            let merged = try make(own.context).applied(to: matrices)
            total = total + Dense(6, 5, merged.elements.map(Double.init))
        }
        let mean = (1 / Double(seeds)) * total
        for e in mean.values.indices {
            // Variance of one draw: x² (1−p)/p for every adapter.
            let variance = adapters.reduce(0) { $0 + Double($1.entries[e] * $1.entries[e]) * 0.6 / 0.4 }
            #expect(abs(mean.values[e] - exact.values[e]) < 5 * (variance / Double(seeds)).squareRoot())
        }
    }

    @Test(arguments: ["dare_linear", "dare_ties", "della", "della_linear"])
    func `draws depend on the seed alone, not on threads, blocks or order`(_ method: String) throws {
        let adapters = set()
        var trial = trial(method, adapters, ["rescale": .text("l1")])
        let first = try trial.run()
        trial.threads = 2
        trial.blockHeight = 7
        #expect(try trial.run().bytes == first.bytes)
        trial.blockHeight = 1
        #expect(try trial.run().bytes == first.bytes)
        trial.adapters = adapters.reversed()
        #expect(try trial.delta().distance(to: try first.delta()) < 1e-6)
        trial.seed = 8
        #expect(try trial.delta().distance(to: try first.delta()) > 0.1)
        trial.seed = nil
        #expect(failureCode { _ = try trial.run() } == "recipe.seed_required")
    }

    @Test(arguments: ["dare_linear", "della_linear", "breadcrumbs", "dare_ties"])
    func `density 1 keeps all without drawing, density 0 drops all`(_ method: String) throws {
        let adapters = set([4])
        var all = trial(method, adapters, ["density": .number(1)])
        all.seed = nil
        #expect(try all.delta().distance(to: adapters[0].modules[0].delta) < 1e-6)
        let none = try trial(method, adapters, ["density": .number(0)]).run()
        #expect(try none.delta().norm == 0)
        #expect(try none.module().warnings.contains { $0.contains("density 0") })
    }

    // MARK: breadcrumbs

    @Test(arguments: [(0.6, 0.05), (0.9, 0.01), (0.97, 0.2), (0.3, 0.0)])
    func `breadcrumbs drops the largest and the smallest entries`(_ density: Double, _ gamma: Double) throws {
        let adapters = set()
        let weights = [1.0, -0.5, 2]
        let lists = adapters.map {
            SparseReference.outliers($0.entries, density: density, gamma: gamma).map(Double.init)
        }
        var trial = trial(
            "breadcrumbs", adapters, ["density": .number(density), "gamma": .number(gamma), "lambda": .number(0.5)])
        trial.weights = weights
        #expect(try trial.delta().distance(to: 0.5 * dense(sum(weights, lists))) < 1e-5)
        trial.method = "breadcrumbs_ties"
        #expect(try trial.delta().distance(to: 0.5 * dense(elected(weights, lists))) < 1e-5)
    }

    @Test func `breadcrumbs with no entry to drop at the top keeps the top`() throws {
        let adapter = set([3])
        let merged = try trial("breadcrumbs", adapter, ["density": .number(0.5), "gamma": .number(0.001)]).delta()
        let largest = adapter[0].entries.map { abs($0) }.max() ?? 0
        #expect(abs((merged.values.map(abs).max() ?? 0) / Double(largest) - 1) < 1e-5)
    }

    @Test func `breadcrumbs breaks ties by position and independently of blocks`() throws {
        let ones = TestModule(
            "m", b: Dense(Self.rows, 1, [Double](repeating: 1, count: Self.rows)),
            a: Dense(1, Self.columns, [Double](repeating: 1, count: Self.columns)))
        let adapter = [TestAdapter("ones", [ones])]
        let expected = SparseReference.outliers(adapter[0].entries, density: 0.5, gamma: 0.1).map(Double.init)
        for height in [1, 5, 18] {
            var trial = trial("breadcrumbs", adapter, ["density": .number(0.5), "gamma": .number(0.1)])
            trial.blockHeight = height
            #expect(try trial.delta().distance(to: dense(expected)) < 1e-6)
        }
    }

    // MARK: della

    @Test(arguments: ["inverse", "l1", "none"])
    func `della keeps by rank of the magnitude in its row`(_ rescale: String) throws {
        let adapters = set()
        let weights = [1.0, -0.5, 2]
        let (density, epsilon) = (0.4, 0.3)
        let lists = try adapters.map { adapter -> [Double] in
            let entries = adapter.entries
            let p = stride(from: 0, to: entries.count, by: Self.columns).flatMap {
                SparseReference.probabilities(
                    Array(entries[$0..<$0 + Self.columns]), density: density, epsilon: epsilon)
            }
            return SparseReference.masked(
                entries, try mask(adapter, stream: "della.delta", seed: 7, below: p), probabilities: p,
                rescale: rescale)
        }
        var trial = trial(
            "della_linear", adapters,
            ["density": .number(density), "epsilon": .number(epsilon), "rescale": .text(rescale)])
        trial.weights = weights
        #expect(try trial.delta().distance(to: dense(sum(weights, lists))) < 1e-5)
        trial.method = "della"
        #expect(try trial.delta().distance(to: dense(elected(weights, lists))) < 1e-5)
    }

    @Test func `della keeps each rank at its own rate and all at the density`() throws {
        // All rows alike: 1, 2, …, n, so that the rank is the column.
        let (rows, columns) = (3000, 10)
        let module = TestModule(
            "m", b: Dense(rows, 1, [Double](repeating: 1, count: rows)),
            a: Dense(1, columns, (1...columns).map(Double.init)))
        var trial = MergeTrial(
            "della_linear", [TestAdapter("a", [module])],
            ["density": .number(0.5), "epsilon": .number(0.2), "rescale": .text("none")])
        trial.rank = .keep
        let merged = try trial.delta()
        var total = 0.0
        for j in 0..<columns {
            let p = 0.3 + 0.4 * Double(j) / 9
            let kept = Double((0..<rows).count { merged[$0, j] != 0 })
            total += kept
            #expect(abs(kept - p * Double(rows)) < 5 * (p * (1 - p) * Double(rows)).squareRoot(), "rank \(j)")
        }
        #expect(abs(total / Double(rows * columns) - 0.5) < 5 * (0.25 / Double(rows * columns)).squareRoot())
    }

    @Test func `della refuses probabilities outside of 0 and 1`() throws {
        for (density, epsilon) in [(0.5, 0.5), (0.1, 0.1), (0.9, 0.2)] {
            let trial = trial("della", set(), ["density": .number(density), "epsilon": .number(epsilon)])
            #expect(failureCode { _ = try trial.run() } == "recipe.bad_parameter")
        }
    }

    // MARK: magmax, sce

    @Test func `magmax takes the entry of largest magnitude, the later one of equals`() throws {
        let adapters = set()
        let weights = [1.0, -1.2, 0.7]
        var trial = trial("magmax", adapters, ["lambda": .number(0.5)])
        trial.weights = weights
        let expected = adapters[0].entries.indices.map { e in
            var best = 0.0
            for (w, adapter) in zip(weights, adapters) where abs(w * Double(adapter.entries[e])) >= abs(best) {
                best = w * Double(adapter.entries[e])
            }
            return 0.5 * best
        }
        #expect(try trial.delta().distance(to: dense(expected)) < 1e-5)
        var minus = adapters[0]
        minus.name = "minus"
        minus.modules[0].scale *= -1
        let last = try self.trial("magmax", [adapters[0], minus], [:]).delta()
        #expect(last.distance(to: minus.modules[0].delta) < 1e-6)
    }

    @Test(arguments: [1.0, 0.3, 0.05])
    func `sce selects by variance, weighs by energy, erases minorities`(_ topK: Double) throws {
        let adapters = set()
        for erases in [true, false] {
            let trial = trial(
                "sce", adapters,
                ["select_topk": .number(topK), "erase": .bool(erases), "lambda": .number(1.5)])
            let expected = SparseReference.sce(adapters.map(\.entries), topK: topK, erases: erases)
            #expect(try trial.delta().distance(to: 1.5 * dense(expected)) < 1e-5, "\(erases)")
            var other = trial
            other.blockHeight = 5
            other.threads = 2
            #expect(try other.run().bytes == trial.run().bytes)
        }
    }

    @Test func `sce without any entry selected is zero`() throws {
        #expect(try trial("sce", set(), ["select_topk": .number(0)]).delta().norm == 0)
    }
}
