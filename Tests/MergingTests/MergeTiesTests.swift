import LinearAlgebra
import Tensors
import Testing

@testable import Merging

/// ties and magnitude_prune: bit by bit against full sorts on the same entries, and against double precision.
@Suite struct MergeTiesTests {
    /// Adapters with two modules whose entries are small whole numbers: many equal magnitudes and zeros.
    static func integerAdapters(_ count: Int, seed: UInt64) -> [TestAdapter] {
        var random = SplitMix(seed)
        func small(_ rows: Int, _ columns: Int, _ limit: Int) -> Dense {
            Dense(
                rows, columns, (0..<rows * columns).map { _ in Double(Int.random(in: -limit...limit, using: &random)) })
        }
        return (0..<count).map { index in
            TestAdapter(
                "a\(index)",
                [
                    TestModule("m", b: small(70, 2, 1), a: small(2, 9, 2)),
                    TestModule("n", b: small(13, 3, 2), a: small(3, 21, 1)),
                ])
        }
    }

    static func randomAdapters(_ ranks: [Int], seed: UInt64) -> [TestAdapter] {
        var random = SplitMix(seed)
        return ranks.enumerated().map { index, rank in
            TestAdapter(
                "a\(index)", [.random("m", 70, 9, rank, &random), .random("n", 13, 21, rank + 1, &random)])
        }
    }

    /// The entries that the engine itself forms.
    static func entries(_ adapters: [TestAdapter]) throws -> [[[Float]]] {
        try adapters.map { adapter in
            adapter.modules.map { module in
                func floats(_ x: Dense) -> Matrix<Float> {
                    Matrix(rows: x.rows, columns: x.columns, elements: x.values.map(Float.init))
                }
                return LowRankFactors(b: floats(module.b), a: floats(module.a), scale: module.scale).dense()
                    .elements
            }
        }
    }

    static func trial(_ method: String, _ adapters: [TestAdapter], _ reference: TiesReference) -> MergeTrial {
        var trial = MergeTrial(method, adapters, weights: reference.weights)
        trial.parameters = [
            "trim_scope": .text(reference.scope), "tie_break": .text(reference.tieBreak),
            "lambda": .number(reference.lambda),
        ]
        if method == "ties" {
            trial.parameters["elect"] = .text(reference.elect)
            trial.parameters["zero_sign"] = .text(reference.zeroSign)
            trial.parameters["reduce"] = .text(reference.reduce)
        }
        trial.operandParameters = reference.densities.map { ["density": .number($0)] }
        trial.rank = .keep
        return trial
    }

    static func expect(_ outcome: MergeOutcome, equals expected: [[Float]]) throws {
        for (module, values) in zip(["m", "n"], expected) {
            let found = try outcome.delta(module).values.map(Float.init)
            let differing = zip(found, values).count { $0.0 != $0.1 }
            #expect(found.count == values.count && differing == 0, "module \(module)")
        }
    }

    struct Setting: CustomTestStringConvertible, Sendable {
        var scope: String
        var tieBreak: String
        var elect: String
        var zeroSign: String
        var reduce: String
        var testDescription: String { "\(scope) \(tieBreak) \(elect) \(zeroSign) \(reduce)" }
    }

    static let settings: [Setting] = {
        var all: [Setting] = []
        for scope in ["tensor", "adapter", "row"] {
            for tieBreak in ["threshold", "exact"] {
                for (elect, zeroSign, reduce) in [
                    ("sum", "plus", "mean"), ("count", "majority", "sum"), ("sum", "majority", "max"),
                    ("count", "plus", "weighted_mean"),
                ] {
                    all.append(
                        Setting(scope: scope, tieBreak: tieBreak, elect: elect, zeroSign: zeroSign, reduce: reduce))
                }
            }
        }
        return all
    }()

    @Test(arguments: settings)
    func `ties equals a sort of all entries, bit by bit, for every block height and thread count`(
        _ setting: Setting
    ) throws {
        for adapters in [Self.integerAdapters(3, seed: 4), Self.randomAdapters([3, 1, 5], seed: 9)] {
            var reference = TiesReference(densities: [0.3, 0.55, 0.2], weights: [1, -0.5, 2])
            (reference.scope, reference.tieBreak) = (setting.scope, setting.tieBreak)
            (reference.elect, reference.zeroSign, reference.reduce) = (setting.elect, setting.zeroSign, setting.reduce)
            reference.lambda = 0.7
            let expected = reference.merged(try Self.entries(adapters), columns: [9, 21])
            var trial = Self.trial("ties", adapters, reference)
            for (height, threads) in [(1, 1), (7, 2), (64, 1), (70, 2)] {
                trial.blockHeight = height
                trial.threads = threads
                try Self.expect(try trial.run(), equals: expected)
            }
        }
    }

    @Test(arguments: ["tensor", "adapter", "row"], ["threshold", "exact"])
    func `magnitude_prune equals a sort of all entries`(_ scope: String, _ tieBreak: String) throws {
        let adapters = Self.integerAdapters(2, seed: 21)
        var reference = TiesReference(densities: [0.25, 0.6], weights: [1, -2])
        (reference.scope, reference.tieBreak, reference.lambda) = (scope, tieBreak, 1.5)
        let expected = reference.pruned(try Self.entries(adapters), columns: [9, 21])
        for height in [1, 7, 64, 70] {
            var trial = Self.trial("magnitude_prune", adapters, reference)
            trial.blockHeight = height
            trial.threads = 2
            try Self.expect(try trial.run(), equals: expected)
        }
    }

