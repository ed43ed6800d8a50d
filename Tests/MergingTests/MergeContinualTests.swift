import Testing

@testable import Merging

/// opcm, wudi, genknowsub.
@Suite struct MergeContinualTests {
    static let sizes = [(28, 19, [4, 3, 5]), (16, 40, [7, 6, 8])]

    func updates(_ adapters: [TestAdapter]) -> [Dense] { adapters.map { $0.modules[0].delta } }

    @Test func `opcm is the published sequence of steps on one module`() throws {
        for (rows, columns, ranks) in Self.sizes {
            let adapters = TestAdapter.set(rows: rows, columns: columns, ranks: ranks, seed: 31)
            for alpha in [0.5, 0.2, 0.95] {
                let merged = try MergeTrial("opcm", adapters, ["alpha": .number(alpha)]).delta()
                #expect(merged.distance(to: DenseMethods.opcm(updates(adapters), alpha: alpha)) < 1e-5, "\(alpha)")
            }
        }
    }

    @Test func `opcm gives the whole adapter the mean norm of all adapters`() throws {
        var random = SplitMix(5)
        let adapters = (0..<3).map { i in
            TestAdapter(
                "a\(i)", [.random("m", 20, 12, 3, &random), .random("n", 9, 31, 4, &random, scale: Double(i + 1))])
        }
        let outcome = try MergeTrial("opcm", adapters).run()
        func norm(_ parts: [Dense]) -> Double { parts.reduce(0) { $0 + $1.norm * $1.norm }.squareRoot() }
        let mean = adapters.map { norm($0.modules.map(\.delta)) }.reduce(0, +) / 3
        let merged = try ["m", "n"].map { try outcome.delta($0) }
        #expect(abs(norm(merged) / mean - 1) < 1e-5)
        // The factor is one for both modules: their directions are those of each alone.
        for (i, name) in ["m", "n"].enumerated() {
            let alone = adapters.map { TestAdapter($0.name, [$0.modules[i]]) }
            let direction = try MergeTrial("opcm", alone).delta(name)
            #expect((merged[i].norm / direction.norm * direction).distance(to: merged[i]) < 1e-5)
        }
        #expect(abs(try outcome.module("m").frobenius / merged[0].norm - 1) < 1e-5)
    }

    @Test func `opcm leaves orthogonal newcomers untouched and returns a lone adapter`() throws {
        let (left, right) = (Dense.identity(12), Dense.identity(10))
        let first = TestModule("m", b: 2 * left.columns([0, 1]), a: right.columns([0, 1]).transposed)
        let second = TestModule("m", b: left.columns([5, 6, 7]), a: right.columns([4, 5, 6]).transposed)
        let merged = try MergeTrial("opcm", [TestAdapter("a", [first]), TestAdapter("b", [second])]).delta()
        let sum = first.delta + second.delta
        let mean = (first.delta.norm + second.delta.norm) / 2
        #expect(merged.distance(to: (mean / sum.norm) * sum) < 1e-6)
        let alone = try MergeTrial("opcm", [TestAdapter("a", [first])], ["lambda": .number(0.5)]).delta()
        #expect(alone.distance(to: 0.5 * first.delta) < 1e-6)
    }

    @Test func `opcm can cut the state before each newcomer`() throws {
        let adapters = TestAdapter.set(rows: 20, columns: 24, ranks: [4, 3], seed: 8)
        let cut = JacobiSVD(adapters[0].modules[0].delta).truncated(2)
        let newcomer = adapters[1].modules[0].delta
        let merged = try MergeTrial("opcm", adapters, ["step_rank": .number(2), "alpha": .number(0)]).delta()
        let s = DenseMethods.support(cut)
        var z = s.u.transposed * newcomer * s.v
        for k in 0..<2 { for l in 0..<2 where k != l { z[k, l] = 0 } }
        let sum = cut + (newcomer - s.u * z * s.v.transposed)
        let mean = (adapters[0].modules[0].delta.norm + newcomer.norm) / 2
        #expect(merged.distance(to: (mean / sum.norm) * sum) < 1e-5)
    }

    // MARK: wudi

    func loss(_ x: Dense, _ updates: [Dense]) -> Double {
        updates.reduce(0) { sum, update in
            let rest = (x - update) * update.transposed
            return sum + rest.norm * rest.norm / (update.norm * update.norm)
        }
    }

