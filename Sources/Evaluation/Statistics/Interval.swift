import Foundation

/// A confidence interval of a share or a difference.
public struct Interval: Sendable, Hashable {
    public var low: Double
    public var high: Double

    public init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }

    public func contains(_ value: Double) -> Bool { low <= value && value <= high }

    /// Wilson's score interval of `correct` out of `count` (Wilson 1927), inside 0…1 for every input.
    ///
    /// - Parameter z: standard normal quantile; 1.96 for 95 %.
    /// - Returns: nil for `count` = 0.
    public static func wilson(correct: Int, count: Int, z: Double = 1.959963984540054) -> Interval? {
        guard count > 0 else { return nil }
        let n = Double(count)
        let share = Double(correct) / n
        let denominator = 1 + z * z / n
        let centre = (share + z * z / (2 * n)) / denominator
        let half = z / denominator * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
        return Interval(low: max(0, centre - half), high: min(1, centre + half))
    }
}
