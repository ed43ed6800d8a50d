/// Accuracy on each task after each task: `a[i][j]`, 0…1, for j ≤ i; prediction over all classes seen, one head.
///
/// Undefined entries (j > i) are `nil`, never 0.
public struct AccuracyMatrix: Sendable, Hashable {
    /// `rows[i][j]`, `rows[i].count` = i + 1.
    public private(set) var rows: [[Double]]
    /// Test samples of each task.
    public private(set) var testCounts: [Int]

    /// - Parameters:
    ///   - rows: row i holds the accuracies on tasks 0…i after task i.
    ///   - testCounts: samples per task, at least as many as rows.
    public init(rows: [[Double]] = [], testCounts: [Int]) {
        self.rows = rows
        self.testCounts = testCounts
    }

    public var taskCount: Int { rows.count }

    /// Adds the accuracies on tasks 0…i after task i.
    public mutating func append(_ row: [Double]) { rows.append(row) }

    /// Entry (i, j), nil where it is undefined.
    public subscript(after i: Int, on j: Int) -> Double? {
        i >= 0 && i < rows.count && j >= 0 && j < rows[i].count ? rows[i][j] : nil
    }

    /// Accuracy over all samples of the tasks seen: Σ n_j a[i][j] / Σ n_j (the usual top-1 curve).
    public func accuracySeen(after i: Int) -> Double? {
        guard i >= 0, i < rows.count else { return nil }
        let total = testCounts.prefix(i + 1).reduce(0, +)
        guard total > 0 else { return nil }
        return zip(rows[i], testCounts).reduce(0) { $0 + $1.0 * Double($1.1) } / Double(total)
    }

    /// Mean of a[i][j] over tasks.
    public func accuracyTaskMean(after i: Int) -> Double? {
        i >= 0 && i < rows.count ? Self.mean(rows[i]) : nil
    }

    public var last: Double? { accuracySeen(after: taskCount - 1) }

    /// Mean over tasks of `accuracySeen`: average incremental accuracy.
    public var averageIncremental: Double? { Self.mean((0..<taskCount).compactMap { accuracySeen(after: $0) }) }

    public var lastTaskMean: Double? { accuracyTaskMean(after: taskCount - 1) }

    public var averageIncrementalTaskMean: Double? {
        Self.mean((0..<taskCount).compactMap { accuracyTaskMean(after: $0) })
    }

    /// 1/(T−1) Σ_j (max_{j≤i≤T−2} a[i][j] − a[T−1][j]); may be negative; nil for fewer than two tasks.
    public var forgetting: Double? { forgetting(after: taskCount - 1) }

    /// `forgetting` as it stood after task i.
    public func forgetting(after i: Int) -> Double? {
        meanOverOldTasks(after: i) { j in (j..<i).compactMap { self[after: $0, on: j] }.max() }
    }

    /// As `forgetting`, with the maximum over i ≤ T−1, so that it is never negative.
    public var forgettingClipped: Double? {
        let end = taskCount - 1
        return meanOverOldTasks(after: end) { j in (j...end).compactMap { self[after: $0, on: j] }.max() }
    }

    /// 1/(T−1) Σ (a[j][j] − a[T−1][j]) = −`bwt`.
    public var forgettingFirst: Double? {
        meanOverOldTasks(after: taskCount - 1) { self[after: $0, on: $0] }
    }

    /// Backward transfer: 1/(T−1) Σ_j (a[T−1][j] − a[j][j]); nil for fewer than two tasks.
    public var bwt: Double? { forgettingFirst.map { 0 - $0 } }

    private func meanOverOldTasks(after i: Int, reference: (Int) -> Double?) -> Double? {
        guard i >= 1, i < rows.count else { return nil }
        let drops = (0..<i).compactMap { j -> Double? in
            guard let best = reference(j), let now = self[after: i, on: j] else { return nil }
            return best - now
        }
        return Self.mean(drops)
    }

    private static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}
