import Diagnostics

/// One test sample's prediction after one task, over all classes seen (`predictions.csv`).
public struct PredictionRow: Sendable, Hashable {
    /// Number of the task that was learned last, from 0.
    public var afterTask: Int
    /// True task of the sample, at most `afterTask`.
    public var task: Int
    /// Index of the sample in the source data.
    public var sample: Int
    /// Class ids.
    public var trueClass: Int
    public var predicted: Int
    /// Class with the largest logit among those of the true task.
    public var predictedWithin: Int
    /// The largest logit.
    public var topLogit: Double

    public init(
        afterTask: Int, task: Int, sample: Int, trueClass: Int, predicted: Int, predictedWithin: Int, topLogit: Double
    ) {
        self.afterTask = afterTask
        self.task = task
        self.sample = sample
        self.trueClass = trueClass
        self.predicted = predicted
        self.predictedWithin = predictedWithin
        self.topLogit = topLogit
    }
}

/// All predictions of a run: one line per test sample of every task seen, after every task.
public struct PredictionTable: Sendable, Hashable {
    public var rows: [PredictionRow]

    public init(rows: [PredictionRow] = []) { self.rows = rows }

    static let heading = "after_task,task,sample,true,predicted,top_logit,predicted_within"

    /// The file's text.
    public var csv: String {
        var text = Self.heading + "\n"
        for row in rows {
            text += "\(row.afterTask),\(row.task),\(row.sample),\(row.trueClass),\(row.predicted),\(row.topLogit),"
            text += "\(row.predictedWithin)\n"
        }
        return text
    }

    /// Reads the file's text; columns in any order, further columns are left out.
    ///
    /// - Throws: `data.malformed` with path and line.
    public init(csv: String, path: String) throws {
        let lines = csv.split(separator: "\n", omittingEmptySubsequences: true)
        let names = (lines.first ?? "").split(separator: ",").map { String($0) }
        func column(_ name: String) throws -> Int {
            guard let index = names.firstIndex(of: name) else {
                throw Failure(
                    .dataMalformed, "the file has no column '\(name)'", path: path, place: "line 1",
                    details: ["expected": Self.heading])
            }
            return index
        }
        let places = try Self.heading.split(separator: ",").map { try column(String($0)) }
        rows = try lines.dropFirst().enumerated().map { offset, line in
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            let numbers = places.map { $0 < fields.count ? Double(fields[$0]) : nil }
            let whole = numbers.map { $0.flatMap { Int(exactly: $0) } }
            guard let after = whole[0], let task = whole[1], let sample = whole[2], let truth = whole[3],
                let predicted = whole[4], let logit = numbers[5], let within = whole[6], task >= 0, task <= after
            else {
                throw Failure(
                    .dataMalformed, "a prediction needs whole numbers and 0 ≤ task ≤ after_task", path: path,
                    place: "line \(offset + 2)")
            }
            return PredictionRow(
                afterTask: after, task: task, sample: sample, trueClass: truth, predicted: predicted,
                predictedWithin: within, topLogit: logit)
        }
    }
}
