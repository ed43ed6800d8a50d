/// What one seed of a run gave.
public struct RunOutcome: Sendable {
    public var seed: UInt64
    public var folder: String
    public var matrix: AccuracyMatrix
    /// Per kind of head, the main one first.
    public var heads: [(kind: RunConfiguration.HeadKind, matrix: AccuracyMatrix)]
    public var final: PredictionMetrics
    public var invariantsPassed: Int
    public var invariantsFailed: Int
    public var isLeaky: Bool
    /// Milliseconds of training per image (or text) and epoch, all threads together on the clock.
    public var trainingSeconds: Double
    public var trainedSamples: Int
    public var seconds: Double
    public var testReadings: [String: Int]
}
