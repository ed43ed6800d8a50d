/// What single predictions over all classes seen tell beyond accuracy.
public struct PredictionMetrics: Sendable, Hashable {
    /// One test sample's outcome.
    public struct Outcome: Sendable, Hashable {
        public var trueTask: Int
        public var trueClass: Int
        public var predictedClass: Int
        /// Largest logit among the classes of the true task.
        public var predictedWithinTask: Int

        public init(trueTask: Int, trueClass: Int, predictedClass: Int, predictedWithinTask: Int) {
            self.trueTask = trueTask
            self.trueClass = trueClass
            self.predictedClass = predictedClass
            self.predictedWithinTask = predictedWithinTask
        }
    }

    /// Share of predictions that fall into the newest task's classes.
    public var recencyRate: Double?
    /// `recencyRate` minus the newest task's share of the samples.
    public var recencyBias: Double?
    /// Share of samples whose predicted class belongs to the true task.
    public var taskIDAccuracy: Double?
    /// Accuracy when the true task's classes alone compete.
    public var withinTaskAccuracy: Double?
    /// Mean over classes of each class's accuracy.
    public var classBalancedAccuracy: Double?
    /// Accuracy on samples of older tasks, of the newest task, and their harmonic mean.
    public var oldAccuracy: Double?
    public var newAccuracy: Double?
    public var harmonicMean: Double?
    /// `taskConfusion[true task][predicted task]` = samples.
    public var taskConfusion: [[Int]]

    /// - Parameters:
    ///   - outcomes: every test sample of the tasks seen.
    ///   - taskOfClass: task of each class.
    ///   - taskCount: number of tasks seen.
    public init(outcomes: [Outcome], taskOfClass: [Int: Int], taskCount: Int) {
        let newest = taskCount - 1
        var confusion = [[Int]](repeating: [Int](repeating: 0, count: taskCount), count: taskCount)
        for item in outcomes {
            if let predicted = taskOfClass[item.predictedClass], predicted < taskCount {
                confusion[item.trueTask][predicted] += 1
            }
        }
        taskConfusion = confusion
        let count = outcomes.count
        let recent = outcomes.filter { taskOfClass[$0.predictedClass] == newest }.count
        let share = Self.share(outcomes.filter { $0.trueTask == newest }.count, count)
        recencyRate = Self.share(recent, count)
        recencyBias = recencyRate.flatMap { rate in share.map { rate - $0 } }
        taskIDAccuracy = Self.share(outcomes.filter { taskOfClass[$0.predictedClass] == $0.trueTask }.count, count)
        withinTaskAccuracy = Self.share(outcomes.filter { $0.predictedWithinTask == $0.trueClass }.count, count)
        classBalancedAccuracy = Self.balanced(outcomes)
        oldAccuracy = Self.accuracy(outcomes.filter { $0.trueTask < newest })
        newAccuracy = Self.accuracy(outcomes.filter { $0.trueTask == newest })
        harmonicMean = oldAccuracy.flatMap { old in
            newAccuracy.map { new in old + new > 0 ? 2 * old * new / (old + new) : 0 }
        }
    }

    private static func accuracy(_ outcomes: [Outcome]) -> Double? {
        share(outcomes.filter { $0.predictedClass == $0.trueClass }.count, outcomes.count)
    }

    private static func balanced(_ outcomes: [Outcome]) -> Double? {
        let groups = Dictionary(grouping: outcomes, by: \.trueClass)
        guard !groups.isEmpty else { return nil }
        let sum = groups.keys.sorted().reduce(0.0) { $0 + (accuracy(groups[$1] ?? []) ?? 0) }
        return sum / Double(groups.count)
    }

    private static func share(_ part: Int, _ whole: Int) -> Double? { whole > 0 ? Double(part) / Double(whole) : nil }
}
