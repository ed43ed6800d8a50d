import Foundation
import LinearAlgebra
import Tensors

/// Multinomial logistic regression with L2: minimises Σ CE + ‖W‖²/(2C); the bias is not penalised. Double precision.
struct SoftmaxRegression {
    /// [classes, width].
    let weight: Matrix<Double>
    let bias: [Double]
    let value: Double
    let converged: Bool

    /// - Parameters:
    ///   - features: [samples, width].
    ///   - labels: class of each sample, below `classes`.
    ///   - c: C > 0, the inverse strength of the penalty.
    init(_ features: Matrix<Double>, labels: [Int], classes: Int, c: Double) throws {
        let width = features.columns
        let weights = classes * width
        // The gradient of a sum grows with the samples, and so does what counts as small.
        let solver = LBFGS(tolerance: 1e-6 * Double(max(1, labels.count)))
        let found = try solver.minimise(from: Array(repeating: 0, count: weights + classes)) { point in
            let w = Matrix(rows: classes, columns: width, elements: Array(point[..<weights]))
            var p = try multiply(features, w, transposeB: true)
            var total = 0.0
            for (row, label) in labels.enumerated() {
                total += Self.slope(&p.elements, row * classes, classes, bias: point[weights...], label: label)
            }
            let penalty = w.elements.reduce(0) { $0 + $1 * $1 } / (2 * c)
            var gradient = try multiply(p, features, transposeA: true).elements
            for i in gradient.indices { gradient[i] += w.elements[i] / c }
            for label in 0..<classes {
                gradient.append((0..<p.rows).reduce(0.0) { $0 + p.elements[$1 * classes + label] })
            }
            return (total + penalty, gradient)
        }
        weight = Matrix(rows: classes, columns: width, elements: Array(found.point[..<weights]))
        bias = Array(found.point[weights...])
        (value, converged) = (found.value, found.converged)
    }

    /// Turns one row of scores into p − onehot and returns its loss.
    private static func slope(
        _ values: inout [Double], _ first: Int, _ classes: Int, bias: ArraySlice<Double>, label: Int
    ) -> Double {
        var top = -Double.infinity
        for i in 0..<classes {
            values[first + i] += bias[bias.startIndex + i]
            top = max(top, values[first + i])
        }
        let own = values[first + label]
        var sum = 0.0
        for i in 0..<classes {
            values[first + i] = exp(values[first + i] - top)
            sum += values[first + i]
        }
        for i in 0..<classes { values[first + i] /= sum }
        values[first + label] -= 1
        return top + log(sum) - own
    }

    /// Scores [classes] of one feature.
    func scores(_ x: [Double]) -> [Double] {
        (0..<weight.rows).map { label in
            zip(x, weight.elements[label * weight.columns..<(label + 1) * weight.columns]).reduce(bias[label]) {
                $0 + $1.0 * $1.1
            }
        }
    }
}
