import Tensors

/// Compares two subjects on the same samples by resampling the samples (Efron 1979), with an explicit seed.
public struct PairedBootstrap: Sendable, Hashable {
    /// Mean difference `first − second` in share of samples that are right.
    public var difference: Double
    /// Percentile interval of the difference.
    public var interval: Interval
    /// Samples where only the first (only the second) is right.
    public var onlyFirst: Int
    public var onlySecond: Int

    /// True when the interval lies above zero: the first may be said to beat the second.
    public var firstIsBetter: Bool { interval.low > 0 }

    /// - Parameters:
    ///   - first: whether each sample was right for the first subject.
    ///   - second: the same for the second, in the same order.
    ///   - resamples: number of resamples, at least 1.
    ///   - level: coverage of the interval, 0..<1.
    /// - Returns: nil for no samples or different lengths.
    public init?(
        first: [Bool], second: [Bool], resamples: Int = 2_000, level: Double = 0.95, seed: UInt64 = 1
    ) {
        guard !first.isEmpty, first.count == second.count, resamples >= 1 else { return nil }
        let onlyFirst = zip(first, second).filter { $0 && !$1 }.count
        let onlySecond = zip(first, second).filter { !$0 && $1 }.count
        let count = first.count
        let totals = Self.resampledTotals(
            onlyFirst: onlyFirst, onlySecond: onlySecond, count: count, resamples: resamples, seed: seed)
        let tail = (1 - level) / 2
        func quantile(_ share: Double) -> Double {
            let position = share * Double(resamples - 1)
            let lower = Int(position)
            let upper = min(lower + 1, resamples - 1)
            let value = Double(totals[lower]) + (position - Double(lower)) * Double(totals[upper] - totals[lower])
            return value / Double(count)
        }
        self.difference = Double(onlyFirst - onlySecond) / Double(count)
        self.interval = Interval(low: quantile(tail), high: quantile(1 - tail))
        self.onlyFirst = onlyFirst
        self.onlySecond = onlySecond
    }

    /// Sorted sums of the resampled differences. A sample's difference is +1, −1 or 0, so a draw needs only to know in
    /// which of the three groups it falls.
    private static func resampledTotals(
        onlyFirst: Int, onlySecond: Int, count: Int, resamples: Int, seed: UInt64
    ) -> [Int] {
        let random = CounterRandom(seed: seed, stream: "paired-bootstrap")
        var words = [UInt32](repeating: 0, count: count)
        return (0..<resamples).map { resample -> Int in
            words.withUnsafeMutableBufferPointer { random.fillWords(from: UInt64(resample) * UInt64(count), into: $0) }
            var total = 0
            for word in words {
                let draw = Int((UInt64(word) * UInt64(count)) >> 32)
                total += draw < onlyFirst ? 1 : draw < onlyFirst + onlySecond ? -1 : 0
            }
            return total
        }.sorted()
    }
}
