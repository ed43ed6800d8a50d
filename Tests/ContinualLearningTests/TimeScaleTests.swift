import Networks
import Tensors
import Testing

@testable import ContinualLearning

@Suite("Time scales") struct TimeScaleTests {
    /// 24 samples in batches of 8: three steps in an epoch.
    static func run(_ world: TinyWorld, _ scales: String, _ more: String = "", in name: String = "run") throws
        -> ContinualRun
    {
        try world.run("structure: chain3\ntime_scales: {\(scales)}\n" + more + "\n" + EngineProbe.order, in: name)
    }

    static let sgd = "optimizer: { kind: sgd, lr: 0.05, schedule: constant }"

    @Test(arguments: [("apply", 2), ("discard", 1), ("carry", 1)])
    func `levels are updated once per period`(_ partial: String, _ slow: Int) throws {
        let world = try TinyWorld()
        let run = try Self.run(world, "gradient_periods: {fast: 1, mid: 2, slow: 4}, partial: \(partial)")
        let trainer = try EngineProbe.trainer(run)
        try EngineProbe.finish(trainer)
        var updates: [SlotName: Int] = [:]
        for (index, group) in trainer.groups.enumerated() {
            if let slot = group.slot { updates[slot] = trainer.position.updates[index] }
        }
        #expect(updates == [.fast(0): 6, .mid: 3, .slow: slow])
        let left = try #require(trainer.pending[.slow])
        #expect(left.contains { $0 != 0 } == (partial == "carry"))
    }

    @Test func `a level keeps every bit between its periods`() throws {
        let world = try TinyWorld()
        let run = try Self.run(world, "gradient_periods: {fast: 1, mid: 2, slow: 4}")
        let memory = run.state.memory
        let trainer = try EngineProbe.trainer(run)
        // Later steps lie behind the end of the schedule.
        for step in 1...4 {
            let before = memory.names.map { EngineProbe.values(memory[$0]) }
            try trainer.step(Array(step..<step + 8))
            for (name, old) in zip(memory.names, before) {
                let period = [SlotName.slow: 4, .mid: 2][name] ?? 1
                #expect((EngineProbe.values(memory[name]) == old) == (step % period != 0), "\(name) step \(step)")
            }
        }
    }

    @Test(arguments: ["sum", "mean"]) func `a due level moves by the sum or mean of its gradients`(
        _ reduction: String
    ) throws {
        let world = try TinyWorld()
        let run = try Self.run(
            world, "gradient_periods: {fast: 1, mid: 3, slow: 3}, mid_lr_multiplier: 0, reduce: \(reduction)",
            "epochs: 1\n" + Self.sgd)
        let start = EngineProbe.values(run.state.memory.slow)
        let trainer = try EngineProbe.trainer(run)
        var sum = [Float](repeating: 0, count: start.count)
        for step in 0..<3 {
            try trainer.step(Array(step * 8..<step * 8 + 8))
            for (i, value) in try #require(trainer.gradient(of: .slow)).enumerated() { sum[i] += value }
        }
        let moved = zip(EngineProbe.values(run.state.memory.slow), start).map { $0 - $1 }
        let rate: Float = 0.05 * 0.1 * (reduction == "mean" ? 1 / 3 : 1)
        #expect(EngineProbe.gap(moved, sum.map { -rate * $0 }) < 1e-4)
    }

    @Test func `a partial accumulation is reduced like a whole one`() throws {
        let world = try TinyWorld()
        // Three steps of four are accumulated when the task ends.
        let moved = try ["sum", "mean"].map { reduction in
            let run = try Self.run(
                world, "gradient_periods: {fast: 1, mid: 4, slow: 4}, mid_lr_multiplier: 0, reduce: \(reduction)",
                "epochs: 1\n" + Self.sgd, in: reduction)
            let start = EngineProbe.values(run.state.memory.slow)
            let trainer = try EngineProbe.trainer(run)
            try EngineProbe.finish(trainer)
            return zip(EngineProbe.values(run.state.memory.slow), start).map { $0 - $1 }
        }
        #expect(moved[0].contains { $0 != 0 })
        #expect(EngineProbe.gap(moved[1].map { 3 * $0 }, moved[0]) < 1e-4)
    }

    @Test func `with all periods at one and a still mid, training is that of a chain`() throws {
        let world = try TinyWorld()
        let chain = try world.run("structure: chain\n" + EngineProbe.order, in: "chain")
        let three = try Self.run(
            world, "gradient_periods: {fast: 1, mid: 1, slow: 1}, mid_lr_multiplier: 0", in: "three")
        for run in [chain, three] { try EngineProbe.finish(EngineProbe.trainer(run)) }
        for name in [SlotName.fast(0), .slow] {
            let values = [three, chain].map { EngineProbe.values($0.state.memory[name]) }
            #expect(EngineProbe.gap(values[0], values[1]) < 1e-4, "\(name)")
        }
    }

    @Test func `a cascade straight through mid is a chain`() throws {
        let world = try TinyWorld()
        let frozen = "slow: {lr_multiplier: 0}\n" + Self.sgd
        let chain = try world.run("structure: chain\n" + frozen + "\n" + EngineProbe.order, in: "chain")
        let three = try Self.run(
            world,
            "gradient_periods: {fast: 1, mid: 1, slow: 1}, cascade_periods: {mid: 1, slow: 1}, alpha_mid: 1, "
                + "mid_lr_multiplier: 0", frozen, in: "three")
        let outcomes = try [three, chain].map { try $0.run() }
        let slow = try [three, chain].map { try $0.state.memory.updates(of: .slow) }
        #expect(try EngineProbe.distance(slow[0], slow[1]) < 1e-3)
        #expect(outcomes[0].matrix.rows == outcomes[1].matrix.rows)
    }

    @Test(arguments: [true, false]) func `memories move on by their periods`(_ flush: Bool) throws {
        let world = try TinyWorld()
        let run = try Self.run(world, "cascade_periods: {mid: 1, slow: 2}, final_flush: \(flush)", "epochs: 1")
        _ = try run.run()
        var moves: [String] = []
        for row in try EngineProbe.table(run, "consolidation.csv") {
            let move = "\(row[0]) \(row[1]) \(row[2])"
            if moves.last != move { moves.append(move) }
        }
        let wanted = ["0 fast[0] mid", "1 fast[0] mid", "1 mid slow", "2 fast[0] mid"]
        #expect(moves == wanted + (flush ? ["2 mid slow"] : []))
        let states = try (0..<3).map { try run.loadState(run.paths.task($0)).memory }
        #expect(try states.allSatisfy { try $0.norm(of: .fast(0)) == 0 })
        let mid = try #require(run.state.memory.mid)
        #expect(mid.pairs.allSatisfy { mid.a($0).contains { $0 != 0 } })
    }
}
