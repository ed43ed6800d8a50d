import Diagnostics
import Evaluation
import Tensors

/// How a router does when one expert is missing and the others compete for its places (LoRA-Mixer reference, section 8,
/// item 6).
public struct LeaveOneOut: Sendable {
    public let expert: Int
    public let correct: Int
    public let count: Int

    public var accuracy: Double { Double(correct) / Double(max(1, count)) }

    /// One result per expert.
    public static func all(_ router: TrainedRouter, _ book: PredictionBook) throws -> [LeaveOneOut] {
        let experts = book.evaluation.experts.count
        guard experts > 1 else { return [] }
        return try (0..<experts).map { expert in
            LeaveOneOut(
                expert: expert, correct: try correct(without: expert, router, book), count: book.samples.count)
        }
    }

    private static func correct(
        without expert: Int, _ router: TrainedRouter, _ book: PredictionBook
    ) throws -> Int {
        let experts = book.evaluation.experts.count
        var weights = Matrix<Float>(rows: book.samples.count, columns: experts)
        var correct = 0
        let decidesOnce = router.model.options.scope == .global && router.model.options.granularity == .sequence
        try TracedPass(
            book.evaluation, router: router, removing: [expert], choosingAnew: true, scores: !decidesOnce
        ).run(book.samples, progress: book.progress, isCancelled: book.isCancelled) { trace in
            if !decidesOnce, trace.prediction == book.labels[trace.position] { correct += 1 }
            for (column, weight) in trace.load.enumerated() { weights[trace.position, column] = Float(weight) }
        }
        guard decidesOnce else { return correct }
        // One decision per sample: its scores may be there already.
        return try book.predictions(RoutingSubject(label: "leave one out", kind: .given(weights))).tally.correctGlobal
    }
}
