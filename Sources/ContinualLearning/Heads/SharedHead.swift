import Networks
import Tensors
import Training

/// The one linear head of a run: a row per class, in the order of tasks, with a gradient of the same shape.
public final class SharedHead: @unchecked Sendable {
    public let width: Int
    public let classCount: Int
    /// [classes, width] row-major, then one bias per class.
    let values: UnsafeMutableBufferPointer<Float>
    let gradient: UnsafeMutableBufferPointer<Float>

    /// Row c comes from U(−1/√width, 1/√width) keyed by the class, so that growing and preallocating agree.
    public init(width: Int, order: [Int], random: KeyedRandom) {
        self.width = width
        classCount = order.count
        let count = order.count * (width + 1)
        values = .allocate(capacity: max(1, count))
        gradient = .allocate(capacity: max(1, count))
        values.initialize(repeating: 0)
        gradient.initialize(repeating: 0)
        for (row, label) in order.enumerated() {
            KeyedRandom.fill(
                UnsafeMutableBufferPointer(rebasing: values[row * width..<(row + 1) * width]),
                bound: 1 / Float(width).squareRoot(), random.stream("head", label))
        }
    }

    /// A copy for an expert of its own.
    public init(copying other: SharedHead) {
        width = other.width
        classCount = other.classCount
        values = .allocate(capacity: other.values.count)
        gradient = .allocate(capacity: other.values.count)
        _ = values.initialize(from: other.values)
        gradient.initialize(repeating: 0)
    }

    deinit {
        values.deallocate()
        gradient.deallocate()
    }

    private var count: Int { classCount * (width + 1) }

    func weights(_ rows: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: values[rows.lowerBound * width..<rows.upperBound * width])
    }

    func biases(_ rows: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
        let start = classCount * width
        return UnsafeMutableBufferPointer(rebasing: values[start + rows.lowerBound..<start + rows.upperBound])
    }

    /// The groups that an optimiser steps on: these rows only, so that the others stay bit by bit.
    func groups(_ rows: Range<Int>, multiplier: Double, weightDecay: Double) -> [ParameterGroup<Float>] {
        let start = classCount * width
        return [
            ParameterGroup(
                name: "head", values: weights(rows),
                gradient: UnsafeMutableBufferPointer(
                    rebasing: gradient[rows.lowerBound * width..<rows.upperBound * width]), multiplier: multiplier,
                weightDecay: weightDecay),
            ParameterGroup(
                name: "head.bias", values: biases(rows),
                gradient: UnsafeMutableBufferPointer(
                    rebasing: gradient[start + rows.lowerBound..<start + rows.upperBound]), multiplier: multiplier),
        ]
    }

    func zeroGradient() { gradient.update(repeating: 0) }

    /// Takes over the numbers of another head of the same shape.
    func assign(_ other: SharedHead) { _ = values.update(fromContentsOf: other.values[0..<count]) }

    /// Multiplies the rows of the new classes by mean‖w_old‖ / mean‖w_new‖ (weight alignment, section 11.3).
    func alignWeights(old: Range<Int>, new: Range<Int>) {
        guard !old.isEmpty, !new.isEmpty else { return }
        let factor = Float(meanNorm(old) / max(meanNorm(new), 1e-12))
        for index in new.lowerBound * width..<new.upperBound * width { values[index] *= factor }
    }

    /// Mean ‖w_c‖ over rows.
    func meanNorm(_ rows: Range<Int>) -> Double {
        let norms = rows.map { row in
            (row * width..<(row + 1) * width).reduce(0.0) { $0 + Double(values[$1]) * Double(values[$1]) }.squareRoot()
        }
        return norms.reduce(0, +) / Double(max(1, norms.count))
    }

    /// The first `rows` classes as a head of the evaluation.
    public func head(_ rows: Int) -> LinearHead {
        LinearHead(
            weight: Matrix(rows: rows, columns: width, elements: Array(values[0..<rows * width])),
            bias: Array(biases(0..<rows)))
    }
}
