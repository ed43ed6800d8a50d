import LinearAlgebra
import Networks
import Tensors

/// A classifier that learns along with other things.
///
/// Linear: logits = f·Wᵀ + b. Cosine: logits = κ · f/‖f‖ · (W/‖W‖)ᵀ.
public final class TrainableHead: @unchecked Sendable {
    public enum Kind: Sendable, Hashable {
        case linear
        case cosine(scale: Float)
    }

    public let kind: Kind
    public let width: Int
    public let classes: Int
    /// Weights [classes, width]; behind them the biases [classes] of a linear head.
    public let values: UnsafeMutableBufferPointer<Float>
    /// ∂L/∂values, complete after ``reduce()``.
    public let gradient: UnsafeMutableBufferPointer<Float>
    /// The weights that logits are made of: for a cosine head rows of unit length.
    private var effective: [Float] = []
    private var lengths: [Float] = []
    private let accumulators: UnsafeMutableBufferPointer<Float>
    private var accumulatorCount: Int { ForwardPass<Float>.accumulators }

    /// Normal weights of standard deviation 1/√width from the stream ("head", seed), biases zero.
    public init(_ kind: Kind, width: Int, classes: Int, seed: UInt64) {
        self.kind = kind
        self.width = width
        self.classes = classes
        let count = classes * width + (kind == .linear ? classes : 0)
        values = .allocate(capacity: max(1, count))
        values.initialize(repeating: 0)
        gradient = .allocate(capacity: max(1, count))
        gradient.initialize(repeating: 0)
        accumulators = .allocate(capacity: max(1, ForwardPass<Float>.accumulators * count))
        accumulators.initialize(repeating: 0)
        CounterRandom(seed: seed, stream: "head").fillNormals(
            from: 0, into: UnsafeMutableBufferPointer(rebasing: values[0..<classes * width]))
        let deviation = 1 / Float(width).squareRoot()
        for i in 0..<classes * width { values[i] *= deviation }
        prepare()
    }

    deinit {
        values.deallocate()
        gradient.deallocate()
        accumulators.deallocate()
    }

    private var weights: Int { classes * width }

    /// What was learnt, for evaluation.
    public var head: LinearHead {
        let weight = Matrix(rows: classes, columns: width, elements: Array(values[0..<weights]))
        switch kind {
        case .linear: return LinearHead(weight: weight, bias: Array(values[weights...]))
        case .cosine(let scale): return .cosine(weight, scale: scale)
        }
    }

    /// Takes over the weights after they changed and clears the gradients.
    public func prepare() {
        effective = Array(values[0..<weights])
        accumulators.update(repeating: 0)
        guard kind != .linear else { return }
        lengths = (0..<classes).map { label in
            effective[label * width..<(label + 1) * width].reduce(0.0) { $0 + Double($1) * Double($1) }
        }.map { Float(max($0, 1e-24).squareRoot()) }
        for label in 0..<classes {
            for i in label * width..<(label + 1) * width { effective[i] /= lengths[label] }
        }
    }

    /// Loss and gradient of some samples; called from several threads with different accumulators.
    ///
    /// - Parameters:
    ///   - features: [count, width].
    ///   - scale: what the gradients are multiplied by, e.g. 1 / batch size.
    ///   - featureGradient: [count, width], zeros; receives ∂L/∂features.
    ///   - losses: receives the loss of each sample.
    /// - Returns: how many samples have their own class on top.
    func learn(
        _ count: Int, features: UnsafePointer<Float>, labels: UnsafePointer<Int>, mask: [Bool]?, scale: Float,
        featureGradient: UnsafeMutablePointer<Float>, losses: UnsafeMutablePointer<Float>, accumulator: Int
    ) -> Int {
        let inputs = unitRows(count, features)
        var logits = [Float](repeating: 0, count: count * classes)
        let target = accumulators.baseAddress.unsafelyUnwrapped + accumulator * gradient.count
        var correct = 0
        logits.withUnsafeMutableBufferPointer { buffer in
            guard let y = buffer.baseAddress else { return }
            fillLogits(count, inputs.rows, into: y)
            correct = topHits(count, y, labels, mask)
            CrossEntropy.rows(
                count, classes: classes, logits: y, labels: { labels[$0] }, mask: mask, scale: scale, gradient: y,
                losses: losses)
            if case .cosine(let kappa) = kind { for i in 0..<count * classes { y[i] *= kappa } }
            inputs.rows.withUnsafeBufferPointer { x in
                Float.gemm(
                    transposeA: true, transposeB: false, m: Int32(classes), n: Int32(width), k: Int32(count), alpha: 1,
                    a: y, lda: Int32(classes), b: x.baseAddress.unsafelyUnwrapped, ldb: Int32(width), beta: 1,
                    c: target, ldc: Int32(width))
            }
            if kind == .linear {
                for row in 0..<count { for c in 0..<classes { target[weights + c] += y[row * classes + c] } }
            }
            effective.withUnsafeBufferPointer { w in
                Float.gemm(
                    transposeA: false, transposeB: false, m: Int32(count), n: Int32(width), k: Int32(classes), alpha: 1,
                    a: y, lda: Int32(classes), b: w.baseAddress.unsafelyUnwrapped, ldb: Int32(width), beta: 0,
                    c: featureGradient, ldc: Int32(width))
            }
        }
        throughUnit(count, inputs, featureGradient)
        return correct
    }

