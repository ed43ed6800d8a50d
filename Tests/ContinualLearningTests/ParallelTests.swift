import Networks
import Tensors
import Testing

@testable import ContinualLearning

@Suite struct `Experts in parallel` {
    static let batch = Array(0..<8)

    @Test func `a change of one expert reaches its own chunk only`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: parallel\n" + EngineProbe.order)
        let memory = run.state.memory
        for index in 0..<3 { try EngineProbe.fill(memory.fast[index], seed: UInt64(index)) }
        let before = try EngineProbe.trainer(run)
        try before.computeGradients(Self.batch)
        try EngineProbe.fill(memory.fast[1], seed: 9)
        let after = try EngineProbe.trainer(run)
        try after.computeGradients(Self.batch)
        for lane in 0..<3 {
            #expect((before.batchLosses[lane] == after.batchLosses[lane]) == (lane != 1))
            #expect((before.gradient(of: .fast(lane)) == after.gradient(of: .fast(lane))) == (lane != 1))
            #expect((before.headGradient[lane] == after.headGradient[lane]) == (lane != 1))
        }
        #expect(before.gradient(of: .slow) != after.gradient(of: .slow))
    }

    @Test func `one expert is a chain`() throws {
        let world = try TinyWorld()
        let chain = try world.run("structure: chain", in: "chain")
        let parallel = try world.run("structure: parallel\nexperts: {k: 1}", in: "parallel")
        let (first, second) = (try chain.run(), try parallel.run())
        #expect(try Checkpoint.hash(chain.state) == Checkpoint.hash(parallel.state))
        #expect(first.matrix.rows == second.matrix.rows)
        #expect(chain.state.predictions == parallel.state.predictions)
    }

    @Test func `three experts with other starts and rates are three runs`() throws {
        let world = try TinyWorld()
        let settings = "slow: {lr_multiplier: 0}\n" + EngineProbe.order
        let run = try world.run("structure: parallel\n" + settings, in: "three")
        let starts = run.state.memory.fast.map { EngineProbe.values($0) }
        #expect(Set(starts).count == 3)
        let together = try EngineProbe.trainer(run)
        #expect(together.laneMultipliers == [1, 0.5, 0.25])
        try EngineProbe.finish(together)
        for (lane, multiplier) in together.laneMultipliers.enumerated() {
            let alone = try world.run(
                "structure: parallel\nexperts: {k: 1}\noptimizer: { lr: \(0.01 * multiplier), weight_decay: 0.1 }\n"
                    + settings, in: "alone-\(lane)")
            alone.state.memory.fast[0].assign(starts[lane])
            let trainer = try EngineProbe.trainer(alone)
            try EngineProbe.finish(trainer)
            #expect(EngineProbe.values(alone.state.memory.fast[0]) != starts[lane])
            let gap = EngineProbe.gap(
                try EngineProbe.logits(run, together, lane: lane), try EngineProbe.logits(alone, trainer, lane: 0))
            #expect(gap <= 1e-5, "expert \(lane): \(gap)")
        }
    }

    @Test func `experts with equal starts and rates stay equal while slow learns`() throws {
        let world = try TinyWorld()
        let run = try world.run(
            "structure: parallel\nexperts: {init: same, schedule: [1, 1, 1]}\n" + EngineProbe.order)
        let start = EngineProbe.values(run.state.memory.slow)
        let trainer = try EngineProbe.trainer(run)
        try EngineProbe.finish(trainer)
        let experts = run.state.memory.fast.map { EngineProbe.values($0) }
        #expect(EngineProbe.gap(experts[1], experts[0]) <= 1e-5)
        #expect(EngineProbe.gap(experts[2], experts[0]) <= 1e-5)
        #expect(EngineProbe.values(run.state.memory.slow) != start)
        let rows = trainer.laneRows.map { EngineProbe.values($0.weights) }
        #expect(EngineProbe.gap(rows[2], rows[0]) <= 1e-5)
    }

    @Test(arguments: ["per-expert", "expanded-mean"])
    func `gradients of what experts share do not grow with their number`(_ reduction: String) throws {
        let world = try TinyWorld()
        let trainers = try [1, 3].map { count in
            try EngineProbe.trainer(
                world.run(
                    "structure: parallel\nexperts: {k: \(count), init: same, loss_reduction: \(reduction), "
                        + "head_sharing: shared}\n" + EngineProbe.order, in: "\(count)"))
        }
        for trainer in trainers { try trainer.computeGradients(Self.batch) }
        let slow = try trainers.map { try #require($0.gradient(of: .slow)) }
        #expect(EngineProbe.gap(slow[1], slow[0]) <= 1e-5)
        #expect(EngineProbe.gap(trainers[1].headGradient[0], trainers[0].headGradient[0]) <= 1e-5)
        let alone = try #require(trainers[0].gradient(of: .fast(0)))
        let factor: Float = reduction == "per-expert" ? 1 : 1 / 3
        for lane in 0..<3 {
            let own = try #require(trainers[1].gradient(of: .fast(lane)))
            #expect(EngineProbe.gap(own, alone.map { $0 * factor }) <= 1e-5)
        }
    }

    @Test(arguments: ["head_sharing: shared", "loss_reduction: expanded-mean", "k: 2, init: same"])
    func `shared and separate passes agree for filled slots`(_ experts: String) throws {
        let world = try TinyWorld()
        let trainers = try ["auto", "off"].map { mode in
            let run = try world.run(
                "structure: parallel\nshare_compute: \"\(mode)\"\nexperts: {\(experts)}\n" + EngineProbe.order,
                in: mode)
            for (index, name) in run.state.memory.names.enumerated() {
                try EngineProbe.fill(run.state.memory[name], seed: UInt64(index))
            }
            return try EngineProbe.trainer(run)
        }
        for trainer in trainers { try trainer.computeGradients(Self.batch) }
        for name in [SlotName.slow, .fast(0), .fast(1)] {
            let gradients = try trainers.map { try #require($0.gradient(of: name)) }
            #expect(EngineProbe.gap(gradients[1], gradients[0]) <= 1e-5, "\(name)")
        }
        for (first, second) in zip(trainers[0].headGradient, trainers[1].headGradient) {
            #expect(EngineProbe.gap(second, first) <= 1e-5)
        }
    }
}
