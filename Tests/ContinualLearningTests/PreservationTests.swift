import Networks
import Tensors
import Testing

@testable import ContinualLearning

@Suite struct `What a consolidation preserves` {
    @Test(arguments: ["grow", "dense"]) func `alpha 1 without a cut keeps the function`(_ storage: String) throws {
        let world = try TinyWorld()
        let run = try world.run(
            "structure: chain\nconsolidation: {alpha: 1}\nslow: {storage: \(storage)}\nhead: {refit: false}\n"
                + EngineProbe.order)
        _ = try run.run()
        for task in 0..<3 {
            let (pre, post) = (try run.loadState(run.paths.pre(task)), try run.loadState(run.paths.task(task)))
            let before = try EngineProbe.logits(run, pre, .combined, .pre, task: task)
            let after = try EngineProbe.logits(run, post, .slowOnly, .post, task: task)
            #expect(EngineProbe.gap(after, before) <= 1e-4)
            // In the one-class task no gradient reaches fast.
            let old = try EngineProbe.logits(run, pre, .slowOnly, .pre, task: task)
            #expect((EngineProbe.gap(old, before) > 1e-3) == (task < 2))
        }
    }

    @Test func `another alpha changes the function`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: chain\nhead: {refit: false}\n" + EngineProbe.order)
        _ = try run.run()
        let (pre, post) = (try run.loadState(run.paths.pre(0)), try run.loadState(run.paths.task(0)))
        let before = try EngineProbe.logits(run, pre, .combined, .pre, task: 0)
        #expect(EngineProbe.gap(try EngineProbe.logits(run, post, .combined, .post, task: 0), before) > 1e-3)
    }

    @Test(arguments: ["chain", "moe-v0", "parallel", "chain3"])
    func `an empty fast memory contributes no bit`(_ structure: String) throws {
        let world = try TinyWorld()
        let run = try world.run("structure: \(structure)\nepochs: 1")
        _ = try run.run()
        let memory = run.state.memory
        #expect(try memory.fast.indices.allSatisfy { try memory.norm(of: .fast($0)) == 0 })
        func logits(_ view: MemoryView) throws -> [Float] {
            try EngineProbe.logits(run, run.state, view, .post, task: 2)
        }
        let combined = try logits(.combined)
        #expect(try combined == logits(structure == "chain3" ? .withoutFast : .slowOnly))
        #expect(try logits(.fastOnly) == logits(.backboneOnly))
        #expect(try combined != logits(.backboneOnly))
    }

    @Test func `a reset slot learns again, one with both factors at zero never`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: chain\n" + EngineProbe.order)
        let memory = run.state.memory
        let slot = try #require(memory[.fast(0)])
        let before = EngineProbe.values(slot)
        try EngineProbe.fill(slot, seed: 3)
        memory.keep(0, of: .fast(0), generation: 1)
        #expect(try memory.norm(of: .fast(0)) == 0)
        for pair in slot.pairs {
            #expect(slot.b(pair).allSatisfy { $0 == 0 } && slot.a(pair).allSatisfy { $0 != 0 })
        }
        #expect(EngineProbe.values(slot) != before)
        let alive = try EngineProbe.trainer(run)
        try alive.step(Array(0..<8))
        for pair in slot.pairs { #expect(slot.b(pair).contains { $0 != 0 }, "\(pair.site)") }

        slot.assign([Float](repeating: 0, count: slot.count))
        let dead = try EngineProbe.trainer(run)
        try dead.computeGradients(Array(0..<8))
        #expect(try #require(dead.gradient(of: .fast(0))).allSatisfy { $0 == 0 })
        #expect(try #require(dead.gradient(of: .slow)).contains { $0 != 0 })
        for step in 0..<5 { try dead.step(Array(step..<step + 8)) }
        #expect(EngineProbe.values(slot).allSatisfy { $0 == 0 })
    }

    @Test func `a kept share scales the update and leaves A`() throws {
        let world = try TinyWorld()
        let memory = try world.run("structure: moe-v0").state.memory
        try EngineProbe.fill(memory.fast[1], seed: 4)
        let slot = memory.fast[1]
        let a = slot.pairs.map { Array(slot.a($0)) }
        let norm = try memory.norm(of: .fast(1))
        memory.keep(0.25, of: .fast(1), generation: 1)
        #expect(abs(try memory.norm(of: .fast(1)) - 0.25 * norm) < 1e-6 * norm)
        #expect(slot.pairs.map { Array(slot.a($0)) } == a)
    }

    @Test func `a run with absolute averages is one with task arithmetic`() throws {
        let world = try TinyWorld()
        let rules = ["{rule: ema, beta: 0.3, basis: absolute}", "{rule: ta, alpha: 0.3}"]
        let slow = try rules.enumerated().map { index, rule in
            let run = try world.run(
                "structure: chain\nslow: {lr_multiplier: 0}\nconsolidation: \(rule)\n" + TimeScaleTests.sgd + "\n"
                    + EngineProbe.order, in: "\(index)")
            _ = try run.run()
            return try run.loadState(run.paths.task(1)).memory.updates(of: .slow)
        }
        #expect(try EngineProbe.distance(slow[0], slow[1]) < 1e-4)
    }

    @Test func `single-ema follows the continuing adapter and leaves it as it is`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: single-ema\nconsolidation: {beta: 0.25}\n" + EngineProbe.order)
        _ = try run.run()
        let states = try (0..<2).map { try run.loadState(run.paths.task($0)).memory }
        let pre = try run.loadState(run.paths.pre(1)).memory
        #expect(EngineProbe.values(pre.fast[0]) == EngineProbe.values(states[1].fast[0]))
        for (site, after) in try states[1].updates(of: .slow) {
            let old = try #require(try states[0].updates(of: .slow)[site]).dense()
            let live = try #require(try pre.updates(of: .fast(0))[site]).dense()
            let wanted = old.scaled(by: 0.75).plus(live, times: 0.25)
            #expect(try after.dense().minus(wanted).frobeniusNorm < 1e-5 * wanted.frobeniusNorm)
        }
    }
}
