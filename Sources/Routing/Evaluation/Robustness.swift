import Diagnostics
import Evaluation
import Tensors
import Training

/// What a router does when its experts change (LoRA-Mixer reference, section 8, item 6).
public struct Robustness: Sendable {
    /// A router that was trained again with an expert that helps nobody.
    public struct Stranger: Sendable {
        /// The expert, as it is shown.
        public let name: String
        /// Mean weight that it receives over the samples of the other tasks.
        public let share: Double
        /// 1.5/E: a share from there on counts as a failure.
        public let limit: Double
        /// Right answers of the router that was trained again, and of the router as it is, on these samples.
        public let correct: Int
        public let correctBefore: Int
        public let count: Int

        public var isIgnored: Bool { share < limit }
    }

    /// The experts in reverse order, and the router's rows with them.
    public struct Permutation: Sendable {
        /// Samples whose answer differs.
        public let changed: Int
        /// Largest difference of a mean weight.
        public let weightDifference: Double
    }

    public let leaveOneOut: [LeaveOneOut]
    /// An expert of random numbers.
    public let noise: Stranger?
    /// An expert whose task is neither in training nor among the samples.
    public let offTask: Stranger?
    public let permutation: Permutation?
}

/// Measures ``Robustness`` of a router.
public struct RobustnessTrial {
    private let router: TrainedRouter
    private let book: PredictionBook
    private let training: LabelledSamples?

    /// - Parameter training: what the router learned from; nil: nothing is trained again.
    public init(_ router: TrainedRouter, _ book: PredictionBook, training: LabelledSamples?) {
        self.router = router
        self.book = book
        self.training = training
    }

    public func run() throws -> Robustness {
        let enough = book.evaluation.experts.count > 1
        return Robustness(
            leaveOneOut: try LeaveOneOut.all(router, book), noise: try noise(),
            offTask: enough ? try offTask() : nil, permutation: enough ? try permutation() : nil)
    }

    /// The setup for a second training: experts are trained already, and one of them may be without samples.
    private var setup: RouterSetup {
        var setup = router.setup
        setup.training.regime = .plugAndPlay
        setup.training.allowMissing = true
        return setup
    }

    private func evaluation(over experts: RoutedExperts) throws -> RoutedEvaluation {
        try RoutedEvaluation(book.evaluation.loaded, experts: experts, threads: book.evaluation.threads)
    }

    private func noise() throws -> Robustness.Stranger? {
        guard let training else { return nil }
        let experts = try book.evaluation.experts.withNoise(seed: setup.training.seed)
        let other = try evaluation(over: experts)
        let again = try RouterTraining(other, setup: setup, tasks: router.tasks.withStranger()).run(
            TrainSplit(training), progress: book.progress, isCancelled: book.isCancelled)
        return try stranger(
            experts.count - 1, called: "noise", again, book.over(other), on: Array(0..<book.samples.count))
    }

    /// The last expert that has a task loses its samples.
    private func offTask() throws -> Robustness.Stranger? {
        let tasks = router.tasks
        guard let training, let expert = tasks.taskOfExpert.lastIndex(where: { $0 != nil }) else { return nil }
        let kept = training.labels.indices.filter { tasks.expert(ofClass: training.labels[$0]) != expert }
        let rest = book.labels.indices.filter { tasks.expert(ofClass: book.labels[$0]) != expert }
        guard kept.count > 1, !rest.isEmpty else { return nil }
        let again = try RouterTraining(book.evaluation, setup: setup, tasks: tasks).run(
            TrainSplit(training.selecting(kept)), progress: book.progress, isCancelled: book.isCancelled)
        return try stranger(expert, called: book.evaluation.experts.ids[expert], again, book, on: rest)
    }

    private func stranger(
        _ expert: Int, called name: String, _ again: TrainedRouter, _ other: PredictionBook, on positions: [Int]
    ) throws -> Robustness.Stranger {
        let found = try other.predictions(again.subject())
        let before = try book.predictions(router.subject())
        let share = positions.reduce(0.0) { $0 + Double(found.weights?[$1, expert] ?? 0) }
        func correct(_ predictions: RoutedPredictions) -> Int {
            positions.reduce(0) { $0 + (predictions.tally.isCorrect[$1] ? 1 : 0) }
        }
        return Robustness.Stranger(
            name: name, share: share / Double(max(1, positions.count)),
            limit: 1.5 / Double(other.evaluation.experts.count), correct: correct(found),
            correctBefore: correct(before), count: positions.count)
    }

    private func permutation() throws -> Robustness.Permutation {
        let count = book.evaluation.experts.count
        let order = Array((0..<count).reversed())
        let experts = try book.evaluation.experts.permuted(order)
        let other = book.over(try evaluation(over: experts))
        let before = try book.predictions(router.subject())
        let after = try other.predictions(router.permuted(order, over: experts).subject())
        let changed = zip(Self.answers(before.logits), Self.answers(after.logits)).reduce(0) {
            $0 + ($1.0 == $1.1 ? 0 : 1)
        }
        var largest = 0.0
        if let first = before.weights, let second = after.weights {
            for row in 0..<first.rows {
                for place in 0..<count {
                    largest = max(largest, abs(Double(first[row, order[place]] - second[row, place])))
                }
            }
        }
        return Robustness.Permutation(changed: changed, weightDifference: largest)
    }

    private static func answers(_ logits: Matrix<Float>) -> [Int] {
        (0..<logits.rows).map { row in
            (0..<logits.columns).min { (-logits[row, $0], $0) < (-logits[row, $1], $1) } ?? 0
        }
    }
}
