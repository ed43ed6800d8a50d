import Tensors

/// The expert with the lowest loss on each sample: the upper bound of routing whole samples.
struct OracleExpert: RoutingBaseline {
    let id = "oracle-expert"
    let summary = "the expert with the lowest loss on each sample"
    let needsTraining = false

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        let labels = context.book.labels
        let losses = try (0..<context.experts.count).map { try context.book.single($0).losses(labels: labels) }
        var weights = Matrix<Float>(rows: labels.count, columns: context.experts.count)
        for row in labels.indices {
            let best = losses.indices.min { (losses[$0][row], $0) < (losses[$1][row], $1) }
            if let best { weights[row, best] = 1 }
        }
        return [RoutedResult(try context.book.predictions(RoutingSubject(label: id, kind: .given(weights))))]
    }
}
