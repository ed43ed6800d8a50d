import Tensors

/// The expert of each sample's true task; samples without one pass the backbone.
struct OracleTask: RoutingBaseline {
    let id = "oracle-task"
    let summary = "the expert of each sample's true task"
    let needsTraining = false

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        guard context.tasks.taskOfExpert.contains(where: { $0 != nil }) else { return [] }
        var weights = Matrix<Float>(rows: context.book.samples.count, columns: context.experts.count)
        for (row, label) in context.book.labels.enumerated() {
            if let expert = context.tasks.expert(ofClass: label) { weights[row, expert] = 1 }
        }
        return [RoutedResult(try context.book.predictions(RoutingSubject(label: id, kind: .given(weights))))]
    }
}
