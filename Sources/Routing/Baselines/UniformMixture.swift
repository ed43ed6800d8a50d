/// Every expert with weight 1/E.
struct UniformMixture: RoutingBaseline {
    let id = "uniform"
    let summary = "every expert with weight 1/E"
    let needsTraining = false

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        let weight = 1 / Float(context.experts.count)
        let subject = RoutingSubject(
            label: id, kind: .constant(Array(repeating: weight, count: context.experts.count)))
        return [RoutedResult(try context.book.predictions(subject, fixed: id))]
    }
}
