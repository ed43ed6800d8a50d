import Foundation

/// e to the power of `x`.
func exponential(_ x: Double) -> Double { exp(x) }

/// How well confidences match shares of right answers (reliability diagram, expected calibration error; Guo et al. 2017).
public struct Calibration: Sendable, Hashable {
    public struct Bin: Sendable, Hashable {
        public var count: Int
        public var meanConfidence: Double
        public var accuracy: Double
    }

    /// Equal-width bins of confidence over 0…1; empty bins have count 0.
    public var bins: [Bin]
    /// Σ over bins of share · |accuracy − confidence|; nil without samples.
    public var expectedError: Double?

    public init(confidences: [Float], isCorrect: [Bool], binCount: Int = 15) {
        var counts = [Int](repeating: 0, count: max(1, binCount))
        var sums = [Double](repeating: 0, count: counts.count)
        var right = counts
        for (confidence, correct) in zip(confidences, isCorrect) {
            let bin = min(counts.count - 1, max(0, Int(Double(confidence) * Double(counts.count))))
            counts[bin] += 1
            sums[bin] += Double(confidence)
            if correct { right[bin] += 1 }
        }
        bins = counts.indices.map { index in
            let n = Double(max(1, counts[index]))
            return Bin(count: counts[index], meanConfidence: sums[index] / n, accuracy: Double(right[index]) / n)
        }
        let total = counts.reduce(0, +)
        expectedError =
            total == 0
            ? nil : bins.reduce(0) { $0 + Double($1.count) / Double(total) * abs($1.accuracy - $1.meanConfidence) }
    }
}
