import Foundation
import Networks
import Tensors

/// Softmax cross-entropy of a shared head over some of its rows: loss, gradients of the rows and of the features.
///
/// Sums are kept per accumulator, so that the result does not depend on the number of threads.
final class HeadPass: @unchecked Sendable {
    private let head: SharedHead
    /// Classes that compete.
    private let rows: Range<Int>
    /// Added to each logit (logit adjustment); empty for none.
    private let offsets: [Float]
    /// Row of the true class of each sample of the batch.
    var targets: [Int] = []
    /// 1 / batch size.
    var weight: Float = 1
    private let slots: Int
    private let stride: Int
    private let sums: UnsafeMutablePointer<Float>
    private let losses: UnsafeMutablePointer<Double>
    private let correct: UnsafeMutablePointer<Int>

    init(_ head: SharedHead, rows: Range<Int>, offsets: [Float] = []) {
        self.head = head
        self.rows = rows
        self.offsets = offsets
        slots = ForwardPass<Float>.accumulators
        stride = rows.count * (head.width + 1)
        sums = .allocate(capacity: slots * max(1, stride))
        losses = .allocate(capacity: slots)
        correct = .allocate(capacity: slots)
        clear()
    }

    deinit {
        sums.deallocate()
        losses.deallocate()
        correct.deallocate()
    }

    func clear() {
        sums.initialize(repeating: 0, count: slots * max(1, stride))
        losses.initialize(repeating: 0, count: slots)
        correct.initialize(repeating: 0, count: slots)
    }

    /// Σ over samples of weight·loss and the right answers since `clear`.
    var loss: Double { (0..<slots).reduce(0) { $0 + losses[$1] } }
    var right: Int { (0..<slots).reduce(0) { $0 + correct[$1] } }

    /// - Parameters:
    ///   - features: [samples, width].
    ///   - gradient: receives ∂L/∂features, or nil.
    func add(
        _ samples: Range<Int>, _ features: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>?,
        _ accumulator: Int
    ) {
        let width = head.width
        let weights = head.values.baseAddress.unsafelyUnwrapped + rows.lowerBound * width
        let bias = head.values.baseAddress.unsafelyUnwrapped + head.classCount * width + rows.lowerBound
        let dW = sums + accumulator * stride
        let dB = dW + rows.count * width
        withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.count) { logits in
            for (local, sample) in samples.enumerated() {
                let f = features + local * width
                for row in 0..<rows.count {
                    logits[row] =
                        bias[row] + dot(width, f, weights + row * width) + (offsets.isEmpty ? 0 : offsets[row])
                }
                let target = targets[sample] - rows.lowerBound
                finish(logits, target, accumulator)
                for row in 0..<rows.count {
                    let slope = (logits[row] - (row == target ? 1 : 0)) * weight
                    axpy(width, slope, f, dW + row * width)
                    dB[row] += slope
                    if let gradient { axpy(width, slope, weights + row * width, gradient + local * width) }
                }
            }
        }
    }

    /// Turns logits into probabilities and adds up loss and right answers.
    private func finish(_ logits: UnsafeMutableBufferPointer<Float>, _ target: Int, _ accumulator: Int) {
        var top = 0
        for row in logits.indices where logits[row] > logits[top] { top = row }
        if top == target { correct[accumulator] += 1 }
        let largest = logits[top]
        var sum = 0.0
        let own = logits[target]
        for row in logits.indices {
            let e = exp(logits[row] - largest)
            logits[row] = e
            sum += Double(e)
        }
        losses[accumulator] += Double(weight) * (log(sum) - Double(own - largest))
        let inverse = Float(1 / sum)
        for row in logits.indices { logits[row] *= inverse }
    }

    private func dot(_ n: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>) -> Float {
        var lanes = SIMD8<Float>.zero
        var index = 0
        while index + 8 <= n {
            let x = UnsafeRawPointer(a + index).loadUnaligned(as: SIMD8<Float>.self)
            let y = UnsafeRawPointer(b + index).loadUnaligned(as: SIMD8<Float>.self)
            lanes.addProduct(x, y)
            index += 8
        }
        var sum = lanes.sum()
        while index < n {
            sum += a[index] * b[index]
            index += 1
        }
        return sum
    }

    private func axpy(_ n: Int, _ factor: Float, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>) {
        for index in 0..<n { y[index] += factor * x[index] }
    }

    /// Adds the sums of all accumulators to the head's gradient, in their order.
    func reduce() {
        let width = head.width
        guard let target = head.gradient.baseAddress else { return }
        for slot in 0..<slots {
            let from = sums + slot * stride
            axpy(rows.count * width, 1, from, target + rows.lowerBound * width)
            axpy(rows.count, 1, from + rows.count * width, target + head.classCount * width + rows.lowerBound)
        }
    }
}
