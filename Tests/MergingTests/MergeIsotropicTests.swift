import Testing

@testable import Merging

/// iso_c, iso_cts, tsv_c, core_cart and the post-steps against dense forms in double precision.
@Suite struct MergeIsotropicTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var rows: Int
        var columns: Int
        var ranks: [Int]
        var testDescription: String { "\(rows)×\(columns) ranks \(ranks)" }
    }

    static let cases = [
        Case(rows: 24, columns: 17, ranks: [3]),
        Case(rows: 40, columns: 64, ranks: [4, 1, 7]),
        Case(rows: 20, columns: 33, ranks: [10, 12, 8]),
    ]
    static let weights = [0.7, -0.4, 1.9]

    func set(_ size: Case) -> [TestAdapter] {
        TestAdapter.set(rows: size.rows, columns: size.columns, ranks: size.ranks, seed: 21)
    }

    func weighted(_ adapters: [TestAdapter]) -> [Dense] {
        zip(Self.weights, adapters).map { $0 * $1.modules[0].delta }
    }

    func sum(_ adapters: [TestAdapter]) -> Dense { Dense.sum(weighted(adapters).map { (1, $0) }) }

    @Test(arguments: cases) func `iso_c flattens the spectrum of the weighted sum`(_ size: Case) throws {
        let adapters = set(size)
        let weights = Array(Self.weights.prefix(adapters.count))
        for beta in [1.0, 0.3, 0] {
            for overMinDim in [false, true] {
                let trial = MergeTrial(
                    "iso_c", adapters, weights: weights,
                    [
                        "beta": .number(beta), "lambda": .number(0.6),
                        "mean_over": .text(overMinDim ? "min_dim" : "rank"),
                    ])
                let expected = 0.6 * DenseMethods.isotropic(sum(adapters), beta: beta, overMinDim: overMinDim)
                #expect(try trial.delta().distance(to: expected) < 1e-5)
            }
        }
    }

    @Test func `iso_c gives equal singular values and keeps the nuclear norm`() throws {
        let adapters = set(Self.cases[1])
        let merged = JacobiSVD(try MergeTrial("iso_c", adapters).delta())
        let nuclear = JacobiSVD(Dense.sum(adapters.map { (1, $0.modules[0].delta) })).sigma.reduce(0, +)
        let support = merged.sigma.prefix(12)
        #expect(support.allSatisfy { abs($0 / merged.sigma[0] - 1) < 1e-5 })
        #expect(abs(merged.sigma.reduce(0, +) / nuclear - 1) < 1e-5)
    }

    @Test(arguments: cases) func `iso_cts is its dense form on the support`(_ size: Case) throws {
        let adapters = set(size)
        let weights = Array(Self.weights.prefix(adapters.count))
        for fraction in [0.8, 0.5, 1.0] {
            let trial = MergeTrial(
                "iso_cts", adapters, weights: weights,
                ["common_space_fraction": .number(fraction), "lambda": .number(1.5)])
            let expected = 1.5 * DenseMethods.isoCTS(weighted(adapters), fraction: fraction)
            #expect(try trial.delta().distance(to: expected) < 1e-5, "\(fraction)")
        }
        let whole = MergeTrial(
            "iso_cts", adapters, weights: weights, ["common_space_fraction": .number(1)])
        let isoC = MergeTrial("iso_c", adapters, weights: weights)
        #expect(try whole.delta().distance(to: try isoC.delta()) < 1e-5)
    }

    @Test func `iso_cts refuses more task directions than there are`() throws {
        // 3 directions, 4 adapters: one direction each would need 4.
        var random = SplitMix(3)
        let shared = random.matrix(9, 3)
        let adapters = (0..<4).map { i in
            TestAdapter("a\(i)", [TestModule("m", b: shared, a: random.matrix(3, 8))])
        }
        let trial = MergeTrial("iso_cts", adapters, ["common_space_fraction": .number(0)])
        #expect(failureCode { _ = try trial.run() } == "recipe.bad_parameter")
    }

    @Test func `tsv_c keeps a share of the triples, or of the energy`() throws {
        let adapter = TestAdapter.set(rows: 30, columns: 22, ranks: [8], seed: 4)
        let exact = JacobiSVD(adapter[0].modules[0].delta)
        for (keep, k) in [(0.5, 4), (0.3, 2), (0.01, 1), (1.0, 8)] {
            let trial = MergeTrial("tsv_c", adapter, weights: [0.5], ["keep": .number(keep)])
            #expect(try trial.delta().distance(to: 0.5 * exact.truncated(k)) < 1e-5, "\(keep)")
        }
        let energy = try MergeTrial("tsv_c", adapter, ["energy": .number(0.9)]).delta()
        let squares = exact.sigma.map { $0 * $0 }
        let total = squares.reduce(0, +)
        let k = try #require((1...8).first { squares.prefix($0).reduce(0, +) >= 0.9 * total })
        #expect(energy.distance(to: exact.truncated(k)) < 1e-5)
    }

    @Test func `core_cart adds leading directions of the differences to the mean`() throws {
        let adapters = set(Self.cases[1])
        let updates = weighted(adapters)
        let mean = Dense.sum(updates.map { (1.0 / 3, $0) })
        var expected = mean
        for update in updates {
            let svd = JacobiSVD(update - mean)
            let k = Int((0.3 * Double(svd.sigma.filter { $0 > 1e-6 * mean.norm }.count)).rounded(.up))
            expected = expected + 0.2 * svd.truncated(k)
        }
        let trial = MergeTrial(
            "core_cart", adapters, weights: Self.weights,
            ["rank_share": .number(0.3), "scale": .number(0.2), "lambda": .number(2)])
        #expect(try trial.delta().distance(to: 2 * expected) < 1e-5)
    }

    @Test(arguments: ["task_arithmetic", "tsv_m", "knots_ties", "model_stock"])
    func `post-steps work on what the method gave`(_ method: String) throws {
        let adapters = set(Self.cases[1])
        let plain = try MergeTrial(method, adapters).delta()
        let updates = adapters.map { $0.modules[0].delta }
        var trial = MergeTrial(method, adapters)
        trial.post = [PostStepPlan(id: "isotropize", parameters: ["beta": .number(0.5)])]
        #expect(try trial.delta().distance(to: DenseMethods.isotropic(plain, beta: 0.5)) < 1e-5)
        for alpha in [1.0, 0.3] {
            trial.post = [PostStepPlan(id: "svc", parameters: ["alpha": .number(alpha)])]
            #expect(try trial.delta().distance(to: DenseMethods.svc(plain, updates, alpha: alpha)) < 1e-4, "\(alpha)")
        }
        trial.post.append(PostStepPlan(id: "isotropize", parameters: [:]))
        let both = DenseMethods.isotropic(DenseMethods.svc(plain, updates, alpha: 0.3))
        #expect(try trial.delta().distance(to: both) < 1e-4)
    }

    @Test func `svc may look at the weighted updates`() throws {
        let adapters = set(Self.cases[1])
        var trial = MergeTrial("task_arithmetic", adapters, weights: [2, 0.5, 1.5])
        let plain = try trial.delta()
        trial.post = [PostStepPlan(id: "svc", parameters: ["reference": .text("weighted")])]
        let updates = zip([2, 0.5, 1.5], adapters).map { $0 * $1.modules[0].delta }
        #expect(try trial.delta().distance(to: DenseMethods.svc(plain, updates, alpha: 1)) < 1e-5)
    }

    @Test func `svc leaves one adapter alone and is defined where all cancels`() throws {
        var adapters = TestAdapter.set(rows: 18, columns: 25, ranks: [4], seed: 9)
        var trial = MergeTrial("task_arithmetic", adapters)
        trial.post = [PostStepPlan(id: "svc", parameters: [:])]
        #expect(try trial.delta().distance(to: adapters[0].modules[0].delta) < 1e-5)
        adapters.append(TestAdapter("minus", adapters[0].modules))
        trial.adapters = adapters
        trial.weights = [1, -1]
        #expect(try trial.delta().norm < 1e-5)
    }
}
