import Adapters
import Diagnostics
import Evaluation
import Tensors
import Training

/// What baselines may look at: the samples of the table through a ``PredictionBook``, and the training samples that the
/// router had.
public struct BaselineContext {
    /// A static merge to compare with, under the name of its recipe.
    public struct Merge: Sendable {
        public var name: String
        public var adapter: Adapter

        public init(name: String, adapter: Adapter) {
            self.name = name
            self.adapter = adapter
        }
    }

    /// Training samples, and a part of them to choose settings on.
    public struct Training {
        public let samples: RoutedSamples
        /// Positions to fit on while settings are chosen, and those to choose on.
        public let fitting: [Int]
        public let validating: [Int]
        public let book: PredictionBook

        /// The expert of each sample's task.
        public let domains: [Int?]
    }

    /// At most so many validation samples: a choice among a dozen settings needs no more.
    static let validationLimit = 300

    public let book: PredictionBook
    public let tasks: ExpertTasks
    public let training: Training?
    public var merges: [Merge] = []
    public let seed: UInt64

    public var evaluation: RoutedEvaluation { book.evaluation }
    public var experts: RoutedExperts { book.evaluation.experts }

    /// - Parameters:
    ///   - training: what the router learned from; nil: nothing, and baselines keep their defaults.
    public init(
        _ book: PredictionBook, tasks: ExpertTasks, training: LabelledSamples?, merges: [Merge] = [], seed: UInt64
    ) throws {
        self.book = book
        self.tasks = tasks
        self.merges = merges
        self.seed = seed
        self.training = try training.map { samples in
            let domains = samples.labels.map { tasks.expert(ofClass: $0) }
            var options = RouterTrainingOptions()
            options.seed = seed
            let fold = SampleFolds(tasks: domains, options: options).folds.first
            let order = BatchOrder.permuted(
                fold?.validation ?? [], CounterRandom(seed: seed, stream: "baselines", "validation"))
            let validating = order.prefix(Self.validationLimit).sorted()
            let held = try book.evaluation.encode(samples.selecting(validating))
            return Training(
                samples: try book.evaluation.encode(samples), fitting: fold?.train ?? [], validating: validating,
                book: PredictionBook(book.evaluation, held, progress: book.progress, isCancelled: book.isCancelled),
                domains: domains)
        }
    }

    /// The variant with the most right answers on the validation samples; the first of equals.
    ///
    /// - Parameter variants: settings, the default first. Without training samples the default stays.
    func chosen<Setting>(_ variants: [Setting], _ subject: (Setting) throws -> RoutingSubject?) throws -> Setting? {
        guard let training, variants.count > 1, training.book.samples.count > 0 else { return variants.first }
        var best: (setting: Setting, correct: Int)?
        for setting in variants {
            guard let candidate = try subject(setting) else { continue }
            let correct = try training.book.predictions(candidate).tally.correctGlobal
            if best.map({ correct > $0.correct }) ?? true { best = (setting, correct) }
        }
        return best?.setting ?? variants.first
    }

    var choiceNote: String {
        training == nil ? "" : ", chosen on \(training?.validating.count ?? 0) validation samples"
    }
}
