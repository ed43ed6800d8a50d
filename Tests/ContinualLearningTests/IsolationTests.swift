import LinearAlgebra
import Networks
import Tensors
import Testing

@testable import ContinualLearning

@Suite struct `Isolation of slots` {
    @Test(arguments: [0, 1]) func `ten AdamW steps with decay move the slot of the task and slow alone`(
        _ task: Int
    ) throws {
        let world = try TinyWorld()
        let run = try world.run("structure: moe-v0\n" + EngineProbe.order)
        let memory = run.state.memory
        #expect(memory.names == [.slow, .fast(0), .fast(1), .fast(2)])
        // Slots that hold something, so that decay would show.
        for (index, name) in memory.names.enumerated() { try EngineProbe.fill(memory[name], seed: UInt64(index)) }
        let trainer = try EngineProbe.trainer(run, task: task)
        let before = memory.names.map { EngineProbe.values(memory[$0]) }
        let head = EngineProbe.values(run.state.head.rows.weights)
        for step in 0..<10 {
            try trainer.step(Array(step..<step + 8))
            for name in memory.names {
                let largest = trainer.gradient(of: name)?.reduce(Float(0)) { max($0, abs($1)) } ?? 0
                #expect((largest > 0) == (name == .slow || name == .fast(task)), "\(name)")
            }
        }
        for (name, old) in zip(memory.names, before) {
            let isSame = EngineProbe.values(memory[name]) == old
            #expect(isSame == (name != .slow && name != .fast(task)), "\(name)")
        }
        #expect(Set(trainer.memberNames) == ["fast[\(task)]", "slow", "head", "head.bias"])
        for row in 0..<5 {
            let range = row * 16..<(row + 1) * 16
            let isSame = Array(head[range]) == Array(run.state.head.rows.weights[range])
            #expect(isSame == !run.plan.rows(of: task).contains(row), "row \(row)")
        }
    }

    @Test func `gradient checkpointing changes no step`() throws {
        let world = try TinyWorld()
        let found = try ["", "gradient_checkpointing: true\n"].enumerated().map { index, setting in
            let run = try world.run("structure: moe-v0\n" + setting + EngineProbe.order, in: "run\(index)")
            #expect(run.loaded.backbone.usesGradientCheckpointing == (index == 1))
            let trainer = try EngineProbe.trainer(run)
            for step in 0..<4 { try trainer.step(Array(step..<step + 8)) }
            return run.state.memory.names.map { EngineProbe.values(run.state.memory[$0]) }
        }
        #expect(found[0] == found[1])
    }

    @Test func `a frozen slow keeps every bit`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: chain\nslow: {lr_multiplier: 0}\n" + EngineProbe.order)
        try EngineProbe.fill(run.state.memory.slow, seed: 5)
        let before = EngineProbe.values(run.state.memory.slow)
        let trainer = try EngineProbe.trainer(run)
        try EngineProbe.finish(trainer)
        #expect(EngineProbe.values(run.state.memory.slow) == before)
        #expect(!trainer.memberNames.contains("slow") && trainer.gradient(of: .slow) == nil)
    }

    @Test func `tasks are trained through slots of their own`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: moe-v0\n" + EngineProbe.order)
        let memory = run.state.memory
        for index in 0..<3 { try EngineProbe.fill(memory.fast[index], seed: UInt64(index)) }
        func losses(task: Int) throws -> [Double] {
            let trainer = try EngineProbe.trainer(run, task: task, data: 0)
            try trainer.computeGradients(Array(0..<8))
            return trainer.batchLosses
        }
        let first = try losses(task: 0)
        #expect(try losses(task: 1) != first)
        // What other slots hold does not reach the task.
        try EngineProbe.fill(memory.fast[1], seed: 11)
        try EngineProbe.fill(memory.fast[2], seed: 12)
        #expect(try losses(task: 0) == first)
        memory.copy(.fast(0), to: .fast(1))
        #expect(try losses(task: 1) == first)
    }

    @Test func `the evaluation of moe-v0 is slow and the sum of the trained slots`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: moe-v0\n" + EngineProbe.order)
        let memory = run.state.memory
        for (index, name) in memory.names.enumerated() { try EngineProbe.fill(memory[name], seed: UInt64(index)) }
        memory.isTrained = [true, true, false]
        let parts = try [SlotName.slow, .fast(0), .fast(1)].map { try memory.updates(of: $0) }
        let sum = try LoRASlot<Float>(name: "sum", sites: memory.sites.map { ($0, 12, 1) }, on: memory.backbone)
        for pair in sum.pairs {
            let own = try parts.map { try #require($0["\(pair.site)"]) }
            let (a, b) = (Matrix.stacked(own.map(\.a)), Matrix.sideBySide(own.map(\.b)))
            #expect(a.rows == 12 && b.columns == 12)
            for (i, value) in a.elements.enumerated() { sum.a(pair)[i] = Float(value) }
            for (i, value) in b.elements.enumerated() { sum.b(pair)[i] = Float(value) }
        }
        let set = try run.validation(0).set
        let wanted = try run.runner.features(of: set, mix: AdapterMix([sum], on: memory.backbone), coefficients: [1])
        let evaluator = try run.evaluator()
        #expect(EngineProbe.gap(try evaluator.features(set, .combined, .post).elements, wanted.elements) < 1e-4)
        memory.isTrained = [true, true, true]
        #expect(
            EngineProbe.gap(try run.evaluator().features(set, .combined, .post).elements, wanted.elements) > 1e-3)
    }

    @Test func `rules of evaluation count trained slots only`() throws {
        let world = try TinyWorld()
        let wanted: [String: [Float]] = [
            "sum": [1, 1, 1, 0], "mean": [1, 0.5, 0.5, 0], "last": [1, 0, 1, 0], "none": [1, 0, 0, 0],
            "gate": [1, 1, 0, 0],
        ]
        for (rule, coefficients) in wanted {
            let memory = try world.run("structure: moe-v0\neval_rule: \(rule)", in: rule).state.memory
            memory.isTrained = [true, true, false]
            memory.lossAverage = [0.2, 0.4, nil]
            memory.lastTrained = 1
            #expect(memory.coefficients(.combined, .post, active: nil) == coefficients, "\(rule)")
        }
    }
}
