import Diagnostics
import Evaluation
import Foundation
import Networks
import Tensors
import Testing
import WeightFiles

@testable import ContinualLearning

@Suite struct `Checkpoints and going on` {
    static let structures = [
        "structure: parallel\nexperts: {k: 2}", "structure: moe-v0\neval_rule: gate\ngate: linear", "structure: pam",
        "structure: chain\nslow: {storage: grow}\nalign: {kind: pam-lite, every: 2}",
        "structure: chain3\ntime_scales: {gradient_periods: {fast: 1, mid: 2, slow: 4}, partial: carry}",
    ]

    @Test(arguments: structures) func `every structure goes on to the same bytes`(_ settings: String) throws {
        let world = try TinyWorld()
        let settings = settings + "\ncheckpoint: {epochs: true}"
        _ = try world.run(settings, in: "whole").run()
        let whole = try world.files(of: "whole")
        for steps in [4, 8] {
            var asked = 0
            #expect(throws: CancellationError.self) {
                try world.run(settings, in: "cut-\(steps)") {
                    asked += 1
                    return asked > steps
                }.run()
            }
            _ = try world.run(settings, in: "cut-\(steps)").run()
            let cut = try world.files(of: "cut-\(steps)")
            #expect(Set(whole.keys) == Set(cut.keys))
            for (path, data) in whole { #expect(cut[path] == data, "\(path) differs after \(steps) steps") }
        }
    }

    @Test(arguments: structures) func `a checkpoint gives every bit back`(_ settings: String) throws {
        let world = try TinyWorld()
        let run = try world.run(settings + "\nepochs: 1")
        _ = try run.run()
        for task in 0..<3 {
            let (first, second) = (try run.loadState(run.paths.task(task)), try run.loadState(run.paths.task(task)))
            #expect(try Checkpoint.hash(first) == Checkpoint.hash(second))
            try Checkpoint.write(.task, first, header: run.header, to: world.folder + "/again.safetensors")
            let again = try run.loadState(world.folder + "/again.safetensors")
            #expect(try Checkpoint.hash(again) == Checkpoint.hash(first))
            #expect(again.finished == task + 1 && again.trainedOn == first.trainedOn)
            #expect(again.memory.lossAverage == first.memory.lossAverage)
            let logits = try EngineProbe.logits(run, first, .combined, .post, task: task)
            #expect(try EngineProbe.logits(run, again, .combined, .post, task: task) == logits)
            if task == 2, run.configuration.structure != .chain3 {
                #expect(try Checkpoint.hash(run.state) == Checkpoint.hash(first))
                #expect(try EngineProbe.logits(run, run.state, .combined, .post, task: task) == logits)
            }
        }
    }

    // MARK: Damage

    /// A finished run and a copy of its last checkpoint that `change` has worked on.
    static func damaged(
        _ world: TinyWorld, _ settings: String = "structure: chain\nepochs: 1",
        _ change: (SafetensorsFile) throws -> ([TensorView], [String: String])
    ) throws -> Failure? {
        let run = try world.run(settings)
        _ = try run.run()
        let file = try SafetensorsFile(path: run.paths.task(2))
        let (tensors, metadata) = try change(file)
        let path = world.folder + "/damaged.safetensors"
        try SafetensorsWriter.write(tensors, metadata: metadata, to: path, overwrite: true)
        return failureOf { try run.loadState(path) }
    }

    @Test func `a tensor too many and one of another shape are refused by name`() throws {
        let extra = try Self.damaged(TinyWorld()) { file in
            (file.tensors + [try Checkpoint.tensor("slot/fast[7]/L0.qkv/A", [2], [1, 2])], file.metadata)
        }
        #expect(extra?.code == .dataMalformed && extra?.place == "slot/fast[7]/L0.qkv/A")
        let shape = try Self.damaged(TinyWorld()) { file in
            let kept = file.tensors.filter { $0.name != "slot/slow/L1.o/B" }
            #expect(kept.count == file.tensors.count - 1)
            return (
                kept + [try Checkpoint.tensor("slot/slow/L1.o/B", [8, 16], [Float](repeating: 0, count: 128))],
                file.metadata
            )
        }
        #expect(shape?.code == .dataMalformed && shape?.place == "slot/slow/L1.o/B")
        let format = try Self.damaged(TinyWorld()) { ($0.tensors, ["format": "pt"]) }
        #expect(format?.code == .dataMalformed)
    }

