import Evaluation
import Foundation
import Tensors

/// What one subject made of some samples.
public struct RoutedPredictions: Sendable {
    public let label: String
    /// Scores [samples, classes] of the head.
    public let logits: Matrix<Float>
    public let tally: PredictionTally
    /// Mixing weights [samples, experts], averaged over tokens and linears; nil where no experts were mixed.
    public let weights: Matrix<Float>?
    public let seconds: Double

    /// −ln p(label) of each sample under the head's softmax.
    public func losses(labels: [Int]) -> [Double] {
        (0..<logits.rows).map { row in
            let line = logits.elements[row * logits.columns..<(row + 1) * logits.columns]
            let top = Double(line.max() ?? 0)
            let sum = line.reduce(0.0) { $0 + exp(Double($1) - top) }
            return top + log(sum) - Double(logits[row, labels[row]])
        }
    }
}
