import Adapters
import Diagnostics
import Evaluation
import Foundation
import Networks
import Tensors
import Testing
import WeightFiles

@testable import ContinualLearning

enum AdapterOnDisk {
    static func read(_ folder: String) throws -> Adapter { try AdapterReader.read(path: folder) }
}

@Suite struct EngineConfigurationTests {
    @Test func `unknown keys are refused with the nearest one`() throws {
        let world = try TinyWorld()
        let failure = failureOf { try world.configuration("structure: chain\nconsolidaton: {rule: ta}") }
        #expect(failure?.code == .recipeUnknownKey)
        #expect(failure?.hint?.contains("consolidation") == true)
    }

    @Test func `keys without effect are reported`() throws {
        let world = try TinyWorld()
        let configuration = try world.configuration("structure: single\nexperts: {k: 2}\nconsolidation: {rule: ta}")
        #expect(configuration.unusedKeys == ["consolidation", "experts"])
    }

    @Test func `a list of learning rates needs one per expert`() throws {
        let world = try TinyWorld()
        #expect(
            failureOf { try world.configuration("structure: parallel\nexperts: {k: 3, schedule: [1, 0.5]}") } != nil)
        #expect(ExpertSchedule.halving.multipliers(3) == [1, 0.5, 0.25])
        #expect(ExpertSchedule.decades.multipliers(5) == [1, 0.5, 0.1, 0.05, 0.01])
    }

    @Test func `pam wants a slow memory of the rank of its clone`() throws {
        let world = try TinyWorld()
        #expect(failureOf { try world.configuration("structure: pam\nslow: {rank: 5}") }?.code == .recipeBadParameter)
        #expect(try world.configuration("structure: pam\nslow: {rank: 2}").slowRank == 2)
        // What the clone learned arrives in slow.
        let run = try world.run("structure: pam", in: "averaged")
        _ = try run.run()
        #expect(try run.state.memory.norm(of: .slow) > 0)
    }

    @Test func `the resolved configuration reads back as the same`() throws {
        let world = try TinyWorld()
        for settings in EngineTests.structures {
            let configuration = try world.configuration(settings)
            let resolved = try configuration.resolved(backbone: "/b", data: "/d")
            let again = try RunConfigurationReader.read(text: resolved.text(), folder: "/")
            #expect(try again.resolved(backbone: "/b", data: "/d") == resolved)
        }
    }

    @Test func `protocols cut a permuted order of classes`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: backbone\nprotocol: B3-Inc1\nseeds: {class_order: 5, train: 0}")
        #expect(run.plan.tasks.map(\.count) == [3, 1, 1])
        #expect(run.plan.order.sorted() == [0, 1, 2, 3, 4])
    }

    @Test func `training and validation are disjoint and stratified`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: backbone\ndata: { path: data, train_per_class: 8 }")
        #expect(run.splits.areDisjoint)
        for task in 0..<3 {
            let counts = Dictionary(grouping: run.splits.train(task).samples.labels, by: { $0 }).mapValues(\.count)
            #expect(counts.values.allSatisfy { $0 == 8 })
            let held = Dictionary(grouping: run.splits.validation(task).samples.labels, by: { $0 }).mapValues(\.count)
            #expect(held.values.allSatisfy { $0 == 2 })
        }
    }

    @Test func `ties between experts go to loss, norm and index`() {
        func score(_ expert: Int, _ score: Double, _ loss: Double, _ norm: Double) -> ExpertScore {
            ExpertScore(expert: expert, score: score, loss: loss, norm: norm, count: 10)
        }
        #expect(WinnerSelection.winner([score(0, 0.5, 1, 1), score(1, 0.7, 2, 2)]) == 1)
        #expect(WinnerSelection.winner([score(0, 0.7, 2, 1), score(1, 0.7, 1, 2)]) == 1)
        #expect(WinnerSelection.winner([score(0, 0.7, 1, 2), score(1, 0.7, 1, 1)]) == 1)
        #expect(WinnerSelection.winner([score(0, 0.7, 1, 1), score(1, 0.7, 1, 1)]) == 0)
    }

    @Test func `the loss has the gradients of finite differences`() {
        for cosine in [false, true] {
            let loss = HeadLoss(width: 6, competing: 1..<4, normalises: !cosine, cosine: cosine, kappa: 3)
            let rows = HeadRows(first: 0, count: 5, width: 6)
            let random = CounterRandom(seed: 3, stream: "head-loss")
            for i in rows.weights.indices { rows.weights[i] = random.uniform(UInt64(i)) - 0.5 }
            var feature = (0..<6).map { random.uniform(UInt64(100 + $0)) - 0.3 }
            func value() -> Double {
                let sums = HeadLoss.Sums(rows: 3, width: 6)
                loss.add(feature, label: 2, rows: rows, scale: 1, into: sums, gradient: nil)
                return sums.loss
            }
            var gradient = [Float](repeating: 0, count: 6)
            let sums = HeadLoss.Sums(rows: 3, width: 6)
            loss.add(feature, label: 2, rows: rows, scale: 1, into: sums, gradient: &gradient)
            let step: Float = 1e-2
            for i in 0..<6 {
                feature[i] += step
                let high = value()
                feature[i] -= 2 * step
                let low = value()
                feature[i] += step
                #expect(abs((high - low) / Double(2 * step) - Double(gradient[i])) < 2e-3)
            }
            for i in 0..<18 {
                let saved = rows.weights[6 + i]
                rows.weights[6 + i] = saved + step
                let high = value()
                rows.weights[6 + i] = saved - step
                let low = value()
                rows.weights[6 + i] = saved
                #expect(abs((high - low) / Double(2 * step) - Double(sums.weights[i])) < 2e-3)
            }
        }
    }

    @Test func `a checkpoint with a missing tensor is refused by name`() throws {
        let world = try TinyWorld()
        let run = try world.run("structure: single")
        _ = try run.run()
        let path = run.paths.task(0)
        let file = try SafetensorsFile(path: path)
        let kept = file.tensors.filter { $0.name != "head/bias" }
        try SafetensorsWriter.write(kept, metadata: file.metadata, to: world.folder + "/broken.safetensors")
        let failure = failureOf { try run.loadState(world.folder + "/broken.safetensors") }
        #expect(failure?.code == .dataMalformed)
        #expect(failure?.place == "head/bias")
    }
}
