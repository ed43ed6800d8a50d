import Foundation

/// Softmax cross-entropy of a linear or cosine head with its gradients, sample by sample (cil-engine 5, 11.1).
struct HeadLoss: Sendable {
    let width: Int
    /// Rows that compete; the others get gradient exactly 0.
    let competing: Range<Int>
    /// Features are scaled to unit length first.
    let normalises: Bool
    let cosine: Bool
    let kappa: Float
    /// Added to the logits of `competing` (`logit-adjusted`); empty for none.
    var offsets: [Float] = []

    /// Sums over samples that one thread at a time adds to.
    final class Sums: @unchecked Sendable {
        let weights: UnsafeMutableBufferPointer<Float>
        let bias: UnsafeMutableBufferPointer<Float>
        var loss = 0.0

        init(rows: Int, width: Int) {
            weights = .allocate(capacity: max(1, rows * width))
            weights.initialize(repeating: 0)
            bias = .allocate(capacity: max(1, rows))
            bias.initialize(repeating: 0)
        }

        deinit {
            weights.deallocate()
            bias.deallocate()
        }

        func clear() {
            weights.update(repeating: 0)
            bias.update(repeating: 0)
            loss = 0
        }

        func add(_ other: Sums) {
            for i in weights.indices { weights[i] += other.weights[i] }
            for i in bias.indices { bias[i] += other.bias[i] }
            loss += other.loss
        }
    }

    /// Adds one sample.
    ///
    /// - Parameters:
    ///   - feature: [width].
    ///   - label: row of the class; one of `competing`.
    ///   - scale: factor of all gradients.
    ///   - gradient: receives ∂L/∂feature; nil: nobody needs it.
    func add(
        _ feature: UnsafePointer<Float>, label: Int, rows: HeadRows, scale: Float, into sums: Sums,
        gradient: UnsafeMutablePointer<Float>?
    ) {
        let count = competing.count
        withUnsafeTemporaryAllocation(of: Float.self, capacity: count * 2 + width * 2) { scratch in
            guard let z = scratch.baseAddress, let weights = rows.weights.baseAddress,
                let weightSums = sums.weights.baseAddress
            else { return }
            let lengths = z + count
            let f = lengths + count
            let back = f + width
            let norm = prepare(feature, into: f)
            let first = weights + (competing.lowerBound - rows.first) * width
            for r in 0..<count {
                let w = first + r * width
                var value = VectorKernels.dot(width, f, w)
                if cosine {
                    lengths[r] = max(VectorKernels.dot(width, w, w).squareRoot(), 1e-12)
                    value *= kappa / lengths[r]
                } else {
                    value += rows.bias[competing.lowerBound - rows.first + r]
                }
                z[r] = value + (offsets.isEmpty ? 0 : offsets[r])
            }
            sums.loss += softmax(z, count, label: label - competing.lowerBound, scale: scale)
            back.update(repeating: 0, count: width)
            for r in 0..<count {
                let w = first + r * width
                let target = weightSums + r * width
                if cosine {
                    let direction = VectorKernels.dot(width, f, w) / (lengths[r] * lengths[r])
                    let slope = kappa * z[r] / lengths[r]
                    for i in 0..<width { target[i] += slope * (f[i] - direction * w[i]) }
                    VectorKernels.add(width, slope, w, back)
                } else {
                    VectorKernels.add(width, z[r], f, target)
                    sums.bias[r] += z[r]
                    VectorKernels.add(width, z[r], w, back)
                }
            }
            guard let gradient else { return }
            finish(back, f, norm, into: gradient)
        }
    }

    /// The feature, or its direction; gives its length.
    @inline(__always)
    private func prepare(_ feature: UnsafePointer<Float>, into f: UnsafeMutablePointer<Float>) -> Float {
        guard normalises || cosine else {
            f.update(from: feature, count: width)
            return 1
        }
        let norm = max(VectorKernels.dot(width, feature, feature).squareRoot(), 1e-12)
        for i in 0..<width { f[i] = feature[i] / norm }
        return norm
    }

    @inline(__always)
    private func softmax(
        _ z: UnsafeMutablePointer<Float>, _ count: Int, label: Int, scale: Float
    ) -> Double {
        var top = -Float.infinity
        for r in 0..<count { top = max(top, z[r]) }
        var sum = 0.0
        for r in 0..<count { sum += exp(Double(z[r] - top)) }
        let loss = Foundation.log(sum) - Double(z[label] - top)
        for r in 0..<count {
            let share = exp(Double(z[r] - top)) / sum
            z[r] = scale * Float(share - (r == label ? 1 : 0))
        }
        return loss
    }

    @inline(__always)
    private func finish(
        _ back: UnsafePointer<Float>, _ f: UnsafePointer<Float>, _ norm: Float,
        into gradient: UnsafeMutablePointer<Float>
    ) {
        guard normalises || cosine else {
            gradient.update(from: back, count: width)
            return
        }
        let along = VectorKernels.dot(width, back, f)
        for i in 0..<width { gradient[i] = (back[i] - along * f[i]) / norm }
    }
}
