/// The single expert that does best on validation samples.
struct BestSingle: RoutingBaseline {
    let id = "best-single"
    let summary = "the single expert with the most right answers on validation samples"
    let needsTraining = true

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        guard let training = context.training else { return [] }
        let right = try (0..<context.experts.count).map { try training.book.single($0).tally.correctGlobal }
        guard let most = right.max(), let best = right.firstIndex(of: most) else { return [] }
        return [
            RoutedResult(
                try context.book.single(best).labelled(id), detail: context.experts.ids[best] + context.choiceNote)
        ]
    }
}
