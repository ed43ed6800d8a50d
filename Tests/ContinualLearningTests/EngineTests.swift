import Diagnostics
import Foundation
import Networks
import Tensors
import Testing

@testable import ContinualLearning

@Suite struct EngineTests {
    static let structures = [
        "structure: backbone", "structure: single", "structure: single-ema",
        "structure: chain\nconsolidation: {alpha: 1}",
        "structure: chain\nslow: {storage: grow}", "structure: chain\nslow: {storage: dense}",
        "structure: chain\nfactor_mode: shared-a\nalign: pam-lite",
        "structure: chain\nalign: {kind: pam-lite, every: 2}\nconsolidation: {rule: ties}",
        "structure: chain3\ntime_scales: {gradient_periods: {fast: 1, mid: 2, slow: 4}, cascade_periods: {mid: 1, slow: 2}}",
        "structure: moe-v0", "structure: moe-v0\neval_rule: gate\ngate: linear", "structure: moe-v0\nexperts: {k: 2}",
        "structure: parallel", "structure: parallel\nexperts: {k: 2, head_sharing: shared}", "structure: pam",
        "structure: independent", "structure: joint", "structure: chain\nfirst_task_only: true",
    ]

    @Test(arguments: structures) func `a run keeps all invariants and fills the matrix`(_ settings: String) throws {
        let world = try TinyWorld()
        let outcome = try world.run(settings + "\nhead: {also: [ncm]}").run()
        #expect(outcome.invariantsFailed == 0)
        #expect(outcome.invariantsPassed > 0)
        let tasks = settings.contains("joint") ? 1 : 3
        #expect(outcome.matrix.taskCount == tasks)
        #expect(outcome.matrix.testCounts.reduce(0, +) == 25)
        #expect(outcome.metrics.map(\.head) == ["linear", "ncm"])
        if tasks == 1 { #expect(outcome.matrix.forgetting == nil) }
    }

    @Test(arguments: [3, 9, 14]) func `an interrupted run ends with the same bytes`(_ steps: Int) throws {
        let world = try TinyWorld()
        let settings = "structure: chain\nhead: {also: [ncm, ranpac], hidden: 20}\ncheckpoint: {epochs: true}"
        _ = try world.run(settings, in: "whole").run()
        var asked = 0
        #expect(throws: CancellationError.self) {
            try world.run(settings, in: "cut") {
                asked += 1
                return asked > steps
            }.run()
        }
        _ = try world.run(settings, in: "cut").run()
        let whole = try world.files(of: "whole")
        let cut = try world.files(of: "cut")
        #expect(Set(whole.keys) == Set(cut.keys))
        for (path, data) in whole { #expect(cut[path] == data, "\(path) differs") }
    }

    @Test func `a finished run without predictions can be replayed and not run again`() throws {
        let world = try TinyWorld()
        let settings = "structure: chain\npredictions: false"
        _ = try world.run(settings, in: "run").run()
        let files = try world.files(of: "run")
        #expect(files["predictions.csv"] == nil)
        let replay = try world.run(settings, in: "run").replay(ConsolidationRule("ta"))
        // The rule of the run itself: what the run left.
        #expect(replay.validationAccuracy == replay.originalAccuracy)
        #expect(replay.originalAccuracy != nil)
        #expect(throws: Failure.self) { try world.run(settings, in: "run").run() }
        #expect(try world.files(of: "run") == files)
    }

    @Test func `only the slot of the task and slow learn`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: moe-v0")
        #expect(run.state.memory.fast.count == 3)
        #expect(run.state.memory.slow != nil)
        let roles = TaskRoles(run.configuration, task: 0, slots: 3, hasSlow: true)
        #expect(roles.members == [.slow, .fast(0)])
        #expect(TaskRoles(run.configuration, task: 1, slots: 3, hasSlow: true).members == [.slow, .fast(1)])
        // I4 and I5 are checked bit by bit after each task.
        _ = try run.run()
        let log = try String(contentsOfFile: run.folder + "/invariants.jsonl", encoding: .utf8)
        #expect(log.split(separator: "\n").count { $0.contains("\"I5\"") } == 3)
    }

