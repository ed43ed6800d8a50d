import Diagnostics
import Tensors

/// One side of several low-rank updates as one tall matrix S of `length` × `count`: the columns of all B_i side by
/// side, or the columns of all A_iᵀ.
///
/// The numbers stay in single precision where they are; products convert them to double precision tile by tile.
/// Tiles have one fixed length and begin at its multiples, so that results do not depend on who asks for which part.
struct FactorStack: Sendable {
    enum Side: Sendable {
        /// Parts are length×r_i (B): a tile is some rows, tile×count in row-major order.
        case left
        /// Parts are r_i×length (A): a tile is some columns, count×tile in row-major order.
        case right
    }

    static let tile = 256

    let side: Side
    let parts: [Matrix<Float>]
    /// m for B, n for A.
    let length: Int
    /// R, the sum of the ranks.
    let count: Int

    init(_ parts: [Matrix<Float>], side: Side) {
        self.side = side
        self.parts = parts
        length = (side == .left ? parts.first?.rows : parts.first?.columns) ?? 0
        count = parts.reduce(0) { $0 + (side == .left ? $1.columns : $1.rows) }
    }

    /// Converts the tile `range` into `target`.
    func load(_ range: Range<Int>, into target: UnsafeMutablePointer<Double>) {
        var first = 0
        for part in parts {
            part.elements.withUnsafeBufferPointer { source in
                guard let source = source.baseAddress else { return }
                switch side {
                case .left:
                    for row in range {
                        let from = source + row * part.columns
                        let to = target + (row - range.lowerBound) * count + first
                        for j in 0..<part.columns { to[j] = Double(from[j]) }
                    }
                    first += part.columns
                case .right:
                    for row in 0..<part.rows {
                        let from = source + row * length + range.lowerBound
                        let to = target + (first + row) * range.count
                        for j in 0..<range.count { to[j] = Double(from[j]) }
                    }
                    first += part.rows
                }
            }
        }
    }

    /// Calls `body` with every tile in order; the memory of the tile is reused.
    func forEachTile(_ body: (Range<Int>, UnsafeMutablePointer<Double>) throws -> Void) throws {
        guard length > 0, count > 0 else { return }
        let capacity = min(FactorStack.tile, length) * count
        try withUnsafeTemporaryAllocation(of: Double.self, capacity: capacity) { scratch in
            guard let scratch = scratch.baseAddress else { return }
            for start in stride(from: 0, to: length, by: FactorStack.tile) {
                let range = start..<min(start + FactorStack.tile, length)
                load(range, into: scratch)
                try body(range, scratch)
            }
        }
    }

    /// SᵀS, count×count. The products of single precision numbers are exact; only the sums round.
    func gram() throws -> Matrix<Double> {
        var result = Matrix<Double>(rows: count, columns: count)
        let n = try blasDimension(count)
        try result.elements.withUnsafeMutableBufferPointer { c in
            guard let c = c.baseAddress else { return }
            try forEachTile { range, tile in
                let k = Int32(range.count)
                Double.syrk(
                    transpose: side == .left, n: n, k: k, alpha: 1, a: tile, lda: side == .left ? n : k, beta: 1, c: c,
                    ldc: n)
            }
        }
        result.mirrorUpperTriangle()
        return result
    }

    /// Sᵀ in double precision, count×length in row-major order.
    func transposedInDouble() -> Matrix<Double> {
        Matrix.stacked(parts.map { side == .left ? $0.transposed().inDouble : $0.inDouble })
    }
}
