import LinearAlgebra
import Tensors

/// Σ c_i X_i, added to the base and written out, stretch by stretch: class G, and everything that comes down to it.
struct TensorCombination {
    let task: TensorTask
    let coefficients: [Double]
    let zeroNonFinite: Bool

    /// Numbers of one stretch where nothing asks for whole rows; a few such buffers stay in the first two caches.
    private static let stretch = 4096
    /// Numbers of one piece of work; also the granularity of the sums of squares, so it is fixed.
    private static let pieceCount = 8 << 20

    var grid: TensorGrid { task.needsRows ? task.grid : TensorGrid(rows: task.count, columns: 1) }

    /// Rows of one stretch.
    private var height: Int { task.needsRows ? LowRankFactors.denseTile : TensorCombination.stretch }

    /// Ranges of rows that may be worked on at the same time, each a piece of output; the first begins at 0.
    var pieces: [Range<Int>] {
        let grid = grid
        guard grid.count > 0 else { return [] }
        let rows = max(1, TensorCombination.pieceCount / max(1, grid.columns) / height) * height
        return stride(from: 0, to: grid.rows, by: rows).map { $0..<min($0 + rows, grid.rows) }
    }

    /// What a piece came to.
    struct Outcome: Sendable {
        /// Σ of the squares of Σ c_i X_i.
        var sumOfSquares = 0.0
        var maxError = 0.0
    }

    /// Writes one piece.
    func run(_ rows: Range<Int>, to output: CheckpointOutput, index: Int) throws -> Outcome {
        var sink = TensorSink(task, output, index: index, start: rows.lowerBound * grid.columns)
        let reader = try TensorReader(task, grid: grid, zeroNonFinite: zeroNonFinite)
        var outcome = Outcome()
        if task.isDouble {
            outcome.sumOfSquares = try combine(rows, reader, &sink, as: Double.self) { try $1.append($0) }
        } else if let fold = try LowRankFold(task, coefficients) {
            outcome.sumOfSquares = try fold.run(rows, reader, &sink, height: height)
        } else {
            outcome.sumOfSquares = try combine(rows, reader, &sink, as: Float.self) { try $1.append($0) }
        }
        try sink.flush()
        outcome.maxError = sink.rounding.maxError
        reader.release(rows)
        return outcome
    }

    /// Sums in double precision in the order of the operands.
    private func combine<S: StackScalar>(
        _ rows: Range<Int>, _ reader: TensorReader, _ sink: inout TensorSink, as type: S.Type,
        _ append: (UnsafeBufferPointer<S>, inout TensorSink) throws -> Void
    ) throws -> Double {
        let capacity = min(height, rows.count) * grid.columns
        var total = 0.0
        try withUnsafeTemporaryAllocation(of: S.self, capacity: 2 * capacity) { numbers in
            try withUnsafeTemporaryAllocation(of: Double.self, capacity: capacity) { sums in
                guard let values = numbers.baseAddress, let sum = sums.baseAddress else { return }
                for start in stride(from: rows.lowerBound, to: rows.upperBound, by: height) {
                    let range = start..<min(start + height, rows.upperBound)
                    let count = range.count * grid.columns
                    let base = UnsafeMutableBufferPointer(start: values, count: count)
                    let update = UnsafeMutableBufferPointer(start: values + capacity, count: count)
                    try reader.base(range, into: base)
                    sum.update(repeating: 0, count: count)
                    for (i, c) in coefficients.enumerated() {
                        try reader.update(i, range, base: values, into: update)
                        TensorCombination.accumulate(c, values + capacity, count, sum)
                    }
                    total += TensorCombination.finish(sum, count, values)
                    try append(UnsafeBufferPointer(base), &sink)
                }
            }
        }
        return total
    }

    /// sum += c · x
    @_specialize(where S == Float)
    @_specialize(where S == Double)
    private static func accumulate<S: StackScalar>(
        _ c: Double, _ x: UnsafePointer<S>, _ count: Int, _ sum: UnsafeMutablePointer<Double>
    ) {
        for e in 0..<count { sum[e] += c * Double(x[e]) }
    }

    /// base += sum, rounded once; the sum of the squares of `sum`.
    @_specialize(where S == Float)
    @_specialize(where S == Double)
    private static func finish<S: StackScalar>(
        _ sum: UnsafePointer<Double>, _ count: Int, _ base: UnsafeMutablePointer<S>
    ) -> Double {
        var lanes = SIMD8<Double>.zero
        var e = 0
        while e &+ 8 <= count {
            let part = UnsafeRawPointer(sum + e).loadUnaligned(as: SIMD8<Double>.self)
            lanes += part * part
            e &+= 8
        }
        var total = lanes.sum()
        while e < count {
            total += sum[e] * sum[e]
            e &+= 1
        }
        for e in 0..<count { base[e] = S(Double(base[e]) + sum[e]) }
        return total
    }
}

/// c · s · B · A added to the base in one go: the product's sums begin with the base's numbers.
struct LowRankFold {
    private let columns: Int
    private let packed: PackedFactors
    private let squares: Double

    /// nil unless the only operand is a plain low-rank update of a base.
    init?(_ task: TensorTask, _ coefficients: [Double]) throws {
        guard task.base != nil, task.operands.count == 1, let module = task.operands[0].lowRank, coefficients[0] != 0
        else {
            return nil
        }
        let factors = try module.baseFactors()
        guard factors.rank > 0, factors.columns > 0 else { return nil }
        columns = factors.columns
        let scale = coefficients[0] * factors.scale
        packed = PackedFactors(LowRankFactors(b: factors.b, a: factors.a, scale: scale))
        let norm = abs(scale) * (try FactorPair(a: factors.a, b: factors.b).frobenius())
        squares = norm * norm
    }

    /// Writes base + update of some rows.
    ///
    /// - Returns: the sum of the squares of the whole update, with the first rows only.
    func run(
        _ rows: Range<Int>, _ reader: TensorReader, _ sink: inout TensorSink, height: Int
    ) throws -> Double {
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: min(height, rows.count) * columns) { tile in
            for start in stride(from: rows.lowerBound, to: rows.upperBound, by: height) {
                let range = start..<min(start + height, rows.upperBound)
                let values = UnsafeMutableBufferPointer(rebasing: tile[..<(range.count * columns)])
                try reader.base(range, into: values)
                packed.product(rows: range, into: values, accumulate: true)
                try sink.append(UnsafeBufferPointer(values))
            }
        }
        return rows.lowerBound == 0 ? squares : 0
    }
}
