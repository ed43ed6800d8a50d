import Foundation

/// What a pass returns.
public enum PassOutput: Sendable, Hashable {
    /// One row per sample.
    case features(Pooling)
    /// Every row of every sample, behind the final norm.
    case hiddenStates
}

private enum Key {
    static let rows = 0, statistics = 1, gathered = 2, pooled = 3, normed = 4
}

extension Backbone {
    /// Rows of the output that a block makes.
    func outputRows(_ output: PassOutput, _ run: BlockRun<S>) -> Int {
        if case .features = output { run.samples } else { run.rows }
    }

    /// Final norm and pooling of one block's rows into `y` [samples or rows, width].
    func finish(_ x: UnsafeMutablePointer<S>, _ output: PassOutput, into y: UnsafeMutablePointer<S>, _ run: BlockRun<S>)
    {
        let layer = description.depth
        let width = description.width
        run.note(x, layer, Key.rows)
        switch output {
        case .hiddenStates: norm(x, rows: run.rows, into: y, run)
        case .features(.mean):
            let normed = run.scratch.take(run.rows * width)
            norm(x, rows: run.rows, into: normed, run)
            for sample in 0..<run.samples {
                let rows = meanRows(sample, run)
                let target = y + sample * width
                target.update(repeating: 0, count: width)
                addColumnSums(
                    rows: rows.count, width: width, normed + rows.lowerBound * width, ldx: width, into: target)
                let factor = 1 / S(max(1, rows.count))
                for i in 0..<width { target[i] *= factor }
            }
        case .features(let pooling):
            let gathered = run.keep(run.samples * width, layer, Key.gathered)
            for sample in 0..<run.samples {
                (gathered + sample * width).update(from: x + chosenRow(pooling, sample, run) * width, count: width)
            }
            guard pooling == .pooler, let pooler = parts.pooler else {
                norm(gathered, rows: run.samples, into: y, run)
                return
            }
            let normed = run.keep(run.samples * width, layer, Key.normed)
            norm(gathered, rows: run.samples, into: normed, run)
            pooler.forward(rows: run.samples, normed, into: y)
            let pooled = run.keep(run.samples * width, layer, Key.pooled)
            for i in 0..<run.samples * width {
                y[i] = S(tanh(Double(y[i])))
                pooled[i] = y[i]
            }
        }
    }

    private func norm(_ x: UnsafePointer<S>, rows: Int, into y: UnsafeMutablePointer<S>, _ run: BlockRun<S>) {
        guard let norm = parts.finalNorm else {
            y.update(from: x, count: rows * description.width)
            return
        }
        let statistics = run.keep(rows * 2, description.depth, Key.statistics)
        norm.forward(parameters, rows: rows, x, into: y, statistics: statistics)
    }

    /// Rows of a sample that mean pooling counts.
    private func meanRows(_ sample: Int, _ run: BlockRun<S>) -> Range<Int> {
        let end = run.block.offsets[sample + 1]
        return min(end, run.block.offsets[sample] + parts.meanStart)..<end
    }

    private func chosenRow(_ pooling: Pooling, _ sample: Int, _ run: BlockRun<S>) -> Int {
        pooling == .last ? run.block.offsets[sample + 1] - 1 : run.block.offsets[sample]
    }

    /// The gradient at the rows of the last layer, [rows, width], from the one at the block's output.
    func finishBackward(_ dy: UnsafePointer<S>, _ output: PassOutput, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        let width = description.width
        let layer = description.depth
        let gradient = run.scratch.takeZeros(run.rows * width)
        switch output {
        case .hiddenStates:
            normBackward(dy, rows: run.rows, x: run.kept(layer, Key.rows), into: gradient, run)
        case .features(.mean):
            let spread = run.scratch.takeZeros(run.rows * width)
            for sample in 0..<run.samples {
                let rows = meanRows(sample, run)
                let factor = 1 / S(max(1, rows.count))
                for row in rows { addScaled(width, factor, dy + sample * width, spread + row * width) }
            }
            normBackward(spread, rows: run.rows, x: run.kept(layer, Key.rows), into: gradient, run)
        case .features(let pooling):
            let rows = run.scratch.take(run.samples * width)
            let gathered = run.kept(layer, Key.gathered)
            if pooling == .pooler, let pooler = parts.pooler {
                let slope = run.scratch.take(run.samples * width)
                let pooled = run.kept(layer, Key.pooled)
                for i in 0..<run.samples * width { slope[i] = dy[i] * (1 - pooled[i] * pooled[i]) }
                if let target = run.parameterGradient {
                    pooler.accumulateGradient(
                        rows: run.samples, run.kept(layer, Key.normed), dy: slope, into: target)
                }
                let inner = run.scratch.take(run.samples * width)
                pooler.backward(rows: run.samples, dy: slope, dx: inner)
                normBackward(inner, rows: run.samples, x: gathered, into: rows, run)
            } else {
                normBackward(dy, rows: run.samples, x: gathered, into: rows, run)
            }
            for sample in 0..<run.samples {
                (gradient + chosenRow(pooling, sample, run) * width).update(from: rows + sample * width, count: width)
            }
        }
        return gradient
    }

    private func normBackward(
        _ dy: UnsafePointer<S>, rows: Int, x: UnsafePointer<S>, into dx: UnsafeMutablePointer<S>, _ run: BlockRun<S>
    ) {
        guard let norm = parts.finalNorm else {
            dx.update(from: dy, count: rows * description.width)
            return
        }
        norm.backward(
            parameters, rows: rows, dy: dy, x, statistics: run.kept(description.depth, Key.statistics), dx: dx,
            accumulate: false, gradient: run.parameterGradient)
    }
}
