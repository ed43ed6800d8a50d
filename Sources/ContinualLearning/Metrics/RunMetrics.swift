/// Every number of cil-engine 13 that follows from the predictions of one run.
///
/// `scripts/cil_metrics.py` computes the same from `predictions.csv` without any of this code.
public struct RunMetrics: Sendable, Hashable {
    public var matrix: AccuracyMatrix
    /// After each task, over the samples of all tasks seen.
    public var steps: [PredictionMetrics]
    /// Classes in rising order of id, and `confusion[true][predicted]` after the last task.
    public var classes: [Int]
    public var confusion: [[Int]]
    /// Mean largest logit of the samples of each task, after the last task.
    public var meanTopLogit: [Double]

    // Numbers that predictions do not tell; nil where the run did not measure them.

    /// Forward transfer on the representation.
    public var fwt: Double?
    /// mean_j (a*_j − a[j][j]) from a `joint` reference on tasks 0…j.
    public var intransigence: Double?
    /// Mean ‖w_c‖ over the classes of each task.
    public var headNorms: [Double]?

    /// - Parameter table: predictions after tasks 0, 1, …; the last `after_task` is that of the run so far.
    public init(_ table: PredictionTable) {
        let taskCount = (table.rows.map(\.afterTask).max() ?? -1) + 1
        var byStep = [[PredictionRow]](repeating: [], count: taskCount)
        for row in table.rows { byStep[row.afterTask].append(row) }
        var taskOfClass: [Int: Int] = [:]
        for row in table.rows { taskOfClass[row.trueClass] = row.task }
        let last = byStep.last ?? []
        let counts = (0..<taskCount).map { task in last.count { $0.task == task } }
        matrix = AccuracyMatrix(
            rows: byStep.enumerated().map { step, rows in Self.accuracies(rows, tasks: step + 1) }, testCounts: counts)
        steps = byStep.enumerated().map { step, rows in
            PredictionMetrics(
                outcomes: rows.map {
                    PredictionMetrics.Outcome(
                        trueTask: $0.task, trueClass: $0.trueClass, predictedClass: $0.predicted,
                        predictedWithinTask: $0.predictedWithin)
                }, taskOfClass: taskOfClass, taskCount: step + 1)
        }
        classes = Set(last.flatMap { [$0.trueClass, $0.predicted] }).sorted()
        let place = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        confusion = [[Int]](repeating: [Int](repeating: 0, count: classes.count), count: classes.count)
        for row in last {
            if let from = place[row.trueClass], let to = place[row.predicted] { confusion[from][to] += 1 }
        }
        meanTopLogit = (0..<taskCount).map { task in
            let logits = last.filter { $0.task == task }.map(\.topLogit)
            return logits.isEmpty ? 0 : logits.reduce(0, +) / Double(logits.count)
        }
    }

    private static func accuracies(_ rows: [PredictionRow], tasks: Int) -> [Double] {
        var right = [Int](repeating: 0, count: tasks)
        var all = right
        for row in rows {
            all[row.task] += 1
            right[row.task] += row.predicted == row.trueClass ? 1 : 0
        }
        return zip(right, all).map { $1 > 0 ? Double($0) / Double($1) : 0 }
    }

    /// Forward transfer: 1/(T−1) Σ_{j≥1} (ã[j−1][j] − ã[−1][j]); nil for fewer than two tasks.
    ///
    /// - Parameters:
    ///   - before: ã[j−1][j] for j = 1 … T−1: accuracy within task j's classes by class means fitted on task j's train
    ///     features of the model after task j−1.
    ///   - untouched: the same of the backbone alone.
    public static func forwardTransfer(before: [Double], untouched: [Double]) -> Double? {
        guard !before.isEmpty, before.count == untouched.count else { return nil }
        return zip(before, untouched).reduce(0) { $0 + $1.0 - $1.1 } / Double(before.count)
    }

    /// mean_j (a*_j − a[j][j]); nil unless there is one reference per task.
    public static func intransigence(joint: [Double], matrix: AccuracyMatrix) -> Double? {
        guard !joint.isEmpty, joint.count == matrix.taskCount else { return nil }
        let gaps = joint.indices.compactMap { j in matrix[after: j, on: j].map { joint[j] - $0 } }
        return gaps.reduce(0, +) / Double(gaps.count)
    }
}
