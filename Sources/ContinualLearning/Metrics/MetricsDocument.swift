import WeightFiles

extension RunMetrics {
    /// The members of `metrics.json` under the exact names of cil-engine 13; undefined values are null.
    public var members: [JSONValue.Member] {
        let steps = 0..<matrix.taskCount
        let last = self.steps.last
        var members: [JSONValue.Member] = [
            .init("tasks", .integer(matrix.taskCount)),
            .init("n_test", .array(matrix.testCounts.map { .integer($0) })),
            .init("accuracy_matrix", matrix.document),
            .init("acc_seen", .array(steps.map { .measured(matrix.accuracySeen(after: $0)) })),
            .init("acc_task_mean", .array(steps.map { .measured(matrix.accuracyTaskMean(after: $0)) })),
            .init("last", .measured(matrix.last)),
            .init("avg_incremental", .measured(matrix.averageIncremental)),
            .init("last_task_mean", .measured(matrix.lastTaskMean)),
            .init("avg_incremental_task_mean", .measured(matrix.averageIncrementalTaskMean)),
            .init("forgetting", .measured(matrix.forgetting)),
            .init("forgetting_clipped", .measured(matrix.forgettingClipped)),
            .init("forgetting_first", .measured(matrix.forgettingFirst)),
            .init("forgetting_curve", .array(steps.map { .measured(matrix.forgetting(after: $0)) })),
            .init("bwt", .measured(matrix.bwt)),
            .init("fwt", .measured(fwt)),
        ]
        if let intransigence { members.append(.init("intransigence", .double(intransigence))) }
        members += [
            .init("old_acc", .measured(last?.oldAccuracy)),
            .init("new_acc", .measured(last?.newAccuracy)),
            .init("harmonic_mean", .measured(last?.harmonicMean)),
            .init("class_balanced_acc", .measured(last?.classBalancedAccuracy)),
            .init("recency_rate", .measured(last?.recencyRate)),
            .init("recency_bias", .measured(last?.recencyBias)),
            .init("task_id_acc", .measured(last?.taskIDAccuracy)),
            .init("within_task_acc", .measured(last?.withinTaskAccuracy)),
            .init("recency_rate_curve", .array(self.steps.map { .measured($0.recencyRate) })),
            .init("task_confusion", .array((last?.taskConfusion ?? []).map { .array($0.map { .integer($0) }) })),
            .init("mean_top_logit", .array(meanTopLogit.map { .double($0) })),
        ]
        if let headNorms { members.append(.init("head_norms", .array(headNorms.map { .double($0) }))) }
        return members
    }
}

extension AccuracyMatrix {
    /// T×T with null where j > i.
    public var document: JSONValue {
        .array((0..<taskCount).map { i in .array((0..<taskCount).map { j in .measured(self[after: i, on: j]) }) })
    }

    /// `accuracy_matrix.csv`: one line per task learned, one column per task; empty where undefined.
    public var csv: String {
        var text = "after_task" + (0..<taskCount).map { ",task_\($0)" }.joined() + "\n"
        for i in 0..<taskCount {
            text += "\(i)" + (0..<taskCount).map { j in "," + (self[after: i, on: j].map { "\($0)" } ?? "") }.joined()
            text += "\n"
        }
        return text
    }

    /// `curve.csv`: accuracies and forgetting after each task.
    public var curveCSV: String {
        var text = "after_task,acc_seen,acc_task_mean,forgetting\n"
        for i in 0..<taskCount {
            let values = [accuracySeen(after: i), accuracyTaskMean(after: i), forgetting(after: i)]
            text += "\(i)" + values.map { "," + ($0.map { "\($0)" } ?? "") }.joined() + "\n"
        }
        return text
    }

    /// `forgetting.csv`: for each task, its best, first and last accuracy and what of it was lost.
    public var forgettingCSV: String {
        var text = "task,first,best_before_last,last,forgetting,forgetting_first\n"
        let end = taskCount - 1
        for j in 0..<taskCount {
            let best = j < end ? (j..<end).compactMap { self[after: $0, on: j] }.max() : nil
            let (first, last) = (self[after: j, on: j], self[after: end, on: j])
            let lost = j < end ? best.flatMap { best in last.map { best - $0 } } : nil
            let lostFirst = j < end ? first.flatMap { first in last.map { first - $0 } } : nil
            text += "\(j)" + [first, best, last, lost, lostFirst].map { "," + ($0.map { "\($0)" } ?? "") }.joined()
            text += "\n"
        }
        return text
    }
}

extension JSONValue {
    /// null for nil, NaN and infinities.
    static func measured(_ value: Double?) -> JSONValue { value.map { .double($0) } ?? .null }
}
