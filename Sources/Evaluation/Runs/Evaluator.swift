import Adapters
import Diagnostics
import Networks
import Tensors
import Training

/// Evaluates subjects on a suite.
///
/// ```swift
/// let evaluator = Evaluator(try LoadedSuite(suite))
/// let evaluation = try evaluator.evaluate([.backbone, Subject(label: "task0", kind: .adapter(adapter))])
/// ```
/// Samples stream through in chunks: memory grows with the number of predictions, not with features or activations.
public struct Evaluator: Sendable {
    /// For runs that nothing interrupts.
    static let never: @Sendable () -> Bool = { false }

    public struct Options: Sendable {
        public var threads = 1
        public var folding = Folding.automatic
        /// Bytes that adapters in place may take together; more subjects run in several rounds.
        public var memoryLimitBytes = 1 << 30

        public init() {}
    }

    public let loaded: LoadedSuite
    public var options: Options

    public init(_ loaded: LoadedSuite, options: Options = Options()) {
        self.loaded = loaded
        self.options = options
    }

    /// Features of samples through one subject, [samples, width] in the order of the samples, scaled to unit length
    /// when the suite says so.
    ///
    /// - Throws: as ``evaluate(_:progress:isCancelled:onFailure:)``.
    public func features(of subject: Subject, _ samples: LabelledSamples) throws -> Matrix<Float> {
        let encoded = try loaded.encode(samples)
        let width = loaded.backbone.description.width
        var result = Matrix<Float>(rows: samples.count, columns: width)
        for part in parts(of: subject, labels: encoded.labels) {
            let prepared = try prepare(part.adapter, label: subject.label)
            try stream.run(
                encoded, part.positions, through: [prepared], progress: SilentProgress(), isCancelled: Evaluator.never
            ) { _, positions, features in
                for (row, position) in positions.enumerated() {
                    result.elements.replaceSubrange(
                        position * width..<(position + 1) * width,
                        with: features.elements[row * width..<(row + 1) * width])
                }
            }
        }
        return result
    }

    /// Evaluates every subject on the suite's samples.
    ///
    /// - Parameters:
    ///   - onFailure: called when a subject cannot run; the others go on. nil: the first failure is thrown.
    /// - Throws: `data.*`, `backbone.bad_input`; for a subject `backbone.adapter_mismatch`, `config.feature_unsupported`,
    ///   `data.missing` (no head); `CancellationError`.
    public func evaluate(
        _ subjects: [Subject], progress: any ProgressReporting = SilentProgress(),
        isCancelled: @escaping () -> Bool = { false }, onFailure: ((Subject, Failure) -> Void)? = nil
    ) throws -> Evaluation {
        let samples = try loaded.samples()
        let run = try EvaluationRun(self, samples, progress, isCancelled)
        let clock = ContinuousClock()
        let began = clock.now
        let results = try run.results(subjects, onFailure: onFailure)
        let elapsed = (clock.now - began).components
        return Evaluation(
            suite: loaded.suite.name, split: loaded.suite.data.split.rawValue, count: samples.count,
            taskNames: loaded.taskNames, classNames: loaded.dataset.classNames, results: results,
            seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
    }

    /// The suite's head, when all subjects share one.
    ///
    /// - Throws: `config.feature_unsupported` when the head is fitted to, or comes from, each subject.
    public func sharedHead() throws -> any ClassHead {
        let nothing = LabelledSamples(store: .texts([]), labels: [])
        let images = LabelledSamples(store: .images(ImageSet(shape: loaded.imageShape, pixels: [])), labels: [])
        let run = try EvaluationRun(
            self, loaded.readsImages ? images : nothing, SilentProgress(), Evaluator.never)
        guard let head = run.sharedHead else {
            throw Failure(
                .configFeatureUnsupported, "the suite's head differs between subjects; routing needs one for all",
                path: loaded.suite.path, place: "head",
                hint: "use a head file, class names, or features: backbone")
        }
        return head
    }

    // MARK: Parts

    /// An adapter (nil: none) with the samples that go through it.
    struct Part {
        var key: String
        var adapter: Adapter?
        var positions: [Int]
    }

    var stream: FeatureStream {
        FeatureStream(suite: loaded.suite, backbone: loaded.backbone, threads: options.threads)
    }

    func parts(of subject: Subject, labels: [Int]) -> [Part] {
        switch subject.kind {
        case .backbone: return [Part(key: "", adapter: nil, positions: Array(labels.indices))]
        case .adapter(let adapter):
            return [Part(key: subject.key, adapter: adapter, positions: Array(labels.indices))]
        case .perTask(let members):
            var bare = Part(key: "", adapter: nil, positions: [])
            var parts = members.map { Part(key: $0?.key ?? "", adapter: $0?.adapter, positions: []) }
            for (position, label) in labels.enumerated() {
                if let task = loaded.tasks.taskOfClass[label], parts.indices.contains(task) {
                    parts[task].positions.append(position)
                } else {
                    bare.positions.append(position)
                }
            }
            parts.append(bare)
            return parts.filter { !$0.positions.isEmpty }
        }
    }

    func prepare(_ adapter: Adapter?, label: String) throws -> PreparedSubject {
        guard let adapter else { return PreparedSubject(backbone: loaded.backbone) }
        do {
            return try PreparedSubject(
                adapter, label: label, on: loaded.backbone, folding: options.folding,
                memoryLimitBytes: options.memoryLimitBytes)
        } catch var failure as Failure {
            failure.message = "'\(label)' does not run on the backbone: " + failure.message
            throw failure
        }
    }
}
