import Diagnostics
import Foundation
import Networks
import Tensors
import Testing
import WeightFiles

@testable import ContinualLearning

@Suite struct `Selection of experts` {
    static func score(_ expert: Int, _ score: Double?, loss: Double = 1, norm: Double = 1) -> ExpertScore {
        ExpertScore(expert: expert, score: score, loss: loss, norm: norm, count: 25)
    }

    @Test(arguments: 0..<3) func `the best score wins at every place`(_ best: Int) {
        let scores = (0..<3).map { Self.score($0, $0 == best ? 0.8 : 0.6, loss: $0 == best ? 3 : 1) }
        #expect(WinnerSelection.winner(scores) == best)
        #expect(WinnerSelection.winner(scores.reversed()) == best)
        #expect(abs((WinnerSelection.margin(scores) ?? 0) - 0.2) < 1e-12)
    }

    @Test func `loss decides before norm, norm before index, in any order of the list`() {
        let scores = [
            Self.score(0, 0.5, loss: 0.1, norm: 0.1), Self.score(1, 0.7, loss: 2, norm: 0.1),
            Self.score(2, 0.7, loss: 1, norm: 3), Self.score(3, 0.7, loss: 1, norm: 2),
            Self.score(4, 0.7, loss: 1, norm: 2),
        ]
        for turn in 0..<5 {
            #expect(WinnerSelection.winner(Array(scores[turn...] + scores[..<turn])) == 3)
        }
        #expect(WinnerSelection.margin(scores) == 0)
        #expect(abs((scores[0].standardError ?? 0) - 0.1) < 1e-12)
    }

    @Test func `the expert that learns wins, is consolidated, and all are reset`() throws {
        let world = try TinyWorld()
        let run = try world.run(
            """
            structure: parallel
            experts: {schedule: [1.0e-6, 1, 1.0e-6]}
            slow: {storage: grow, lr_multiplier: 0}
            consolidation: {alpha: 1}
            epochs: 6
            """ + "\n" + EngineProbe.order)
        _ = try run.run()
        let winners = try EngineProbe.table(run, "experts.csv").filter { $0[2] == "1" }
        #expect(winners.map { $0[0] } == ["0", "1", "2"])
        #expect(winners[0][1] == "1")
        let pre = try run.loadState(run.paths.pre(0))
        let post = try run.loadState(run.paths.task(0))
        let moved = try post.memory.updates(of: .slow)
        #expect(try EngineProbe.distance(moved, pre.memory.updates(of: .fast(1))) < 1e-5)
        #expect(try EngineProbe.distance(moved, pre.memory.updates(of: .fast(0))) > 0.1)
        for lane in 0..<3 {
            #expect(try post.memory.norm(of: .fast(lane)) == 0)
            let slot = post.memory.fast[lane]
            #expect(slot.pairs.allSatisfy { slot.a($0).contains { $0 != 0 } })
        }
    }

    @Test func `test data reach nothing that is learned or chosen`() throws {
        let world = try TinyWorld()
        let settings = "structure: parallel\nhead: {also: [ncm, ranpac], hidden: 20}\nepochs: 1"
        let run = try world.run(settings, in: "first")
        let first = try run.run()
        #expect(Set(run.splits.testReadings().keys) == ["report"])
        // The same labels on black images.
        let path = world.folder + "/data/test-images-idx3-ubyte"
        var images = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        for i in 16..<images.count { images[i] = 0 }
        try AtomicFile.write(images, to: path, overwrite: true)
        let other = try world.run(settings, in: "second")
        let second = try other.run()
        #expect(first.matrix.rows != second.matrix.rows)
        #expect(try Checkpoint.hash(run.state) == Checkpoint.hash(other.state))
        #expect(run.state.validationRows == other.state.validationRows)
        #expect(try EngineProbe.table(run, "experts.csv") == EngineProbe.table(other, "experts.csv"))
        #expect(run.state.statistics.mapValues(\.state) == other.state.statistics.mapValues(\.state))
        #expect(!first.isLeaky && !second.isLeaky)
    }

    @Test func `choosing on test data marks the run`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: parallel\nselection: {split: test}\nepochs: 1")
        let outcome = try run.run()
        #expect(outcome.isLeaky)
        #expect(Set(run.splits.testReadings().keys) == ["report", "selection (leaky)"])
        #expect(try RunPaths.read(run.paths.metrics)["leaky"]?.bool == true)
    }

    @Test func `schedules of learning rates`() throws {
        #expect(ExpertSchedule.halving.multipliers(4) == [1, 0.5, 0.25, 0.125])
        #expect(ExpertSchedule.decades.multipliers(4) == [1, 0.5, 0.1, 0.05])
        let world = try TinyWorld()
        for list in ["[1, 0.5]", "[1, 0.5, 0.25, 0.125]", "[]", "[1, 0.5, -1]"] {
            let failure = failureOf {
                try world.configuration("structure: parallel\nexperts: {k: 3, schedule: \(list)}")
            }
            #expect(failure?.code == .recipeBadParameter, "\(list)")
        }
        let run = try world.run("structure: parallel\nexperts: {schedule: [0.3, 0.2, 0.1]}\n" + EngineProbe.order)
        let rates = try EngineProbe.trainer(run).groups.filter { $0.slot != nil && $0.slot != .slow }
        #expect(rates.map(\.group.multiplier) == [0.3, 0.2, 0.1])
    }
}
