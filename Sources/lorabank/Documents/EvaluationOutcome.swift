import Evaluation
import Reports
import WeightFiles

/// What an evaluation found, as JSON and text.
struct EvaluationOutcome {
    var evaluation: Evaluation
    /// `name@version` of the subjects that are adapters of the bank, by subject.
    var stored: [String: String]
    /// What the backbone's linears multiplied.
    var precision = "float32"

    /// - Parameter details: adds predictions, confusion and calibration.
    func document(details: Bool) -> JSONValue {
        .document(
            "eval",
            [
                .init("suite", .string(evaluation.suite)), .init("n", .integer(evaluation.count)),
                .init("results", .array(evaluation.results.map { .object(row($0) + (details ? extra($0) : [])) })),
                .init("split", .string(evaluation.split)), .init("tasks", .texts(evaluation.taskNames)),
                .init("comparisons", .array(evaluation.comparisons().map(comparison))),
                .init("seconds", .double(evaluation.seconds)), .init("precision", .string(precision)),
            ])
    }

    private func row(_ result: SubjectResult) -> [JSONValue.Member] {
        let perTask = zip(evaluation.taskNames, result.tally.accuracyPerTask)
        return [
            .init("subject", .string(result.subject)), .init("acc_global", .optional(result.accuracyGlobal)),
            .init("acc_local", .optional(result.accuracyLocal)),
            .init("correct_global", .integer(result.correctGlobal)),
            .init("correct_local", .optional(result.correctLocal)),
            .init("per_task", .object(perTask.map { .init($0, .optional($1)) })),
            .init("ci_low", .optional(result.interval?.low)), .init("ci_high", .optional(result.interval?.high)),
            .init("adapter", .optional(stored[result.subject])),
            .init("calibration_error", .optional(result.calibration.expectedError)),
            .init("non_finite", .integer(result.nonFinite)),
        ]
    }

    private func extra(_ result: SubjectResult) -> [JSONValue.Member] {
        let bins = result.calibration.bins.map { bin -> JSONValue in
            .object([
                .init("count", .integer(bin.count)), .init("confidence", .double(bin.meanConfidence)),
                .init("accuracy", .double(bin.accuracy)),
            ])
        }
        return [
            .init("predictions", .array(result.tally.predictions.map(JSONValue.integer))),
            .init(
                "confusion",
                .array(result.tally.confusion.map { .array($0.map(JSONValue.integer)) })),
            .init("calibration", .array(bins)),
        ]
    }

    private func comparison(_ comparison: SubjectComparison) -> JSONValue {
        let bootstrap = comparison.bootstrap
        return .object([
            .init("first", .string(comparison.first)), .init("second", .string(comparison.second)),
            .init("difference", .double(bootstrap.difference)), .init("ci_low", .double(bootstrap.interval.low)),
            .init("ci_high", .double(bootstrap.interval.high)), .init("only_first", .integer(bootstrap.onlyFirst)),
            .init("only_second", .integer(bootstrap.onlySecond)),
        ])
    }

    // MARK: Text

    /// - Parameter tasks: adds a table with the accuracy on each task.
    func text(_ session: Session, tasks: Bool) -> String {
        guard !evaluation.results.isEmpty else { return "" }
        var table = TerminalTable([
            .text("SUBJECT", shrinks: true), .number("GLOBAL %"), .text("95 % INTERVAL"), .number("LOCAL %"),
            .number("CHANGE"), .text("95 % INTERVAL"),
        ])
        let comparisons = evaluation.comparisons()
        for (index, result) in evaluation.results.enumerated() {
            let change = index > 0 && index <= comparisons.count ? comparisons[index - 1].bootstrap : nil
            table.add([
                result.subject, percent(result.accuracyGlobal), interval(result.interval),
                percent(result.accuracyLocal), change.map { signed($0.difference) } ?? "",
                change.map { "\(signed($0.interval.low)) to \(signed($0.interval.high))" } ?? "",
            ])
        }
        let rounding = precision == "float32" ? "" : "; linears in \(precision)"
        var text = session.rendered(table)
        if tasks, !evaluation.taskNames.isEmpty { text += "\n" + session.rendered(taskTable) }
        let baseline =
            evaluation.results.count > 1 ? "; change against \(session.shown(evaluation.results[0].subject))" : ""
        return text
            + "\(evaluation.count) samples, split \(evaluation.split) of \(session.shown(evaluation.suite))\(baseline)\(rounding)\n"
    }

    /// Tasks as rows, subjects as columns: there are usually fewer subjects.
    private var taskTable: TerminalTable {
        var table = TerminalTable(
            [.text("TASK", shrinks: true)] + evaluation.results.map { .number($0.subject) })
        for (index, task) in evaluation.taskNames.enumerated() {
            table.add([task] + evaluation.results.map { percent($0.tally.accuracyPerTask[index]) })
        }
        return table
    }

    private func percent(_ share: Double?) -> String { share.map { Quantities.fixed($0 * 100, 2) } ?? "–" }

    private func signed(_ share: Double) -> String {
        (share < 0 ? "−" : "+") + Quantities.fixed(abs(share) * 100, 2)
    }

    private func interval(_ interval: Interval?) -> String {
        interval.map { "\(percent($0.low)) to \(percent($0.high))" } ?? ""
    }
}
