import Diagnostics
import Foundation
import Networks
import Tensors

/// Cross-entropy of a fixed linear head on features, with its gradient at the features.
struct TaskLoss {
    private let head: LinearHead
    /// Features are scaled to unit length first.
    private let normalizes: Bool

    /// - Throws: `config.feature_unsupported` for heads that are not linear.
    init(_ head: any ClassHead, unitLength: Bool) throws {
        guard let head = head as? LinearHead else {
            throw Failure(
                .configFeatureUnsupported, "routers learn through linear heads only", place: "head",
                hint: "use a head file, class names, class means or a linear discriminant; or loss.task: 0")
        }
        self.head = head
        normalizes = unitLength || head.normalizesFeatures
    }

    /// - Parameters:
    ///   - features: [samples, width], as the backbone gives them.
    /// - Returns: the mean loss and ∂(mean loss)/∂features.
    func evaluate(_ features: [Float], labels: [Int]) -> (loss: Double, gradient: [Float]) {
        let (width, classes) = (head.width, head.classCount)
        var gradient = [Float](repeating: 0, count: features.count)
        var total = 0.0
        var unit = [Float](repeating: 0, count: width)
        var logits = [Double](repeating: 0, count: classes)
        for (sample, label) in labels.enumerated() {
            let first = sample * width
            let length = normalizes ? Self.length(features[first..<first + width]) : 1
            for i in 0..<width { unit[i] = features[first + i] / length }
            let scores = head.scores(unit)
            let top = Double(scores.max() ?? 0)
            var sum = 0.0
            for c in 0..<classes {
                logits[c] = exp(Double(scores[c]) - top)
                sum += logits[c]
            }
            total += top + log(sum) - Double(scores[label])
            var slope = [Float](repeating: 0, count: width)
            for c in 0..<classes {
                let factor = Float((logits[c] / sum - (c == label ? 1 : 0)) / Double(labels.count)) * head.scale
                for i in 0..<width { slope[i] += factor * head.weight.elements[c * width + i] }
            }
            var along: Float = 0
            if normalizes { for i in 0..<width { along += slope[i] * unit[i] } }
            for i in 0..<width { gradient[first + i] = (slope[i] - along * unit[i]) / length }
        }
        return (total / Double(max(1, labels.count)), gradient)
    }

    private static func length(_ row: ArraySlice<Float>) -> Float {
        let squares = row.reduce(0.0) { $0 + Double($1) * Double($1) }
        return squares > 0 ? Float(squares.squareRoot()) : 1
    }
}

extension LinearHead {
    /// Scores of one feature that has its final length.
    fileprivate func scores(_ feature: [Float]) -> [Float] {
        (0..<classCount).map { c in
            var sum: Float = 0
            for i in 0..<width { sum += feature[i] * weight.elements[c * width + i] }
            return scale * sum + (bias.isEmpty ? 0 : bias[c])
        }
    }
}
