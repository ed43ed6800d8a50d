import LinearAlgebra
import Tensors

/// Class G with one coefficient per operand and row or column, on full weights: one pass for the inner products, one
/// for the sums.
struct TensorSlices {
    let task: TensorTask
    let axis: SliceAxis
    let zeroNonFinite: Bool

    private var grid: TensorGrid { task.grid }
    private var height: Int { max(1, min(LowRankFactors.denseTile, grid.rows)) }

    func run(
        _ rule: @Sendable (MethodContext, Matrix<Double>) throws -> Matrix<Double>, to output: CheckpointOutput,
        index: Int
    ) throws -> CheckpointOutput.Summary {
        guard let context = task.context else { throw task.unsupported("this method") }
        let coefficients = try rule(context, try products())
        var sink = TensorSink(task, output, index: index)
        var squares = 0.0
        try forEachTile { rows, base, updates in
            var sums = [Double](repeating: 0, count: rows.count * grid.columns)
            for (i, update) in updates.enumerated() {
                for row in 0..<rows.count {
                    let c = axis == .rows ? coefficients[rows.lowerBound + row, i] : 0
                    for j in 0..<grid.columns {
                        let e = row * grid.columns + j
                        sums[e] += (axis == .rows ? c : coefficients[j, i]) * update[e]
                    }
                }
            }
            for e in sums.indices {
                squares += sums[e] * sums[e]
                sums[e] += base[e]
            }
            if task.dtype == .f64 {
                try sums.withUnsafeBufferPointer { try sink.append($0) }
            } else {
                let floats = sums.map { Float($0) }
                try floats.withUnsafeBufferPointer { try sink.append($0) }
            }
        }
        try sink.flush()
        return CheckpointOutput.Summary(frobenius: squares.squareRoot(), maxError: sink.rounding.maxError)
    }

    /// ⟨slice k of X_i, slice k of X_j⟩ at (k, i·T + j).
    private func products() throws -> Matrix<Double> {
        let count = task.operands.count
        var result = Matrix<Double>(rows: axis == .rows ? grid.rows : grid.columns, columns: count * count)
        try forEachTile { rows, _, updates in
            for i in 0..<count {
                for j in i..<count {
                    for row in 0..<rows.count {
                        for column in 0..<grid.columns {
                            let e = row * grid.columns + column
                            let slice = axis == .rows ? rows.lowerBound + row : column
                            result[slice, i * count + j] += updates[i][e] * updates[j][e]
                        }
                    }
                }
            }
        }
        for k in 0..<result.rows {
            for i in 0..<count {
                for j in 0..<i { result[k, i * count + j] = result[k, j * count + i] }
            }
        }
        guard result.elements.allSatisfy(\.isFinite) else { throw try task.nonFinite() }
        return result
    }

    /// Base and updates of every tile of rows, in order, in double precision.
    private func forEachTile(
        _ body: (Range<Int>, UnsafePointer<Double>, [UnsafePointer<Double>]) throws -> Void
    ) throws {
        let reader = try TensorReader(task, grid: grid, zeroNonFinite: zeroNonFinite)
        let size = max(1, height * grid.columns)
        try withUnsafeTemporaryAllocation(of: Double.self, capacity: size * (task.operands.count + 1)) { scratch in
            guard let base = scratch.baseAddress else { return }
            for start in stride(from: 0, to: grid.rows, by: height) {
                let rows = start..<min(start + height, grid.rows)
                let length = rows.count * grid.columns
                try reader.base(rows, into: UnsafeMutableBufferPointer(start: base, count: length))
                var updates: [UnsafePointer<Double>] = []
                for i in task.operands.indices {
                    let target = base + (i + 1) * size
                    try reader.update(
                        i, rows, base: base, into: UnsafeMutableBufferPointer(start: target, count: length))
                    updates.append(UnsafePointer(target))
                }
                try body(rows, UnsafePointer(base), updates)
            }
        }
    }
}
