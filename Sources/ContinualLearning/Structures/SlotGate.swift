import Foundation
import LinearAlgebra
import Networks
import Tensors

/// `gate: linear`: softmax(W·f + b) over slots, f the unit-length feature of the bare backbone (cil-engine 4.2).
///
/// Learned after each task from the task's own features and the stored class means of older tasks: no old sample is
/// kept. Full-batch gradient descent in double precision; convex, so the start does not matter much.
struct SlotGate: Sendable {
    let width: Int
    let slots: Int
    /// [slots, width + 1], the bias last.
    private(set) var weights: Matrix<Double>
    /// Mean feature, slot and number of samples of each class of older tasks.
    private(set) var means: [Mean] = []

    struct Mean: Sendable, Equatable {
        var slot: Int
        var count: Double
        var feature: [Double]
    }

    private static let scale = 10.0
    private static let steps = 200
    private static let rate = 2.0

    init(width: Int, slots: Int) {
        self.width = width
        self.slots = slots
        weights = Matrix(rows: slots, columns: width + 1)
    }

    init(width: Int, slots: Int, weights: Matrix<Double>, means: [Mean]) {
        self.width = width
        self.slots = slots
        self.weights = weights
        self.means = means
    }

    /// - Parameters:
    ///   - features: [samples, width] of the bare backbone for the task's train data.
    ///   - labels: class of each.
    ///   - slot: the slot that the task trained.
    mutating func learn(_ features: Matrix<Float>, labels: [Int], slot: Int) {
        let unit = FeatureRows.unitLength(features)
        var points = means
        for row in 0..<unit.rows {
            points.append(Mean(slot: slot, count: 1, feature: (0..<width).map { Double(unit[row, $0]) }))
        }
        for _ in 0..<Self.steps { descend(points) }
        for label in Set(labels).sorted() {
            let rows = labels.indices.filter { labels[$0] == label }
            var mean = [Double](repeating: 0, count: width)
            for row in rows { for i in 0..<width { mean[i] += Double(unit[row, i]) / Double(rows.count) } }
            means.append(Mean(slot: slot, count: Double(rows.count), feature: mean))
        }
    }

    private mutating func descend(_ points: [Mean]) {
        var gradient = Matrix<Double>(rows: slots, columns: width + 1)
        let total = points.reduce(0) { $0 + $1.count }
        for point in points {
            let shares = softmax(point.feature)
            for slot in 0..<slots {
                let slope = point.count / total * (shares[slot] - (slot == point.slot ? 1 : 0))
                for i in 0..<width { gradient[slot, i] += slope * Self.scale * point.feature[i] }
                gradient[slot, width] += slope
            }
        }
        for i in weights.elements.indices { weights.elements[i] -= Self.rate * gradient.elements[i] }
    }

    private func softmax(_ feature: [Double]) -> [Double] {
        let scores = (0..<slots).map { slot in
            (0..<width).reduce(weights[slot, width]) { $0 + Self.scale * weights[slot, $1] * feature[$1] }
        }
        let top = scores.max() ?? 0
        let parts = scores.map { exp($0 - top) }
        let sum = parts.reduce(0, +)
        return parts.map { $0 / sum }
    }

    /// Weight of each slot for each sample, [samples, slots]; slots that were never trained get none.
    func weights(_ features: Matrix<Float>, trained: [Bool]) -> Matrix<Float> {
        let unit = FeatureRows.unitLength(features)
        var result = Matrix<Float>(rows: features.rows, columns: slots)
        for row in 0..<features.rows {
            let shares = softmax((0..<width).map { Double(unit[row, $0]) })
            let known = shares.indices.filter { trained[$0] }.reduce(0) { $0 + shares[$1] }
            for slot in 0..<slots where trained[slot] && known > 0 { result[row, slot] = Float(shares[slot] / known) }
        }
        return result
    }
}