    @Test func `ties of random adapters agrees with double precision`() throws {
        var random = SplitMix(77)
        for (rows, columns, ranks) in [(33, 48, [4, 2]), (96, 20, [8, 3, 15]), (15, 15, [9, 9])] {
            let adapters = ranks.enumerated().map { index, rank in
                TestAdapter("a\(index)", [.random("m", rows, columns, rank, &random)])
            }
            let deltas = adapters.map { $0.modules[0].delta }
            let kept = deltas.map { delta -> Dense in
                let k = Int(0.2 * Double(delta.values.count) + 1e-9)
                let limit = delta.values.map(abs).sorted(by: >)[k - 1]
                return Dense(rows, columns, delta.values.map { abs($0) >= limit ? $0 : 0 })
            }
            let merged = (0..<rows * columns).map { e -> Double in
                let terms = kept.map { $0.values[e] }
                let elected: Double = terms.reduce(0, +) >= 0 ? 1 : -1
                let agreeing = terms.filter { $0 * elected > 0 }
                return agreeing.reduce(0, +) / Double(max(1, agreeing.count))
            }
            let expected = Dense(rows, columns, merged)
            var trial = MergeTrial("ties", adapters)
            trial.rank = .keep
            #expect(try trial.delta().distance(to: expected) < 1e-6)
            let spectrum = JacobiSVD(expected)
            trial.rank = .fixed(6)
            #expect(try trial.delta().distance(to: spectrum.truncated(6)) < 1e-6)
            trial.rank = nil
            let outcome = try trial.run()
            let energies = spectrum.sigma.map { $0 * $0 }
            let total = energies.reduce(0, +)
            let needed = (energies.indices.first { energies[...$0].reduce(0, +) >= 0.99 * total } ?? 0) + 1
            let rank = min(needed, 4 * (ranks.max() ?? 1))
            #expect(try outcome.a().rows == rank)
            #expect(try outcome.delta().distance(to: spectrum.truncated(rank)) < 1e-6)
            #expect(try abs(outcome.module().discardedEnergy - energies[rank...].reduce(0, +) / total) < 1e-9)
        }
    }

    @Test func `density 1 keeps an operand, density 0 drops it with a warning`() throws {
        let adapters = Self.randomAdapters([3, 4], seed: 2)
        var whole = MergeTrial("ties", [adapters[0]], [:])
        whole.operandParameters = [["density": .number(1)]]
        whole.rank = .keep
        let entries = try Self.entries(adapters)
        try Self.expect(try whole.run(), equals: entries[0])
        var none = MergeTrial("ties", adapters)
        none.operandParameters = [["density": .number(0)], ["density": .number(0)]]
        let outcome = try none.run()
        #expect(try outcome.a().rows == 1)
        #expect(try outcome.delta().norm == 0)
        #expect(try outcome.module().warnings.contains { $0.contains("density 0") })
        #expect(try outcome.module().trimmedShare == 1)
    }

    @Test(arguments: [0, 1.0 / 200, 0.1, 0.2, 0.3, 1 - 1.0 / 200, 1])
    func `a trim keeps floor(density·N) entries`(_ density: Double) throws {
        var random = SplitMix(31)
        let adapter = TestAdapter("a", [.random("m", 20, 10, 4, &random)])
        var trial = MergeTrial(
            "magnitude_prune", [adapter], ["density": .number(density), "tie_break": .text("exact")])
        trial.rank = .keep
        let kept = try trial.delta().values.count { $0 != 0 }
        let expected = [0: 0, 1.0 / 200: 1, 0.1: 20, 0.2: 40, 0.3: 60, 1 - 1.0 / 200: 199, 1: 200][density]
        #expect(kept == expected)
        let constant = TestModule(
            "m", b: Dense(20, 1, .init(repeating: 1, count: 20)), a: Dense(1, 10, .init(repeating: 2, count: 10)))
        trial.adapters = [TestAdapter("c", [constant])]
        #expect(try trial.delta().values.count { $0 != 0 } == expected)
        trial.parameters["tie_break"] = .text("threshold")
        #expect(try trial.delta().values.count { $0 != 0 } == (density == 0 ? 0 : 200))
    }

    @Test func `densities outside 0…1 are refused`() throws {
        for density in [-0.1, 1.5, Double.nan] {
            let trial = MergeTrial("ties", Self.integerAdapters(2, seed: 1), ["density": .number(density)])
            #expect(failureCode { _ = try trial.run() } == "recipe.bad_parameter")
        }
    }

    @Test func `every entry has the elected sign, and agreeing entries are averaged`() throws {
        let adapters = Self.randomAdapters([3, 4, 2], seed: 12)
        var trial = MergeTrial("ties", adapters, ["density": .number(1)])
        trial.rank = .keep
        let outcome = try trial.run()
        let entries = try Self.entries(adapters)
        for (module, name) in ["m", "n"].enumerated() {
            for (e, value) in try outcome.delta(name).values.enumerated() {
                let x = entries.map { Double($0[module][e]) }
                let sum = x.reduce(0, +)
                #expect(value == 0 || (value > 0) == (sum >= 0))
                if x.allSatisfy({ $0 > 0 }) || x.allSatisfy({ $0 < 0 }) {
                    #expect(abs(value - sum / 3) <= 1e-6 * abs(sum))
                }
            }
        }
    }
}
