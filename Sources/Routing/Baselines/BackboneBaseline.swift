/// The network without experts: w = 0.
struct BackboneBaseline: RoutingBaseline {
    let id = "backbone"
    let summary = "the backbone without experts"
    let needsTraining = false

    func results(_ context: BaselineContext) throws -> [RoutedResult] { [RoutedResult(try context.book.backbone())] }
}
