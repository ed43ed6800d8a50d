import Foundation
import Testing

@testable import Evaluation

@Suite struct `Intervals and comparisons` {
    @Test(arguments: [(0, 10, 0.0, 0.27753), (5, 10, 0.236593, 0.763407), (4110, 4500, 0.904733, 0.921204)])
    func `Wilson intervals of known values`(correct: Int, count: Int, low: Double, high: Double) throws {
        let interval = try #require(Interval.wilson(correct: correct, count: count))
        #expect(abs(interval.low - low) < 2e-4)
        #expect(abs(interval.high - high) < 2e-4)
    }

    @Test func `no samples, no interval`() {
        #expect(Interval.wilson(correct: 0, count: 0) == nil)
        #expect(PairedBootstrap(first: [], second: []) == nil)
        #expect(PairedBootstrap(first: [true], second: []) == nil)
    }

    @Test func `the bootstrap's width follows the binomial formula`() throws {
        let first = (0..<2000).map { $0 % 10 < 8 }
        let second = (0..<2000).map { $0 % 10 < 7 || $0 % 10 == 9 && $0 % 20 < 10 }
        let result = try #require(PairedBootstrap(first: first, second: second, resamples: 4000))
        let p = Double(result.onlyFirst) / 2000
        let q = Double(result.onlySecond) / 2000
        let deviation = ((p + q - (p - q) * (p - q)) / 2000).squareRoot()
        #expect(abs(result.difference - (p - q)) < 1e-12)
        #expect(abs((result.interval.high - result.interval.low) / (2 * 1.96 * deviation) - 1) < 0.08)
        #expect(result.firstIsBetter)
        #expect(result == PairedBootstrap(first: first, second: second, resamples: 4000))
    }

    @Test func `equal subjects never beat one another`() throws {
        let same = (0..<50).map { $0 % 3 == 0 }
        let result = try #require(PairedBootstrap(first: same, second: same))
        #expect(!result.firstIsBetter && result.difference == 0 && result.interval == Interval(low: 0, high: 0))
    }

    @Test func `tallies count global, local and per task`() throws {
        var tally = PredictionTally(map: try TaskMap(classes: 5, tasks: [[0, 1], [2, 3]]))
        let rows: [([Float], Int)] = [
            ([3, 1, 2, 0, 0], 0), ([3, 1, 9, 0, 0], 0), ([1, 1, 0, 0, 0], 1), ([0, 0, 1, 2, 3], 4),
            ([0, 0, 1, 2, 1], 3),
        ]
        for (logits, label) in rows { logits.withUnsafeBufferPointer { tally.add(logits: $0, label: label) } }
        #expect(tally.predictions == [0, 2, 0, 4, 3])
        #expect(tally.localPredictions == [0, 0, 0, nil, 3])
        #expect(tally.correctGlobal == 3 && tally.correctLocal == 3 && tally.countLocal == 4)
        #expect(tally.accuracyGlobal == 0.6 && tally.accuracyLocal == 0.75)
        #expect(tally.accuracyPerTask == [1.0 / 3, 1])
        #expect(tally.confusion[0] == [1, 0, 1, 0, 0])
        #expect(abs(tally.confidences[2] - Float(exp(1.0) / (2 * exp(1.0) + 3))) < 1e-6)
    }

    @Test func `a class in two tasks is refused`() {
        #expect(throws: (any Error).self) { try TaskMap(classes: 3, tasks: [[0, 1], [1, 2]]) }
        #expect(throws: (any Error).self) { try TaskMap(classes: 3, tasks: [[3]]) }
    }

    @Test func `calibration of a perfectly and a badly calibrated subject`() {
        let good = Calibration(
            confidences: [Float](repeating: 0.75, count: 400), isCorrect: (0..<400).map { $0 % 4 != 0 })
        let bad = Calibration(
            confidences: [Float](repeating: 0.9, count: 100), isCorrect: (0..<100).map { $0 % 2 == 0 })
        #expect((good.expectedError ?? 1) < 1e-9)
        #expect(abs((bad.expectedError ?? 0) - 0.4) < 1e-6)
        #expect(Calibration(confidences: [], isCorrect: []).expectedError == nil)
    }
}
