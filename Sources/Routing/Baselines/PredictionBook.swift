import Diagnostics
import Evaluation
import Synchronization
import Tensors

/// What subjects make of one set of samples, each computed once.
///
/// A subject that sends every sample through one expert (an oracle, a router with K = 1 over whole samples, a classifier
/// of domains) costs nothing once each expert has seen every sample: its scores are put together from theirs.
public final class PredictionBook {
    public let evaluation: RoutedEvaluation
    public let samples: RoutedSamples
    public let progress: any ProgressReporting
    public let isCancelled: () -> Bool
    /// Keeps predictions that do not depend on training between runs; nil: nothing is kept.
    private let store: PredictionStore?
    private var known: [String: RoutedPredictions] = [:]

    public init(
        _ evaluation: RoutedEvaluation, _ samples: RoutedSamples, store: PredictionStore? = nil,
        progress: any ProgressReporting = SilentProgress(), isCancelled: @escaping () -> Bool = { false }
    ) {
        self.evaluation = evaluation
        self.samples = samples
        self.store = store
        self.progress = progress
        self.isCancelled = isCancelled
    }

    /// Reads the frozen backbone's features from the store, or keeps them there.
    public func prepareFeatures() throws {
        guard let store else { return }
        if let found = try store.features(self) { return samples.frozen.withLock { $0 = found } }
        try store.write(features: evaluation.frozenFeatures(samples), self)
    }

    /// A book over other experts with the same head and samples, which knows what this one knows: what is remembered goes
    /// by the experts' updates.
    func over(_ other: RoutedEvaluation) -> PredictionBook {
        let book = PredictionBook(other, samples, progress: progress, isCancelled: isCancelled)
        book.known = known.filter { $0.key == "backbone" || $0.key.hasPrefix(Self.singleKey) }
        return book
    }

    private static let singleKey = "single "

    public var labels: [Int] { samples.encoded.labels }

    /// - Parameter fixed: names what the subject is, for subjects that depend on nothing but experts, backbone and
    ///   samples: their predictions are remembered under it. nil: computed each time.
    public func predictions(_ subject: RoutingSubject, fixed: String? = nil) throws -> RoutedPredictions {
        if let fixed, let found = known[fixed] { return found.labelled(subject.label) }
        if let fixed, let stored = try store?.read(fixed, self) {
            known[fixed] = stored
            return stored.labelled(subject.label)
        }
        let found: RoutedPredictions
        if subject.plan == .auto, let weights = try sampleWeights(subject), let choice = Self.choice(weights) {
            found = try assembled(subject.label, choice, weights)
        } else {
            found = try evaluation.predictions(subject, samples, progress: progress, isCancelled: isCancelled)
        }
        if let fixed {
            known[fixed] = found
            try store?.write(found, as: fixed, self)
        }
        return found
    }

    /// The frozen backbone.
    public func backbone() throws -> RoutedPredictions {
        try predictions(RoutingSubject(label: "backbone", kind: .backbone), fixed: "backbone")
    }

    /// Every sample through one expert.
    public func single(_ expert: Int) throws -> RoutedPredictions {
        var weights = [Float](repeating: 0, count: evaluation.experts.count)
        weights[expert] = 1
        return try predictions(
            RoutingSubject(label: "single:" + evaluation.experts.ids[expert], kind: .constant(weights)),
            fixed: Self.singleKey + "\(evaluation.experts.experts[expert].digest)")
    }

    /// Weights [samples, experts] that are known without a pass through the mixture.
    private func sampleWeights(_ subject: RoutingSubject) throws -> Matrix<Float>? {
        switch subject.kind {
        case .given(let weights): return weights
        case .frozen(let router):
            return try SubjectPass.frozenWeights(router, evaluation, samples).map {
                Matrix(rows: samples.count, columns: evaluation.experts.count, elements: $0)
            }
        default: return nil
        }
    }

    /// The expert of each sample (nil: none) when every row has one weight 1 or none at all; nil for other weights.
    static func choice(_ weights: Matrix<Float>) -> [Int?]? {
        var result: [Int?] = []
        for row in 0..<weights.rows {
            var chosen: Int?
            for column in 0..<weights.columns where weights[row, column] != 0 {
                guard weights[row, column] == 1, chosen == nil else { return nil }
                chosen = column
            }
            result.append(chosen)
        }
        return result
    }

    private func assembled(_ label: String, _ choice: [Int?], _ weights: Matrix<Float>) throws -> RoutedPredictions {
        let began = ContinuousClock().now
        var logits = Matrix<Float>(rows: choice.count, columns: evaluation.head.classCount)
        for expert in Set(choice).sorted(by: { ($0 ?? -1) < ($1 ?? -1) }) {
            let source = try expert.map(single)?.logits ?? backbone().logits
            for (row, chosen) in choice.enumerated() where chosen == expert {
                for column in 0..<logits.columns { logits[row, column] = source[row, column] }
            }
        }
        return RoutedPredictions(
            label: label, logits: logits, labels: labels, tasks: evaluation.loaded.tasks, weights: weights,
            seconds: began.duration(to: ContinuousClock().now).inSeconds)
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension RoutedPredictions {
    /// - Parameters:
    ///   - logits: [samples, classes].
    ///   - labels: class of each sample.
    init(label: String, logits: Matrix<Float>, labels: [Int], tasks: TaskMap, weights: Matrix<Float>?, seconds: Double)
    {
        var tally = PredictionTally(map: tasks)
        logits.elements.withUnsafeBufferPointer { buffer in
            for row in 0..<logits.rows {
                tally.add(
                    logits: UnsafeBufferPointer(rebasing: buffer[row * logits.columns..<(row + 1) * logits.columns]),
                    label: labels[row])
            }
        }
        self.init(label: label, logits: logits, tally: tally, weights: weights, seconds: seconds)
    }

    func labelled(_ label: String) -> RoutedPredictions {
        RoutedPredictions(label: label, logits: logits, tally: tally, weights: weights, seconds: seconds)
    }
}
