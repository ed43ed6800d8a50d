import Tensors

/// A classifier of tasks on the frozen backbone's pooled feature, trained with task labels: softmax regression with L2,
/// C = 10. Each sample goes to the expert of the likeliest task.
struct GlobalDomain: RoutingBaseline {
    static let c = 10.0

    let id = "global-domain"
    let summary = "per sample: a classifier of tasks on frozen features, top 1"
    let needsTraining = true

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        guard let training = context.training else { return [] }
        let known = training.domains.indices.filter { training.domains[$0] != nil }
        let present = Set(training.domains.compactMap { $0 }).sorted()
        guard present.count > 1 else { return [] }
        let features = try context.evaluation.frozenFeatures(training.samples)
        let rows = Matrix(
            rows: known.count, columns: features.columns,
            elements: known.flatMap { row in
                features.elements[row * features.columns..<(row + 1) * features.columns].map(Double.init)
            })
        let labels = known.compactMap { position in training.domains[position].flatMap(present.firstIndex) }
        let model = try SoftmaxRegression(rows, labels: labels, classes: present.count, c: Self.c)
        let count = context.experts.count
        let subject = RoutingSubject.perSample(id) { features in
            var weights = Matrix<Float>(rows: features.rows, columns: count)
            for row in 0..<features.rows {
                let x = features.elements[row * features.columns..<(row + 1) * features.columns].map(Double.init)
                let scores = model.scores(x)
                let best = scores.indices.min { (-scores[$0], $0) < (-scores[$1], $1) }
                if let best { weights[row, present[best]] = 1 }
            }
            return weights
        }
        return [
            RoutedResult(
                try context.book.predictions(subject),
                detail: "C = 10, \(known.count) task labels" + (model.converged ? "" : ", not converged"))
        ]
    }
}