    @Test(arguments: [
        ("\"loss_average\":[", "\"loss_average\":[0.5,"), ("\"trained\":[", "\"trained\":[true,"),
        ("\"last_trained\":0", "\"last_trained\":9"), ("\"finished\":3", "\"finished\":-3"),
        ("\"trained_on\":[", "\"trained_on\":[1,"), ("\"state\":{", "\"other\":{"),
    ]) func `numbers that do not fit are refused`(_ old: String, _ new: String) throws {
        let failure = try Self.damaged(TinyWorld()) { file in
            var metadata = file.metadata
            let text = metadata["state"]?.replacingOccurrences(of: old, with: new)
            #expect(text != metadata["state"], "\(old)")
            metadata["state"] = text
            return (file.tensors, metadata)
        }
        #expect(failure?.code == .dataMalformed)
        #expect(failure?.path?.hasSuffix("damaged.safetensors") == true)
    }

    @Test(arguments: [0, 7, 100, 4_000]) func `a checkpoint that was cut short ends in a failure with its path`(
        _ length: Int
    ) throws {
        let world = try TinyWorld()
        let run = try world.run("structure: chain\nepochs: 1")
        _ = try run.run()
        let path = run.paths.task(2)
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        #expect(bytes.count > length)
        try AtomicFile.write(Array(bytes.prefix(length)), to: path, overwrite: true)
        let failure = failureOf { try world.run("structure: chain\nepochs: 1") }
        #expect(failure?.path == path)
        #expect(failure.map { "\($0.code)".isEmpty } == false)
    }

    // MARK: Forks

    @Test func `a fork with the same settings ends where the run ended`() throws {
        let world = try TinyWorld()
        let settings = "structure: chain"
        let source = try world.run(settings, in: "source")
        let outcome = try source.run()
        let configuration = try world.configuration(settings)
        let fork = try RunFork.start(
            from: source.folder, task: 1, configuration: configuration,
            loaded: LoadedSuite(configuration.suite), folder: world.folder + "/fork", options: .init())
        #expect(fork.state.finished == 1 && fork.runID != source.runID)
        let same = try fork.run()
        #expect(try Checkpoint.hash(fork.state) == Checkpoint.hash(source.state))
        #expect(same.matrix.rows == outcome.matrix.rows)
        let origin = try RunPaths.read(fork.paths.resolved)["forked_from"]
        #expect(origin?["run"]?.string == source.runID && origin?["task"]?.integer == 1)
    }

    @Test func `a fork with another rule shares the first tasks only`() throws {
        let world = try TinyWorld()
        let source = try world.run("structure: chain", in: "source")
        let outcome = try source.run()
        let configuration = try world.configuration("structure: chain\nconsolidation: {rule: none}")
        func fork(_ name: String, task: Int) throws -> ContinualRun {
            try RunFork.start(
                from: source.folder, task: task, configuration: configuration,
                loaded: LoadedSuite(configuration.suite), folder: world.folder + "/" + name, options: .init())
        }
        let run = try fork("fork", task: 2)
        let other = try run.run()
        for task in 0..<2 {
            let hashes = try [source, run].map { try Checkpoint.hash($0.loadState($0.paths.task(task))) }
            #expect(hashes[0] == hashes[1])
            #expect(other.matrix.rows[task] == outcome.matrix.rows[task])
        }
        #expect(try EngineProbe.table(run, "consolidation.csv").last?[3] == "none")
        #expect(try EngineProbe.table(source, "consolidation.csv").last?[3] == "ta")
        #expect(failureOf { try fork("late", task: 4) }?.code == .ioNotFound)
        #expect(failureOf { try fork("early", task: 0) }?.code == .ioNotFound)
    }