    @Test func `shared and separate passes of experts give the same gradients`() throws {
        let world = try TinyWorld()
        let trainers = try ["auto", "off"].map { mode in
            try Self.trainer(world.run("structure: parallel\nshare_compute: \"\(mode)\"", in: mode))
        }
        for trainer in trainers { try trainer.computeGradients(Array(0..<8)) }
        for name in [SlotName.fast(0), .fast(2), .slow] {
            let a = try #require(trainers[0].gradient(of: name))
            let b = try #require(trainers[1].gradient(of: name))
            let scale = a.map { abs($0) }.max() ?? 0
            #expect(scale > 0)
            #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 * scale })
        }
        #expect(zip(trainers[0].batchLosses, trainers[1].batchLosses).allSatisfy { abs($0 - $1) <= 1e-5 * $0 })
    }

    static func trainer(_ run: ContinualRun) throws -> TaskTrainer {
        let roles = TaskRoles(
            run.configuration, task: 0, slots: run.state.memory.fast.count, hasSlow: run.state.memory.slow != nil)
        let loss = HeadLoss(width: 16, competing: run.plan.rows(of: 0), normalises: false, cosine: false, kappa: 1)
        return try TaskTrainer(
            runner: run.runner, configuration: run.configuration, memory: run.state.memory, roles: roles,
            samples: TrainSet(set: run.sampleSet(run.splits.train(0).samples)), task: 0,
            rows: roles.lanes.map { _ in run.state.head.rows.copy(of: loss.competing) }, trained: loss.competing,
            loss: loss)
    }

    @Test func `experts that share nothing learn as in runs of their own`() throws {
        let world = try TinyWorld()
        let settings = "slow: {lr_multiplier: 0}\nexperts: {init: same, schedule: [1, 1, 1]}"
        let three = try Self.trainer(world.run("structure: parallel\n" + settings, in: "three"))
        let one = try Self.trainer(
            world.run(
                "structure: parallel\nslow: {lr_multiplier: 0}\nexperts: {k: 1, init: same, schedule: [1]}", in: "one"))
        for trainer in [three, one] {
            try trainer.run(progress: SilentProgress(), shouldStop: { false }, afterEpoch: { _ in })
        }
        let single = try #require(one.memory[.fast(0)])
        for lane in 0..<3 {
            let slot = try #require(three.memory[.fast(lane)])
            for i in 0..<slot.count { #expect(abs(slot.values[i] - single.values[i]) <= 1e-5) }
        }
    }

    @Test func `local loss leaves the rows of older classes as they were`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: single")
        _ = try run.run()
        let first = try run.loadState(run.paths.task(0))
        let last = run.state
        let rows = run.plan.rows(of: 0)
        #expect(Array(first.head.rows.weights(of: rows)) == Array(last.head.rows.weights(of: rows)))
    }

    @Test func `exported adapters carry the head and give the slot back`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: chain")
        _ = try run.run()
        let adapters = try run.exportAdapters()
        #expect(adapters.map(\.key) == ["fast-0", "slow-0", "fast-1", "slow-1", "fast-2", "slow-2"])
        #expect(adapters[3].parents == ["slow-0", "fast-1"])
        let backbone = run.runner.backbone.description
        let read = try AdapterOnDisk.read(adapters[5].folder)
        let slot = try LoRASlot<Float>(read, name: "slow", on: backbone)
        let kept = try #require(run.state.memory.slow)
        #expect(slot.sites == kept.sites)
        for i in 0..<slot.count { #expect(slot.values[i] == kept.values[i]) }
        // The head stands beside the update, and is none of its tensors.
        #expect(read.saved.isEmpty)
        let head = try #require(read.head)
        #expect(head.weight.shape == [5, 16] && head.bias?.shape == [5])
        let row = run.plan.order[3]
        let stored = try head.weight.floatMatrix(rows: 5, columns: 16).rows(row..<row + 1).elements
        #expect(stored == Array(run.state.head.rows.weights(of: 3..<4)))
    }
}
