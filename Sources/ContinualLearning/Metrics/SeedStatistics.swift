import Foundation
import Tensors

/// A number over several seeds.
public struct SeedStatistics: Sendable, Hashable {
    public var values: [Double]

    public init(_ values: [Double]) { self.values = values }

    public var count: Int { values.count }
    public var mean: Double? { values.isEmpty ? nil : values.reduce(0, +) / Double(values.count) }
    /// Sample standard deviation; nil for fewer than two seeds.
    public var deviation: Double? {
        guard count >= 2, let mean else { return nil }
        return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)).squareRoot()
    }
    /// 95 % interval of the mean by Student's t; nil for fewer than two seeds.
    public var interval: (low: Double, high: Double)? {
        guard let mean, let deviation else { return nil }
        let half = StudentQuantile.half(freedom: count - 1) * deviation / Double(count).squareRoot()
        return (mean - half, mean + half)
    }
    /// Fewer than three seeds support no ranking.
    public var isTooFewForRanking: Bool { count < 3 }
}

/// The difference of two settings over the seeds that both have.
public struct PairedSeeds: Sendable, Hashable {
    /// first − second, by rising seed.
    public var differences: [Double]
    public var mean: Double
    /// 95 % percentile interval over resampled seeds; nil for fewer than two.
    public var low: Double?
    public var high: Double?
    /// 95 % interval by Student's t, wider for few seeds; nil for fewer than two.
    public var studentLow: Double?
    public var studentHigh: Double?

    /// - Parameters:
    ///   - first: value by seed.
    ///   - second: the same of the other setting.
    /// - Returns: nil when they share no seed.
    public init?(first: [Int: Double], second: [Int: Double], resamples: Int = 10_000, seed: UInt64 = 1) {
        let pairs = first.keys.sorted().compactMap { key in
            second[key].flatMap { other in first[key].map { $0 - other } }
        }
        guard !pairs.isEmpty else { return nil }
        differences = pairs
        let statistics = SeedStatistics(pairs)
        mean = pairs.reduce(0, +) / Double(pairs.count)
        (studentLow, studentHigh) = (statistics.interval?.low, statistics.interval?.high)
        guard pairs.count >= 2 else { return }
        let random = CounterRandom(seed: seed, stream: "paired-seeds")
        let count = UInt64(pairs.count)
        let means = (0..<UInt64(resamples)).map { resample -> Double in
            (0..<count).reduce(0) { $0 + pairs[Int((UInt64(random.word(resample * count + $1)) * count) >> 32)] }
                / Double(count)
        }.sorted()
        low = Self.quantile(means, 0.025)
        high = Self.quantile(means, 0.975)
    }

    /// The difference may be called one: at least three seeds, and both intervals on one side of zero.
    public var isClear: Bool {
        guard differences.count >= 3, let low, let high, let studentLow, let studentHigh else { return false }
        return (low > 0 && studentLow > 0) || (high < 0 && studentHigh < 0)
    }

    private static func quantile(_ sorted: [Double], _ share: Double) -> Double {
        let position = share * Double(sorted.count - 1)
        let lower = Int(position)
        let upper = min(lower + 1, sorted.count - 1)
        return sorted[lower] + (position - Double(lower)) * (sorted[upper] - sorted[lower])
    }
}

/// Two-sided 95 % quantiles of Student's t.
enum StudentQuantile {
    private static let table = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ]

    /// - Parameter freedom: degrees of freedom, at least 1.
    static func half(freedom: Int) -> Double { freedom <= table.count ? table[max(0, freedom - 1)] : 1.96 }
}
