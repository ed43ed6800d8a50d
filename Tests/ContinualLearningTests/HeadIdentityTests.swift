import LinearAlgebra
import Merging
import Networks
import Tensors
import Testing

@testable import ContinualLearning

@Suite struct `Identities of heads` {
    @Test func `a row is the same whenever it is made`() throws {
        let options = RunConfiguration.Head()
        let whole = SharedHead(classes: [4, 1, 3, 0, 2], width: 16, options: options, seed: 9)
        let grown = SharedHead(classes: [4, 1], width: 16, options: options, seed: 9)
        #expect(EngineProbe.values(grown.rows.weights) == EngineProbe.values(whole.rows.weights(of: 0..<2)))
        let other = SharedHead(classes: [2, 0], width: 16, options: options, seed: 9)
        #expect(EngineProbe.values(other.rows.weights(of: 0..<1)) == EngineProbe.values(whole.rows.weights(of: 4..<5)))
        let stranger = SharedHead(classes: [4, 1], width: 16, options: options, seed: 10)
        #expect(EngineProbe.values(stranger.rows.weights) != EngineProbe.values(grown.rows.weights))
    }

    @Test(arguments: ["local", "seen", "logit-adjusted"])
    func `classes to come change nothing of a task`(_ loss: String) throws {
        let world = try TinyWorld()
        let settings = "structure: chain\nhead: {loss: \(loss), also: [ncm, ranpac], hidden: 20}\n" + EngineProbe.order
        let whole = try world.run(settings, in: "whole")
        let short = try world.run(settings + "tasks: [[0, 1], [2, 3]]\n", in: "short")
        _ = try whole.run()
        _ = try short.run()
        let state = try whole.loadState(whole.paths.task(1))
        #expect(short.state.head.rows.count == 4 && state.head.rows.count == 5)
        for name in state.memory.names {
            #expect(EngineProbe.values(state.memory[name]) == EngineProbe.values(short.state.memory[name]), "\(name)")
        }
        #expect(
            EngineProbe.values(state.head.rows.weights(of: 0..<4)) == EngineProbe.values(short.state.head.rows.weights))
        for (kind, table) in short.state.predictions {
            let same = whole.state.predictions[kind]?.rows.filter { $0.afterTask < 2 }
            #expect(same == table.rows, "\(kind)")
        }
        // The row of the class to come is as it was drawn.
        let fresh = SharedHead(
            classes: whole.plan.order, width: 16, options: whole.configuration.head, seed: whole.configuration.seed)
        #expect(
            EngineProbe.values(state.head.rows.weights(of: 4..<5)) == EngineProbe.values(fresh.rows.weights(of: 4..<5)))
    }

    @Test func `a refit leaves every bit of the adapters`() throws {
        let world = try TinyWorld()
        let states = try [true, false].map { refit in
            let run = try world.run("structure: chain\nhead: {refit: \(refit)}\n" + EngineProbe.order, in: "\(refit)")
            _ = try run.run()
            return try run.loadState(run.paths.task(0))
        }
        for name in states[0].memory.names {
            let values = states.map { EngineProbe.values($0.memory[name]) }
            #expect(values[0] == values[1], "\(name)")
        }
        let rows = states.map { $0.head.rows }
        #expect(EngineProbe.values(rows[0].weights(of: 0..<2)) != EngineProbe.values(rows[1].weights(of: 0..<2)))
        #expect(EngineProbe.values(rows[0].weights(of: 2..<5)) == EngineProbe.values(rows[1].weights(of: 2..<5)))
    }

    // MARK: Statistics heads on frozen features

    /// Features and labels of all training samples of a run with a bare backbone, task by task.
    static func features(_ run: ContinualRun) throws -> [(features: Matrix<Float>, labels: [Int])] {
        try run.plan.tasks.indices.map { task in
            let samples = run.splits.train(task).samples
            let set = try run.sampleSet(samples)
            return (try run.runner.features(of: set, mix: nil), samples.labels)
        }
    }

    @Test func `ranpac in a run is the direct ridge solution on all data seen`() throws {
        let world = try TinyWorld()
        let run = try world.run(
            "structure: backbone\nhead: {kind: ranpac, hidden: 20, lambda: 3}\n" + EngineProbe.order)
        _ = try run.run()
        let parts = try Self.features(run)
        let f = Matrix.stacked(parts.map(\.features))
        let labels = parts.flatMap(\.labels)
        // The same random directions, from an independent product in double precision.
        let projection = CounterRandom(seed: run.configuration.seed, stream: "random-feature-ridge").normalMatrix(
            rows: 16, columns: 20)
        var h = try multiply(f.inDouble, projection.inDouble)
        for i in h.elements.indices { h.elements[i] = max(0, h.elements[i]) }
        var gram = try symmetricProduct(h, transposed: true)
        for i in 0..<20 { gram[i, i] += 3 }
        var targets = Matrix<Double>(rows: labels.count, columns: 5)
        for (row, label) in labels.enumerated() { targets[row, label] = 1 }
        let wanted = try multiply(h, solve(gram, multiply(h, targets, transposeA: true)))
        let found = try #require(run.state.statistics[.ranpac]).head().logits(f).inDouble
        #expect(found.minus(wanted).frobeniusNorm < 1e-5 * wanted.frobeniusNorm)
    }

    @Test(arguments: ["ranpac", "ncm"]) func `the order of tasks does not change a head on frozen features`(
        _ kind: String
    ) throws {
        let world = try TinyWorld()
        let runs = try ["[[0, 1], [2, 3], [4]]", "[[4], [3, 1], [2, 0]]"].enumerated().map { index, tasks in
            let run = try world.run(
                "structure: backbone\nhead: {kind: \(kind), hidden: 20, lambda: 3}\ntasks: \(tasks)\n"
                    + EngineProbe.order, in: "\(index)")
            _ = try run.run()
            return run
        }
        let heads = try runs.map { try #require($0.state.statistics.values.first) }
        let probe = Matrix.stacked(try Self.features(runs[0]).map(\.features))
        let logits = try zip(heads, runs).map { head, run in
            let scores = try head.head().logits(probe)
            return (0..<probe.rows).flatMap { row in
                (0..<5).map { scores[row, run.plan.rowOfClass[$0] ?? 0] }
            }
        }
        #expect(EngineProbe.gap(logits[0], logits[1]) <= 1e-6)
        let predictions = runs.map { run in
            Dictionary(
                uniqueKeysWithValues: (run.state.predictions.values.first?.rows ?? []).filter { $0.afterTask == 2 }
                    .map { ($0.sample, $0.predicted) })
        }
        #expect(predictions[0].count == 25 && predictions[0] == predictions[1])
    }

    @Test func `sums of ridge do not depend on the order beyond double rounding`() throws {
        var options = StatisticsHeadOptions(.ranpac)
        options.lambda = 0.5
        options.hidden = 40
        let tasks = [[0, 1], [2, 3], [4, 5]]
        let states = try [[0, 1, 2], [2, 0, 1], [1, 2, 0]].map { order in
            var head = StatisticsHead(options, width: 6, classCount: 6)
            for task in order {
                let labels = SampleFeatures.labels(tasks[task], each: 30)
                try head.learn(task: task, features: SampleFeatures.group(labels, seed: UInt64(task)), labels: labels)
            }
            return head.state
        }
        for state in states.dropFirst() {
            for name in ["gram", "cross"] {
                let (a, b) = (try #require(state[name]), try #require(states[0][name]))
                #expect(a.minus(b).frobeniusNorm <= 1e-13 * b.frobeniusNorm)
            }
        }
    }

    // MARK: The merge toolkit

    @Test(arguments: [1, 3]) func `ties and tsv are the methods of the merge toolkit on two updates`(
        _ task: Int
    ) throws {
        let slow = try SampleUpdates.update(rank: 3, seed: 31)
        let fast = try SampleUpdates.update(rank: 2, seed: 32)
        let (s, f) = (try slow.dense(), try fast.dense())
        let settings: [String: ParameterValue] = [
            "density": .number(0.4), "lambda": .number(0.8), "zero_sign": .text("zero"),
        ]
        let mean = try MatrixMerge("ties", parameters: settings.merging(["reduce": .text("weighted_mean")]) { $1 })
        let sum = try MatrixMerge("ties", parameters: settings.merging(["reduce": .text("sum")]) { $1 })
        let common: [String: ParameterValue] = ["density": .number(0.4), "lambda": .number(0.8)]
        let wanted: [(String, [String: ParameterValue], Matrix<Double>)] = [
            ("ties", common, try mean.merged([s, s.plus(f)], weights: [Double(task), 1])),
            (
                "ties", common.merging(["basis": .text("residual")]) { $1 },
                try mean.merged([s, f], weights: [Double(task), 1])
            ),
            ("ties", common.merging(["combine": .text("sum")]) { $1 }, try sum.merged([s, f], weights: [1, 1])),
            (
                "tsv", ["alpha": .number(0.7), "k": .number(2)],
                try MatrixMerge("tsv_m", parameters: ["k": .number(2)]).merged([s, f], weights: [1, 0.7])
            ),
        ]
        for (rule, values, reference) in wanted {
            let (update, record) = try SampleUpdates.merged(rule, values, slow: slow, fast: fast, task: task)
            #expect(try update.dense().minus(reference).frobeniusNorm < 1e-6 * reference.frobeniusNorm, "\(rule)")
            #expect(record.isArithmeticRight())
        }
    }
}
