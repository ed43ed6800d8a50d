/// One expert for everything, each in its own row.
struct SingleExperts: RoutingBaseline {
    let id = "single"
    let summary = "one expert for every sample, each in turn"
    let needsTraining = false

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        try (0..<context.experts.count).map { RoutedResult(try context.book.single($0)) }
    }
}
