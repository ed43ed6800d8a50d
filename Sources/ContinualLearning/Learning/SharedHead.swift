import Networks
import Tensors

/// Rows of a linear head in memory that stays in place: weights [count, width] and one bias each.
final class HeadRows: @unchecked Sendable {
    /// First row, counted in the order of the run's classes.
    let first: Int
    let count: Int
    let width: Int
    let weights: UnsafeMutableBufferPointer<Float>
    let bias: UnsafeMutableBufferPointer<Float>

    init(first: Int, count: Int, width: Int) {
        self.first = first
        self.count = count
        self.width = width
        weights = .allocate(capacity: max(1, count * width))
        weights.initialize(repeating: 0)
        bias = .allocate(capacity: max(1, count))
        bias.initialize(repeating: 0)
    }

    deinit {
        weights.deallocate()
        bias.deallocate()
    }

    func weights(of rows: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(
            rebasing: weights[(rows.lowerBound - first) * width..<(rows.upperBound - first) * width])
    }

    func bias(of rows: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: bias[rows.lowerBound - first..<rows.upperBound - first])
    }

    /// The same rows in memory of their own.
    func copy(of rows: Range<Int>) -> HeadRows {
        let result = HeadRows(first: rows.lowerBound, count: rows.count, width: width)
        result.assign(from: self)
        return result
    }

    /// Takes over the rows of another that both have.
    func assign(from other: HeadRows) {
        let rows = max(first, other.first)..<min(first + count, other.first + other.count)
        guard !rows.isEmpty else { return }
        _ = weights(of: rows).update(fromContentsOf: other.weights(of: rows))
        _ = bias(of: rows).update(fromContentsOf: other.bias(of: rows))
    }
}

/// The one head of a run: a row per class, in the order in which the classes come. No task has a head of its own, and
/// nothing here takes a task number at inference (cil-engine 11).
final class SharedHead {
    let rows: HeadRows
    let options: RunConfiguration.Head

    /// - Parameter classes: ids in the order of the run; each row is drawn under (seed, "head", class), so that it does
    ///   not matter when it is made.
    init(classes: [Int], width: Int, options: RunConfiguration.Head, seed: UInt64) {
        rows = HeadRows(first: 0, count: classes.count, width: width)
        self.options = options
        let bound = 1 / Float(width).squareRoot()
        for (row, label) in classes.enumerated() {
            let target = rows.weights(of: row..<row + 1)
            CounterRandom(seed: seed, stream: "head", "\(label)").fillUniforms(from: 0, into: target)
            for i in target.indices { target[i] = bound * (2 * target[i] - 1) }
        }
    }

    /// Scores of the first `seen` classes for features [samples, width]; others do not compete.
    func logits(_ features: Matrix<Float>, seen: Int) -> Matrix<Float> {
        let weight = Matrix(
            rows: seen, columns: rows.width, elements: Array(rows.weights(of: 0..<seen)))
        let head: LinearHead =
            options.cosine
            ? .cosine(weight, scale: Float(options.kappa))
            : LinearHead(weight: weight, bias: Array(rows.bias(of: 0..<seen)))
        return head.logits(features)
    }

    /// Multiplies the rows of a task by mean‖w_old‖ / mean‖w_new‖ (weight-align, 11.3).
    ///
    /// - Returns: the factor.
    func alignWeights(of task: Range<Int>) -> Double {
        guard task.lowerBound > 0 else { return 1 }
        let (old, new) = (meanNorm(0..<task.lowerBound), meanNorm(task))
        guard new > 0 else { return 1 }
        let factor = old / new
        let values = rows.weights(of: task)
        for i in values.indices { values[i] *= Float(factor) }
        return factor
    }

    /// Mean ‖w_c‖ over rows.
    func meanNorm(_ range: Range<Int>) -> Double {
        let norms = range.map { row in
            rows.weights(of: row..<row + 1).reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        }
        return norms.isEmpty ? 0 : norms.reduce(0, +) / Double(norms.count)
    }
}
