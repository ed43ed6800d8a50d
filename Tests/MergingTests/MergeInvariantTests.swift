import Adapters
import Foundation
import Tensors
import Testing

@testable import Merging

/// Properties that hold for any adapters (merge-methods 8), on random shapes.
@Suite struct MergeInvariantTests {
    /// A method with the settings under which a property is stated.
    struct Setting: Sendable, CustomTestStringConvertible {
        var method: String
        var parameters: [String: ParameterValue] = [:]
        var rank: OutputRank? = .keep

        var testDescription: String { method + (parameters.isEmpty ? "" : " \(parameters)") }

        func trial(_ adapters: [TestAdapter], weights: [Double] = []) -> MergeTrial {
            var trial = MergeTrial(method, adapters, weights: weights, parameters)
            trial.rank = rank
            return trial
        }
    }

    static let gramAndSpectral = [
        Setting(method: "cat", parameters: ["allow_overcomplete": .bool(true)]), Setting(method: "linear"),
        Setting(method: "task_arithmetic", parameters: ["lambda": .number(0.4)]), Setting(method: "negate"),
        Setting(method: "svd"), Setting(method: "svd", rank: .fixed(3)), Setting(method: "tsv_m"),
        Setting(method: "tsv_m", parameters: ["k": .number(2)]), Setting(method: "pam"),
        Setting(method: "pam", parameters: ["combine": .text("add"), "share": .number(1)]),
    ]
    static let elementwise = [
        Setting(method: "ties", parameters: ["density": .number(0.4)]),
        Setting(method: "ties", parameters: ["density": .number(1), "elect": .text("count"), "reduce": .text("max")]),
        Setting(method: "magnitude_prune", parameters: ["density": .number(0.3)]),
        Setting(method: "pam", parameters: ["space": .text("delta")]),
    ]

    /// Three adapters of mixed ranks; the shape depends on the seed, R > p for some seeds.
    static func adapters(_ seed: UInt64, count: Int = 3) -> [TestAdapter] {
        var random = SplitMix(seed &* 977)
        let rows = Int.random(in: 12...60, using: &random)
        let columns = Int.random(in: 12...60, using: &random)
        return (0..<count).map { index in
            TestAdapter("a\(index)", [.random("m", rows, columns, Int.random(in: 1...8, using: &random), &random)])
        }
    }

    static func mapping(_ adapters: [TestAdapter], _ change: (TestModule) -> TestModule) -> [TestAdapter] {
        adapters.map { adapter in
            var copy = adapter
            copy.modules = adapter.modules.map(change)
            return copy
        }
    }

    static let seeds: [UInt64] = [1, 2, 3]

    @Test(
        arguments: gramAndSpectral.filter {
            $0.method != "negate" && $0.parameters["lambda"] == nil && $0.rank == .keep
        }
            + [
                Setting(method: "ties", parameters: ["density": .number(1)]),
                Setting(method: "magnitude_prune", parameters: ["density": .number(1)]),
                Setting(method: "pam", parameters: ["space": .text("delta")]),
                Setting(method: "pam", parameters: ["space": .text("factor")]),
            ], seeds)
    func `one adapter is returned unchanged`(_ setting: Setting, _ seed: UInt64) throws {
        guard setting.parameters["k"] == nil else { return }
        let adapter = Self.adapters(seed, count: 1)
        #expect(try setting.trial(adapter).delta().distance(to: adapter[0].modules[0].delta) < 1e-6)
    }

    @Test(arguments: gramAndSpectral.filter { $0.method != "pam" } + elementwise.filter { $0.method != "pam" }, seeds)
    func `the order of the adapters does not matter`(_ setting: Setting, _ seed: UInt64) throws {
        let adapters = Self.adapters(seed)
        let weights = [0.5, -1, 2]
        let there = try setting.trial(adapters, weights: weights).delta()
        let back = try setting.trial([adapters[2], adapters[0], adapters[1]], weights: [2, 0.5, -1]).delta()
        #expect(back.distance(to: there) < 1e-6)
    }

    @Test(arguments: gramAndSpectral + elementwise, seeds)
    func `the inner basis of an adapter does not matter`(_ setting: Setting, _ seed: UInt64) throws {
        let adapters = Self.adapters(seed)
        var random = SplitMix(seed &+ 99)
        let turned = Self.mapping(adapters) { module in
            var copy = module
            let turn = random.orthogonal(module.rank)
            copy.b = module.b * turn
            copy.a = turn.transposed * module.a
            return copy
        }
        let distance = try setting.trial(turned).delta().distance(to: try setting.trial(adapters).delta())
        #expect(distance < 1e-5)
    }

    @Test(arguments: ["linear", "ties", "magnitude_prune"])
    func `factor-wise types do depend on the inner basis`(_ type: String) throws {
        let adapters = TestAdapter.set(rows: 20, columns: 18, ranks: [4, 4], seed: 9)
        var random = SplitMix(100)
        let turned = Self.mapping(adapters) { module in
            var copy = module
            let turn = random.orthogonal(module.rank)
            copy.b = module.b * turn
            copy.a = turn.transposed * module.a
            return copy
        }
        func delta(_ adapters: [TestAdapter]) throws -> Dense {
            var trial = MergeTrial(type, adapters, type == "linear" ? [:] : ["density": .number(0.5)])
            trial.compatibility = .peft
            return try trial.delta()
        }
        #expect(try delta(turned).distance(to: try delta(adapters)) > 0.1)
    }

