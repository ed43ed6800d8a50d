import Synchronization

/// Samples that a training function may fit.
public struct TrainSplit: Sendable {
    public let samples: LabelledSamples

    public init(_ samples: LabelledSamples) { self.samples = samples }
}

/// Samples for choosing: early stopping, selection, hyper-parameters. Held out from the training samples.
public struct ValSplit: Sendable {
    public let samples: LabelledSamples

    public init(_ samples: LabelledSamples) { self.samples = samples }
}

/// Samples for reports only.
///
/// No training or selection function takes this type, so that a leak does not compile. Each reading is counted under
/// its purpose; reports print the counts.
public final class TestSplit: Sendable {
    private let samples: LabelledSamples
    private let readings = Mutex<[String: Int]>([:])

    public init(_ samples: LabelledSamples) { self.samples = samples }

    public var count: Int { samples.count }

    /// The samples, for `purpose` (`"report"`, `"suite clinc150-minilm"`).
    public func read(for purpose: String) -> LabelledSamples {
        readings.withLock { $0[purpose, default: 0] += 1 }
        return samples
    }

    /// How often the samples were read, by purpose.
    public var readingCounts: [String: Int] { readings.withLock { $0 } }
}