    @Test func `wudi without damping has no gradient left`() throws {
        for (rows, columns, ranks) in Self.sizes {
            let adapters = TestAdapter.set(rows: rows, columns: columns, ranks: ranks, seed: 77)
            let updates = updates(adapters)
            let x = try MergeTrial("wudi", adapters, ["ridge": .number(0)]).delta()
            var gradient = Dense(rows, columns)
            for update in updates {
                let square = update.norm * update.norm
                gradient = gradient + (2 / square) * ((x - update) * update.transposed * update)
            }
            let scale = Dense.sum(updates.map { (1, $0) }).norm
            #expect(gradient.norm / scale < 1e-4)
            #expect(loss(x, updates) < loss(Dense.sum(updates.map { (1, $0) }), updates))
        }
    }

    @Test func `wudi with damping solves the damped system on the cores`() throws {
        let adapters = TestAdapter.set(rows: 18, columns: 13, ranks: [4, 5, 6], seed: 13)
        let updates = updates(adapters)
        // R exceeds d_in, so that the cores have all 13 columns.
        var (h, n) = (Dense(13, 13), Dense(18, 13))
        for update in updates {
            let part = (1 / (update.norm * update.norm)) * (update.transposed * update)
            h = h + part
            n = n + update * part
        }
        let trace = (0..<13).reduce(0) { $0 + h[$1, $1] }
        let x = try MergeTrial("wudi", adapters, ["ridge": .number(0.05)]).delta()
        let damped = h + (0.05 * trace / 13) * Dense.identity(13)
        #expect((x * damped).distance(to: n) < 1e-5)
    }

    @Test func `wudi returns a lone adapter, and Adam lowers the loss`() throws {
        let adapters = TestAdapter.set(rows: 18, columns: 25, ranks: [4, 3], seed: 14)
        let alone = try MergeTrial("wudi", [adapters[0]], ["ridge": .number(0)]).delta()
        #expect(alone.distance(to: adapters[0].modules[0].delta) < 1e-5)
        let updates = updates(adapters)
        let start = loss(Dense.sum(updates.map { (1, $0) }), updates)
        let parameters: [String: ParameterValue] = [
            "solver": .text("adam"), "learning_rate": .number(1e-3), "iterations": .number(200),
        ]
        #expect(loss(try MergeTrial("wudi", adapters, parameters).delta(), updates) < start)
        var still = parameters
        still["learning_rate"] = .number(1e-12)
        let unmoved = try MergeTrial("wudi", adapters, still).delta()
        #expect(unmoved.distance(to: Dense.sum(updates.map { (1, $0) })) < 1e-5)
    }

    // MARK: genknowsub

    @Test func `genknowsub subtracts the mean of the general adapters`() throws {
        let adapters = TestAdapter.set(rows: 14, columns: 11, ranks: [2, 3, 2], seed: 15)
        let updates = updates(adapters)
        var trial = MergeTrial("genknowsub", adapters, weights: [2, 1, 1], ["lambda": .number(0.5)])
        trial.operandParameters = [[:], ["general": .bool(true)], ["general": .bool(true)]]
        let expected = Dense.sum([(2, updates[0]), (-0.5, updates[1]), (-0.5, updates[2])])
        #expect(try trial.delta().distance(to: expected) < 1e-6)
        trial.operandParameters = adapters.map { _ in ["general": .bool(true)] }
        #expect(failureCode { _ = try trial.run() } == "recipe.bad_parameter")
    }

    @Test func `genknowsub on the factors subtracts A and B separately`() throws {
        let adapters = TestAdapter.set(rows: 14, columns: 11, ranks: [3, 3], seed: 16)
        var trial = MergeTrial("genknowsub", adapters, ["space": .text("factor")])
        trial.operandParameters = [[:], ["general": .bool(true)]]
        let roots = adapters.map { $0.modules[0].scale.squareRoot() }
        func difference(_ x: Dense, _ y: Dense) -> Dense { roots[0] * x - roots[1] * y }
        let (first, second) = (adapters[0].modules[0], adapters[1].modules[0])
        let expected = difference(first.b, second.b) * difference(first.a, second.a)
        #expect(try trial.delta().distance(to: expected) < 1e-6)
    }
}