    /// Sums the accumulators, in their order, into `gradient`.
    func reduce() {
        gradient.update(repeating: 0)
        for accumulator in 0..<accumulatorCount {
            let base = accumulator * gradient.count
            for i in gradient.indices { gradient[i] += accumulators[base + i] }
        }
        guard kind != .linear else { return }
        for label in 0..<classes {
            let row = label * width..<(label + 1) * width
            var along: Float = 0
            for i in row { along += gradient[i] * effective[i] }
            for i in row { gradient[i] = (gradient[i] - along * effective[i]) / lengths[label] }
        }
    }

    // MARK: Pieces

    private struct UnitRows {
        var rows: [Float]
        /// Lengths of the rows before; empty for a linear head.
        var lengths: [Float]
    }

    private func unitRows(_ count: Int, _ features: UnsafePointer<Float>) -> UnitRows {
        var rows = Array(UnsafeBufferPointer(start: features, count: count * width))
        guard kind != .linear else { return UnitRows(rows: rows, lengths: []) }
        var lengths: [Float] = []
        for row in 0..<count {
            let range = row * width..<(row + 1) * width
            let square = rows[range].reduce(0.0) { $0 + Double($1) * Double($1) }
            let length = Float(max(square, 1e-24).squareRoot())
            lengths.append(length)
            for i in range { rows[i] /= length }
        }
        return UnitRows(rows: rows, lengths: lengths)
    }

    private func fillLogits(_ count: Int, _ rows: [Float], into y: UnsafeMutablePointer<Float>) {
        var factor: Float = 1
        if case .cosine(let scale) = kind { factor = scale }
        rows.withUnsafeBufferPointer { x in
            effective.withUnsafeBufferPointer { w in
                Float.gemm(
                    transposeA: false, transposeB: true, m: Int32(count), n: Int32(classes), k: Int32(width),
                    alpha: factor, a: x.baseAddress.unsafelyUnwrapped, lda: Int32(width),
                    b: w.baseAddress.unsafelyUnwrapped, ldb: Int32(width), beta: 0, c: y, ldc: Int32(classes))
            }
        }
        guard kind == .linear else { return }
        for row in 0..<count { for c in 0..<classes { y[row * classes + c] += values[weights + c] } }
    }

    private func topHits(
        _ count: Int, _ logits: UnsafePointer<Float>, _ labels: UnsafePointer<Int>, _ mask: [Bool]?
    ) -> Int {
        var hits = 0
        for row in 0..<count {
            var best = -1
            for c in 0..<classes where mask?[c] ?? true {
                if best < 0 || logits[row * classes + c] > logits[row * classes + best] { best = c }
            }
            if best == labels[row] { hits += 1 }
        }
        return hits
    }

    /// From ∂L/∂(f/‖f‖) to ∂L/∂f.
    private func throughUnit(_ count: Int, _ inputs: UnitRows, _ gradient: UnsafeMutablePointer<Float>) {
        for (row, length) in inputs.lengths.enumerated() {
            let line = gradient + row * width
            var along: Float = 0
            for i in 0..<width { along += line[i] * inputs.rows[row * width + i] }
            for i in 0..<width { line[i] = (line[i] - along * inputs.rows[row * width + i]) / length }
        }
    }
}