    @Test func `a fork in the middle has the statistics of the tasks before it`() throws {
        let world = try TinyWorld()
        let settings = "structure: chain\nepochs: 1\nhead: {kind: ncm, also: [ridge], drift: ridge}"
        let source = try world.run(settings, in: "source")
        let outcome = try source.run()
        let configuration = try world.configuration(settings)
        let fork = try RunFork.start(
            from: source.folder, task: 1, configuration: configuration,
            loaded: LoadedSuite(configuration.suite), folder: world.folder + "/fork", options: .init())
        #expect(fork.state.statistics[.ncm]?.learned == source.plan.tasks[0])
        let same = try fork.run()
        for kind in source.state.statistics.keys {
            #expect(fork.state.statistics[kind]?.state == source.state.statistics[kind]?.state, "\(kind)")
        }
        for (own, other) in zip(outcome.metrics, same.metrics) {
            #expect(own.metrics.matrix.rows == other.metrics.matrix.rows)
        }
    }

    @Test func `a fork onto other tasks is refused`() throws {
        let world = try TinyWorld()
        let source = try world.run("structure: chain\nepochs: 1\n" + EngineProbe.order, in: "source")
        _ = try source.run()
        func fork(_ settings: String, _ name: String) -> Failure? {
            failureOf {
                let configuration = try world.configuration(settings)
                return try RunFork.start(
                    from: source.folder, task: 1, configuration: configuration,
                    loaded: LoadedSuite(configuration.suite), folder: world.folder + "/" + name, options: .init())
            }
        }
        let tasks = fork("structure: chain\nepochs: 1\ntasks: [[2, 3], [0, 1], [4]]\n" + EngineProbe.order, "tasks")
        #expect(tasks?.code == .recipeBadParameter)
    }

    // MARK: Replays and results

    @Test func `a replay with the rule of the run gives its slow memory`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: chain\nslow: {storage: grow, lr_multiplier: 0}")
        _ = try run.run()
        let replay = try run.replay(run.configuration.consolidation.rule)
        #expect(!replay.isApproximate && replay.slowNorms.count == 3)
        for (task, norm) in replay.slowNorms.enumerated() {
            let own = try run.loadState(run.paths.task(task)).memory.norm(of: .slow)
            #expect(abs(norm - own) <= 1e-5 * max(own, 1e-3))
        }
    }

    @Test func `one task leaves forgetting and transfer null in the results`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: joint\nepochs: 1")
        let outcome = try run.run()
        #expect(outcome.matrix.forgetting == nil && outcome.matrix.bwt == nil)
        let document = try RunPaths.read(run.paths.metrics)
        for key in ["forgetting", "forgetting_clipped", "forgetting_first", "bwt", "fwt"] {
            #expect(document.values(of: key).allSatisfy { $0 == .null }, "\(key)")
            #expect(!document.values(of: key).isEmpty, "\(key)")
        }
        #expect(document.values(of: "last").contains { $0.double != nil })
    }

    @Test func `tasks of unequal size weigh by samples in one mean and alike in the other`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: chain\n" + EngineProbe.order)
        let matrix = try run.run().matrix
        #expect(matrix.testCounts == [10, 10, 5])
        let rows = run.state.predictions[.linear]?.rows.filter { $0.afterTask == 2 } ?? []
        let right = (0..<3).map { task in Double(rows.count { $0.task == task && $0.predicted == $0.trueClass }) }
        #expect(abs((matrix.last ?? 0) - right.reduce(0, +) / 25) < 1e-12)
        #expect(abs((matrix.lastTaskMean ?? 0) - (right[0] / 10 + right[1] / 10 + right[2] / 5) / 3) < 1e-12)
    }
}

extension JSONValue {
    /// Every value under a key, at any depth.
    fileprivate func values(of key: String) -> [JSONValue] {
        let own = (members ?? []).flatMap { $0.key == key ? [$0.value] : $0.value.values(of: key) }
        return own + (array ?? []).flatMap { $0.values(of: key) }
    }
}
