import Adapters
import Diagnostics
import Evaluation
import Networks
import Synchronization
import Tensors
import Training

/// Samples in the form that the backbone reads, with the frozen backbone's features once they were computed.
public final class RoutedSamples: Sendable {
    public let labelled: LabelledSamples
    public let encoded: EncodedSamples
    let frozen = Mutex<Matrix<Float>?>(nil)

    public var count: Int { encoded.count }

    init(_ labelled: LabelledSamples, encoded: EncodedSamples) {
        self.labelled = labelled
        self.encoded = encoded
    }
}

/// Runs subjects over samples of a suite whose head all subjects share.
///
/// ```swift
/// let evaluation = try RoutedEvaluation(loaded, experts: experts, threads: 2)
/// let samples = try evaluation.encode(loaded.samples())
/// let found = try evaluation.predictions(.perSample("mine") { features in … }, samples)
/// ```
/// A sample's numbers never depend on the samples beside it.
public final class RoutedEvaluation: Sendable {
    public let loaded: LoadedSuite
    public let experts: RoutedExperts
    public let head: any ClassHead
    public let threads: Int
    /// Samples that run together; results do not depend on it.
    let chunk = 256

    /// - Throws: `config.feature_unsupported` when the suite's head differs between subjects.
    public init(_ loaded: LoadedSuite, experts: RoutedExperts, threads: Int) throws {
        self.loaded = loaded
        self.experts = experts
        self.threads = threads
        var options = Evaluator.Options()
        options.threads = threads
        head = try Evaluator(loaded, options: options).sharedHead()
    }

    public func encode(_ samples: LabelledSamples) throws -> RoutedSamples {
        RoutedSamples(samples, encoded: try loaded.encode(samples))
    }

    /// Pooled features [samples, width] of the frozen backbone, of unit length when the suite says so; computed once.
    public func frozenFeatures(_ samples: RoutedSamples) throws -> Matrix<Float> {
        if let known = samples.frozen.withLock({ $0 }) { return known }
        let found = try features(RoutingSubject(label: "backbone", kind: .backbone), samples).features
        samples.frozen.withLock { $0 = found }
        return found
    }

    /// Scores and accuracy of one subject.
    public func predictions(
        _ subject: RoutingSubject, _ samples: RoutedSamples, progress: any ProgressReporting = SilentProgress(),
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> RoutedPredictions {
        let clock = ContinuousClock()
        let began = clock.now
        let (features, weights) = try features(subject, samples, progress: progress, isCancelled: isCancelled)
        let logits = head.logits(features)
        var tally = PredictionTally(map: loaded.tasks)
        logits.elements.withUnsafeBufferPointer { buffer in
            for row in 0..<logits.rows {
                tally.add(
                    logits: UnsafeBufferPointer(rebasing: buffer[row * logits.columns..<(row + 1) * logits.columns]),
                    label: samples.encoded.labels[row])
            }
        }
        let elapsed = (clock.now - began).components
        return RoutedPredictions(
            label: subject.label, logits: logits, tally: tally, weights: weights,
            seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
    }

    /// Features [samples, width] through one subject, and its mean weights [samples, experts].
    public func features(
        _ subject: RoutingSubject, _ samples: RoutedSamples, progress: any ProgressReporting = SilentProgress(),
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> (features: Matrix<Float>, weights: Matrix<Float>?) {
        let pass = try SubjectPass(self, subject, samples)
        let width = loaded.backbone.description.width
        var result = Matrix<Float>(rows: samples.count, columns: width)
        var weights = pass.mixes ? Matrix<Float>(rows: samples.count, columns: experts.count) : nil
        let order = pass.order()
        progress.begin("routing", total: Int64(samples.count), unit: "samples")
        defer { progress.end() }
        for start in stride(from: 0, to: order.count, by: chunk) {
            if isCancelled() { throw CancellationError() }
            let positions = Array(order[start..<min(start + chunk, order.count)])
            let (features, mixed) = try pass.run(positions)
            for (row, position) in positions.enumerated() {
                result.elements.replaceSubrange(
                    position * width..<(position + 1) * width, with: features[row * width..<(row + 1) * width])
                guard let mixed else { continue }
                for expert in 0..<experts.count { weights?[position, expert] = mixed[row * experts.count + expert] }
            }
            progress.advance(by: Int64(positions.count))
        }
        return (loaded.suite.normalisation == .l2 ? FeatureRows.unitLength(result) : result, weights)
    }
}
