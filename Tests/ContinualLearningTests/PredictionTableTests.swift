import Diagnostics
import Foundation
import Tensors
import Testing
import WeightFiles

@testable import ContinualLearning

@Suite struct `Metrics from predictions` {
    /// Three tasks of two classes; sizes differ, and errors come from a counter-based generator.
    static let table: PredictionTable = {
        let random = CounterRandom(seed: 5, stream: "predictions")
        var rows: [PredictionRow] = []
        for after in 0..<3 {
            for sample in 0..<90 {
                let truth = sample % 9 < 4 ? sample % 2 : 2 + sample % 4
                let task = truth / 2
                guard task <= after else { continue }
                let draw = Int(random.word(UInt64(after * 1000 + sample)))
                let wrong = draw % 3 == 0
                let predicted = wrong ? (draw / 7) % (2 * after + 2) : truth
                let within = wrong && predicted / 2 == task ? predicted : truth
                rows.append(
                    PredictionRow(
                        afterTask: after, task: task, sample: sample, trueClass: truth, predicted: predicted,
                        predictedWithin: within, topLogit: Double(draw % 1000) / 100))
            }
        }
        return PredictionTable(rows: rows)
    }()

    @Test func `the file is read back as it was written`() throws {
        #expect(try PredictionTable(csv: Self.table.csv, path: "predictions.csv") == Self.table)
        #expect(throws: Failure.self) { try PredictionTable(csv: "after_task,task\n0,0\n", path: "p") }
        let bad = Self.table.csv.replacingOccurrences(of: "\n0,0,", with: "\n0,1,")
        let failure = #expect(throws: Failure.self) { try PredictionTable(csv: bad, path: "p") }
        #expect(failure?.place?.hasPrefix("line") == true)
    }

    @Test func `accuracies are shares of right predictions, and the parts bound the whole`() throws {
        let metrics = RunMetrics(Self.table)
        for (after, step) in metrics.steps.enumerated() {
            let rows = Self.table.rows.filter { $0.afterTask == after }
            let right = Double(rows.count { $0.predicted == $0.trueClass }) / Double(rows.count)
            let seen = try #require(metrics.matrix.accuracySeen(after: after))
            #expect(abs(seen - right) < 1e-12)
            #expect(try #require(step.taskIDAccuracy) >= seen && #require(step.withinTaskAccuracy) >= seen)
        }
        let last = Self.table.rows.filter { $0.afterTask == 2 }
        #expect(metrics.confusion.reduce(0) { $0 + $1.reduce(0, +) } == last.count)
        #expect(metrics.classes == [0, 1, 2, 3, 4, 5])
    }

    @Test func `an independent script computes the same numbers`() throws {
        let folder = NSTemporaryDirectory() + "cil-metrics-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Self.table.csv.write(toFile: folder + "/predictions.csv", atomically: true, encoding: .utf8)
        let document = JSONValue.object(RunMetrics(Self.table).members).text()
        try document.write(toFile: folder + "/metrics.json", atomically: true, encoding: .utf8)
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
            path: "../../scripts/cil_metrics.py"
        ).path
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", script, "--check", folder]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(output)")
    }

    @Test func `one task gives nulls`() throws {
        let first = PredictionTable(rows: Self.table.rows.filter { $0.afterTask == 0 })
        let document = JSONValue.object(RunMetrics(first).members)
        for key in ["forgetting", "forgetting_clipped", "forgetting_first", "bwt", "fwt", "old_acc"] {
            #expect(document[key] == .null, "\(key)")
        }
        #expect(document["accuracy_matrix"]?.text() == "[[\(try #require(RunMetrics(first).matrix.last))]]")
        #expect(RunMetrics(PredictionTable()).matrix.last == nil)
        let two = JSONValue.object(RunMetrics(Self.table).members)
        guard case .array(let rows) = two["accuracy_matrix"], case .array(let row) = rows[0] else {
            Issue.record("no matrix")
            return
        }
        #expect(row[1] == .null && row[2] == .null)
    }

    @Test func `transfer and intransigence are differences to their references`() {
        #expect(RunMetrics.forwardTransfer(before: [0.75, 0.5], untouched: [0.5, 0.5]) == 0.125)
        #expect(RunMetrics.forwardTransfer(before: [], untouched: []) == nil)
        let matrix = AccuracyMatrix(rows: [[0.5], [0.25, 0.75]], testCounts: [4, 4])
        #expect(RunMetrics.intransigence(joint: [1, 1], matrix: matrix) == 0.375)
        #expect(RunMetrics.intransigence(joint: [1], matrix: matrix) == nil)
    }

    @Test func `files of the matrix leave undefined entries empty`() {
        let matrix = AccuracyMatrix(rows: [[0.5], [0.25, 0.75]], testCounts: [4, 4])
        #expect(matrix.csv == "after_task,task_0,task_1\n0,0.5,\n1,0.25,0.75\n")
        #expect(matrix.curveCSV == "after_task,acc_seen,acc_task_mean,forgetting\n0,0.5,0.5,\n1,0.5,0.5,0.25\n")
        #expect(
            matrix.forgettingCSV
                == "task,first,best_before_last,last,forgetting,forgetting_first\n0,0.5,0.5,0.25,0.25,0.25\n"
                + "1,0.75,,0.75,,\n")
    }
}

@Suite struct `Numbers over seeds` {
    @Test func `mean, deviation and interval of five seeds`() throws {
        let statistics = SeedStatistics([1, 2, 3, 4, 5])
        #expect(statistics.mean == 3)
        #expect(abs(try #require(statistics.deviation) - 1.5811388) < 1e-6)
        let interval = try #require(statistics.interval)
        #expect(abs(interval.low - (3 - 2.776 * 0.70710678)) < 1e-6)
        #expect(SeedStatistics([1]).deviation == nil && SeedStatistics([1, 2]).isTooFewForRanking)
    }

    @Test func `paired differences use the seeds that both have`() throws {
        let paired = try #require(
            PairedSeeds(first: [1: 0.5, 2: 0.75, 3: 1, 9: 0], second: [1: 0.25, 2: 0.5, 3: 0.75]))
        #expect(paired.differences == [0.25, 0.25, 0.25] && paired.mean == 0.25)
        #expect(paired.low == 0.25 && paired.high == 0.25 && paired.isClear)
        let mixed = try #require(PairedSeeds(first: [1: 1, 2: 0, 3: 1, 4: 0], second: [1: 0, 2: 1, 3: 0, 4: 1]))
        #expect(mixed.mean == 0 && !mixed.isClear)
        #expect(try #require(mixed.low) < -0.4 && #require(mixed.high) > 0.4)
        let two = try #require(PairedSeeds(first: [1: 1, 2: 1], second: [1: 0, 2: 0]))
        #expect(!two.isClear)
        #expect(PairedSeeds(first: [1: 1], second: [2: 1]) == nil)
    }
}
