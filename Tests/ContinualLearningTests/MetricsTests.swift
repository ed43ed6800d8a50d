import Testing

@testable import ContinualLearning

@Suite struct `Metrics of class-incremental learning` {
    /// Published run logs: one text row per task, its accuracy after this and each later task.
    static let cifar100 = """
        97.3 95.1 91.7 87.4 86.2 84.6 84.6 82.2 79.9 79.2 / 97.6 97.5 96.4 94.4 93.7 92.7 92.6 91.0 90.8 / \
        97.8 97.5 95.7 95.4 91.7 91.0 90.2 89.7 / 94.1 93.6 93.0 91.5 90.2 88.9 87.7 / 92.6 87.7 86.7 86.3 85.4 84.5 / \
        94.3 93.5 92.9 93.4 92.8 / 89.1 87.1 86.5 84.0 / 87.3 85.1 84.7 / 86.7 85.7 / 93.5
        """
    static let imageNetR10 = """
        89.24 86.97 85.00 83.79 80.91 78.94 78.18 77.12 77.27 75.61 / 86.60 85.76 83.25 82.08 78.44 79.10 78.77 76.45 75.29 / \
        88.81 88.45 86.32 81.07 78.36 77.16 77.01 76.42 / 80.80 80.10 86.68 80.07 83.11 83.79 82.25 / \
        82.66 78.53 83.48 78.39 80.27 80.10 / 82.66 78.18 82.24 78.06 79.28 / 81.00 77.84 81.17 77.22 / 80.44 77.66 80.28 / \
        79.34 76.96 / 78.97
        """
    static let imageNetR5 =
        "89.64 84.16 81.87 80.88 80.05 / 84.70 79.22 81.39 78.52 / 83.46 78.54 79.89 / 80.29 78.31 / 79.81"

    static func matrix(_ text: String) -> AccuracyMatrix {
        let columns = text.split(separator: "/").map { $0.split(separator: " ").compactMap { Double($0) } }
        let count = columns.count
        let rows = (0..<count).map { i in (0...i).map { j in columns[j][i - j] / 100 } }
        return AccuracyMatrix(rows: rows, testCounts: [Int](repeating: 100, count: count))
    }

    static func near(_ value: Double?, _ percent: Double, _ tolerance: Double = 5e-5) -> Bool {
        value.map { abs($0 * 100 - percent) <= tolerance } ?? false
    }

    @Test func `CIFAR-100 in ten tasks`() {
        let matrix = Self.matrix(Self.cifar100)
        #expect(Self.near(matrix.last, 87.26))
        #expect(Self.near(matrix.averageIncrementalTaskMean, 92.0504))
        #expect(Self.near(matrix.forgetting, 6.4111) && Self.near(matrix.bwt, -6.4111))
    }

    @Test func `ImageNet-R in ten tasks, where forgetting is not minus backward transfer`() {
        let matrix = Self.matrix(Self.imageNetR10)
        #expect(Self.near(matrix.lastTaskMean, 78.238))
        #expect(Self.near(matrix.averageIncrementalTaskMean, 82.6479))
        #expect(Self.near(matrix.forgetting, 6.1122) && Self.near(matrix.bwt, -5.3489))
        #expect(matrix.forgettingFirst == matrix.bwt.map { -$0 })
        #expect((matrix.forgettingClipped ?? -1) >= (matrix.forgetting ?? 0))
    }

    @Test func `ImageNet-R in five tasks`() {
        let matrix = Self.matrix(Self.imageNetR5)
        #expect(Self.near(matrix.forgetting, 5.33) && Self.near(matrix.lastTaskMean, 79.316))
        #expect(Self.near(matrix.averageIncrementalTaskMean, 83.0355))
    }

    @Test func `one task has no forgetting, and undefined entries are nil`() {
        let matrix = AccuracyMatrix(rows: [[0.5]], testCounts: [7, 3])
        #expect(matrix.forgetting == nil && matrix.bwt == nil && matrix.forgettingClipped == nil)
        #expect(matrix[after: 0, on: 1] == nil && matrix.last == 0.5)
        #expect(AccuracyMatrix(testCounts: []).averageIncremental == nil)
    }

    @Test func `tasks of unequal size are weighted by samples, or not`() {
        let matrix = AccuracyMatrix(rows: [[1], [0.5, 1]], testCounts: [30, 10])
        #expect(matrix.last == 0.625 && matrix.lastTaskMean == 0.75)
        #expect(matrix.averageIncremental == 0.8125)
    }

    @Test func `predictions tell recency, task identity and within-task accuracy`() {
        typealias Outcome = PredictionMetrics.Outcome
        let outcomes = [
            Outcome(trueTask: 0, trueClass: 0, predictedClass: 0, predictedWithinTask: 0),
            Outcome(trueTask: 0, trueClass: 1, predictedClass: 2, predictedWithinTask: 1),
            Outcome(trueTask: 0, trueClass: 1, predictedClass: 0, predictedWithinTask: 0),
            Outcome(trueTask: 1, trueClass: 2, predictedClass: 2, predictedWithinTask: 2),
        ]
        let metrics = PredictionMetrics(outcomes: outcomes, taskOfClass: [0: 0, 1: 0, 2: 1], taskCount: 2)
        #expect(metrics.recencyRate == 0.5 && metrics.recencyBias == 0.25)
        #expect(metrics.taskIDAccuracy == 0.75 && metrics.withinTaskAccuracy == 0.75)
        #expect(metrics.oldAccuracy == 1.0 / 3 && metrics.newAccuracy == 1 && metrics.harmonicMean == 0.5)
        #expect(metrics.classBalancedAccuracy == 2.0 / 3)
        #expect(metrics.taskConfusion == [[2, 1], [0, 1]])
    }
}
