/// How good one subject is on a suite. Shares are in 0…1.
public struct SubjectResult: Sendable {
    /// `backbone`, `oracle`, or the reference as it was given.
    public var subject: String
    /// Predictions in source order.
    public var tally: PredictionTally
    /// Samples with a NaN or +∞ among their scores: they count, but say that something is wrong with the weights.
    public var nonFinite: Int

    public var accuracyGlobal: Double? { tally.accuracyGlobal }
    public var accuracyLocal: Double? { tally.accuracyLocal }
    public var correctGlobal: Int { tally.correctGlobal }
    /// nil when no sample has a task.
    public var correctLocal: Int? { tally.countLocal > 0 ? tally.correctLocal : nil }
    /// Wilson's 95 % interval of the global accuracy.
    public var interval: Interval? { Interval.wilson(correct: tally.correctGlobal, count: tally.count) }
    /// Wilson's 95 % interval of the local accuracy.
    public var localInterval: Interval? { Interval.wilson(correct: tally.correctLocal, count: tally.countLocal) }
    public var calibration: Calibration { Calibration(confidences: tally.confidences, isCorrect: tally.isCorrect) }
}

/// Two subjects on the same samples.
public struct SubjectComparison: Sendable {
    public var first: String
    public var second: String
    public var bootstrap: PairedBootstrap
}

/// What an evaluation found.
public struct Evaluation: Sendable {
    public var suite: String
    public var split: String
    /// Samples per subject.
    public var count: Int
    public var taskNames: [String]
    public var classNames: [String]
    /// In the order in which the subjects were given; subjects that failed are missing.
    public var results: [SubjectResult]
    /// Wall time of the passes.
    public var seconds: Double

    /// Every other subject against the first, by the paired bootstrap.
    ///
    /// - Parameters:
    ///   - resamples: at least 1.
    public func comparisons(resamples: Int = 2_000, seed: UInt64 = 1) -> [SubjectComparison] {
        guard let baseline = results.first else { return [] }
        let right = baseline.tally.isCorrect
        return results.dropFirst().compactMap { result in
            PairedBootstrap(first: result.tally.isCorrect, second: right, resamples: resamples, seed: seed).map {
                SubjectComparison(first: result.subject, second: baseline.subject, bootstrap: $0)
            }
        }
    }
}
