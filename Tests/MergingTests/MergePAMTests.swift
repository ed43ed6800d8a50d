import LinearAlgebra
import Tensors
import Testing

@testable import Merging

/// pam in its three spaces against dense stream references.
@Suite struct MergePAMTests {
    static let combinations = ["average", "add", "pair_mean"]

    static func combine(_ state: Dense, _ newcomer: Dense, _ t: Int, _ how: String) -> Dense {
        switch how {
        case "add": state + 0.1 * newcomer
        case "pair_mean": 0.5 * (state + newcomer)
        default: (1 / Double(t)) * (Double(t - 1) * state + newcomer)
        }
    }

    @Test(arguments: combinations, [0, 0.4, 0.5, 1])
    func `direction removes opposing projections`(_ how: String, _ share: Double) throws {
        let adapters = TestAdapter.set(rows: 26, columns: 31, ranks: [3, 5, 2, 4], seed: 50)
        let weights = [1, -0.7, 1.3, 2]
        let gamma = 0.25
        var state = weights[0] * adapters[0].modules[0].delta
        for t in 1..<4 {
            let svd = JacobiSVD(state)
            var newcomer = weights[t] * adapters[t].modules[0].delta
            let before = newcomer
            let count = Int((share * Double(svd.rank(1e-6)) - 1e-9).rounded(.up))
            for j in 0..<count {
                let (u, v) = (svd.u.columns([j]), svd.v.columns([j]))
                let p = (u.transposed * before * v)[0, 0]
                if p < 0 { newcomer = newcomer + (-(1 - gamma) * p) * (u * v.transposed) }
            }
            state = Self.combine(state, newcomer, t + 1, how)
        }
        let trial = MergeTrial(
            "pam", adapters, weights: weights,
            ["share": .number(share), "combine": .text(how), "gamma": .number(gamma), "lambda": .number(0.9)])
        #expect(try trial.delta().distance(to: 0.9 * state) < 1e-6)
    }

    @Test func `nothing opposes after direction, and share 0 with add is task arithmetic`() throws {
        let adapters = TestAdapter.set(rows: 20, columns: 24, ranks: [4, 4], seed: 51)
        let (first, second) = (adapters[0].modules[0].delta, adapters[1].modules[0].delta)
        let merged = try MergeTrial(
            "pam", adapters, ["share": .number(1), "combine": .text("add"), "alpha": .number(1)]
        ).delta()
        let svd = JacobiSVD(first)
        for j in 0..<4 {
            let p = (svd.u.columns([j]).transposed * (merged - first) * svd.v.columns([j]))[0, 0]
            #expect(p > -1e-6 * svd.sigma[0])
        }
        let plain = try MergeTrial(
            "pam", adapters, ["share": .number(0), "combine": .text("add"), "alpha": .number(0.3)]
        ).delta()
        #expect(plain.distance(to: first + 0.3 * second) < 1e-6)
        #expect(try MergeTrial("pam", [adapters[0]]).delta().distance(to: first) < 1e-6)
    }

    @Test(arguments: combinations)
    func `delta works on the entries, bit by bit for every block height`(_ how: String) throws {
        var random = SplitMix(52)
        let adapters = [3, 2, 4].enumerated().map { index, rank in
            TestAdapter("a\(index)", [.random("m", 70, 12, rank, &random)])
        }
        let weights = [1, -0.7, 1.3]
        let gamma = 0.2
        let entries = try adapters.map { adapter in
            let module = adapter.modules[0]
            func floats(_ x: Dense) -> Matrix<Float> {
                Matrix(rows: x.rows, columns: x.columns, elements: x.values.map(Float.init))
            }
            return LowRankFactors(b: floats(module.b), a: floats(module.a), scale: module.scale).dense().elements
        }
        var state = entries[0].map { Float(weights[0] * Double($0)) }
        for t in 1..<3 {
            let k = Int(0.5 * Double(state.count) + 1e-9)
            let limit = state.map(abs).sorted(by: >)[k - 1]
            let shares: (Double, Double) =
                how == "add"
                ? (1, 0.1) : how == "pair_mean" ? (0.5, 0.5) : (Double(t) / Double(t + 1), 1 / Double(t + 1))
            state = state.indices.map { e in
                let (old, new) = (Double(state[e]), weights[t] * Double(entries[t][e]))
                let resolved = abs(state[e]) >= limit && old * new < 0 ? gamma * new : new
                return Float(shares.0 * old + shares.1 * resolved)
            }
        }
        for height in [1, 7, 64, 70] {
            var trial = MergeTrial(
                "pam", adapters, weights: weights,
                ["space": .text("delta"), "combine": .text(how), "gamma": .number(gamma)])
            trial.rank = .keep
            trial.blockHeight = height
            let found = try trial.delta().values.map(Float.init)
            #expect(zip(found, state).allSatisfy { $0 == $1 })
        }
    }

    @Test func `factor works on A and B and asks for a common start`() throws {
        var random = SplitMix(53)
        let start = random.matrix(3, 15)
        func adapter(_ name: String) -> TestAdapter {
            let a = start + 0.3 * random.matrix(3, 15)
            return TestAdapter(
                name,
                [
                    TestModule(
                        "m", b: random.matrix(11, 3), a: Dense(3, 15, a.values.map { Double(Float($0)) }), scale: 2)
                ])
        }
        let adapters = [adapter("a"), adapter("b")]
        func reference(_ x: Dense, _ y: Dense, slow: Bool) -> Dense {
            let limit = x.values.map(abs).sorted(by: >)[Int(0.5 * Double(x.values.count) + 1e-9) - 1]
            return Dense(
                x.rows, x.columns,
                zip(x.values, y.values).map { old, new in
                    let opposes = abs(old) >= limit && old * new < 0
                    return 0.5 * old + 0.5 * (opposes ? (slow ? old : 0) : new)
                })
        }
        let (first, second) = (adapters[0].modules[0], adapters[1].modules[0])
        let root = 2.0.squareRoot()
        for slow in [false, true] {
            let trial = MergeTrial(
                "pam", adapters, ["space": .text("factor"), "resolve": .text(slow ? "slow" : "zero")])
            let outcome = try trial.run()
            #expect(try outcome.a().distance(to: reference(root * first.a, root * second.a, slow: slow)) < 1e-6)
            #expect(try outcome.b().distance(to: reference(root * first.b, root * second.b, slow: slow)) < 1e-6)
        }
        let strangers = TestAdapter.set(rows: 11, columns: 15, ranks: [3, 3], seed: 1)
        var trial = MergeTrial("pam", strangers, ["space": .text("factor")])
        #expect(failureCode { _ = try trial.run() } == "merge.module_mismatch")
        trial.parameters["force"] = .bool(true)
        #expect(failureCode { _ = try trial.run() } == nil)
        trial.adapters = TestAdapter.set(rows: 11, columns: 15, ranks: [3, 2], seed: 1)
        #expect(failureCode { _ = try trial.run() } == "merge.rank_mismatch")
    }
}