    @Test(arguments: gramAndSpectral, seeds)
    func `turning all updates turns the result`(_ setting: Setting, _ seed: UInt64) throws {
        let adapters = Self.adapters(seed)
        var random = SplitMix(seed &+ 7)
        let module = adapters[0].modules[0]
        let (left, right) = (random.orthogonal(module.b.rows), random.orthogonal(module.a.columns))
        let turned = Self.mapping(adapters) { module in
            var copy = module
            copy.b = left * module.b
            copy.a = module.a * right
            return copy
        }
        let expected = left * (try setting.trial(adapters).delta()) * right
        #expect(try setting.trial(turned).delta().distance(to: expected) < 1e-5)
    }

    @Test(arguments: gramAndSpectral + elementwise, [0.125, 8])
    func `scaling all updates scales the result`(_ setting: Setting, _ factor: Double) throws {
        let adapters = Self.adapters(4)
        let scaled = Self.mapping(adapters) { module in
            var copy = module
            copy.scale *= factor
            return copy
        }
        let expected = factor * (try setting.trial(adapters).delta())
        #expect(try setting.trial(scaled).delta().distance(to: expected) < 1e-6)
    }

    @Test func `copies of one adapter`() throws {
        let one = Self.adapters(5, count: 1)[0]
        let copies = [one, one, one]
        let delta = one.modules[0].delta
        #expect(try Setting(method: "linear").trial(copies).delta().distance(to: delta) < 1e-6)
        #expect(try Setting(method: "task_arithmetic").trial(copies).delta().distance(to: 3 * delta) < 1e-6)
        let ties = Setting(method: "ties", parameters: ["density": .number(1)])
        #expect(try ties.trial(copies).delta().distance(to: delta) < 1e-6)
    }

    @Test func `opposite adapters`() throws {
        let one = Self.adapters(6, count: 1)[0]
        let opposite = Self.mapping([one]) { module in
            var copy = module
            copy.scale *= -1
            return copy
        }[0]
        let pair = [one, opposite]
        let norm = one.modules[0].delta.norm
        let sum = try Setting(method: "task_arithmetic", rank: nil).trial(pair).run()
        #expect(try sum.delta().norm < 1e-6 * norm)
        // Every vote is a draw: the positive side of each entry stays.
        let ties = Setting(method: "ties", parameters: ["density": .number(1)])
        let expected = one.modules[0].delta.values.map(abs)
        let kept = try ties.trial(pair).delta()
        #expect(kept.distance(to: Dense(kept.rows, kept.columns, expected)) < 1e-6)
    }

    @Test(
        arguments: gramAndSpectral.filter { ["cat", "linear", "task_arithmetic", "svd"].contains($0.method) }
            + [
                Setting(method: "ties", parameters: ["density": .number(0.4)]),
                Setting(method: "ties", parameters: ["density": .number(0.4), "reduce": .text("weighted_mean")]),
            ])
    func `weight 0 is absence`(_ setting: Setting) throws {
        let adapters = Self.adapters(8)
        let without = try setting.trial([adapters[0], adapters[2]], weights: [1.5, 0.5]).delta()
        #expect(try setting.trial(adapters, weights: [1.5, 0, 0.5]).delta().distance(to: without) < 1e-6)
    }

    @Test func `the error of svd is the discarded spectrum and falls with the rank`() throws {
        let adapters = Self.adapters(10)
        let sum = Dense.sum(adapters.map { (1, $0.modules[0].delta) })
        var last = Double.infinity
        for rank in 1...8 {
            let outcome = try Setting(method: "svd", rank: .fixed(rank)).trial(adapters).run()
            let error = try (outcome.delta() - sum).norm
            #expect(error <= last + 1e-9)
            let discarded = try outcome.module().discardedEnergy.squareRoot() * sum.norm
            #expect(abs(error - discarded) < 1e-6 * sum.norm)
            last = error
        }
    }

    @Test(arguments: gramAndSpectral + elementwise)
    func `the bytes do not depend on the number of threads`(_ setting: Setting) throws {
        var random = SplitMix(60)
        let adapters = (0..<3).map { index in
            TestAdapter("a\(index)", (0..<5).map { .random("layers.\($0).w", 30, 22 + $0, 3, &random) })
        }
        var trial = setting.trial(adapters)
        let one = try trial.run()
        trial.threads = 2
        #expect(try trial.run().bytes == one.bytes)
    }

    @Test func `a written adapter read again and merged alone is the same update`() throws {
        let folder = NSTemporaryDirectory() + "merge-again-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var random = SplitMix(70)
        let adapters = [4, 2].enumerated().map { index, rank in
            TestAdapter(
                "a\(index)",
                [.random("x.q_proj", 14, 12, rank, &random), .random("x.fc", 20, 14, rank + index, &random)])
        }
        var trial = MergeTrial("tsv_m", adapters)
        trial.rank = .energy(0.9)
        _ = try MergeEngine.run(try trial.plan(), to: .folder(folder))
        let first = try trial.run()
        let again = try AdapterReader.read(path: folder)
        #expect(Set(again.modules.map(\.rank)).count > 1)
        var plan = try trial.plan()
        plan.operands = [NamedAdapter(name: "merged", version: nil, object: nil, reference: folder, adapter: again)]
        for i in plan.modules.indices {
            plan.modules[i].method = "cat"
            plan.modules[i].operands = [ModuleOperand(operand: 0, weight: 1, parameters: [:])]
        }
        plan.output.rank = nil
        let second = try MergeOutcome.of(plan)
        for name in ["x.q_proj", "x.fc"] {
            #expect(try second.delta(name) == first.delta(name))
        }
    }
}
