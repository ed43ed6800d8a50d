import Tensors

/// A tall matrix P = S·X or P = Q·X of which any part can be written out: S is a stack of stored factors, Q an
/// orthonormal basis of their range.
///
/// Left products have the rows of P as rows (m×q); right products are written transposed (q×n), as a factor A is
/// stored. Each entry is the same whatever part is asked for, on every thread.
public struct TallProduct: Sendable {
    let stack: FactorStack
    /// Coefficients on the columns of S, or on those of Q.
    let x: Matrix<Double>
    /// Qᵀ, when the basis is explicit.
    let qTransposed: Matrix<Double>?

    /// X with P = [B_0 B_1 …]·X (or Pᵀ = Xᵀ·[A_0; A_1; …]): lets a caller form P from the stored factors later.
    /// Nil when the basis is known by its vectors only.
    public var coefficients: Matrix<Double>? { qTransposed == nil ? x : nil }
    /// m or n.
    public var length: Int { stack.length }
    /// q, the number of vectors.
    public var count: Int { x.columns }

    /// All of P: m×q for left products, q×n for right products.
    public func matrix() throws -> Matrix<Float> {
        try shaped { try write(0..<length, into: $0) }
    }

    /// All of P in double precision.
    public func doubleMatrix() throws -> Matrix<Double> {
        try shaped { try write(0..<length, into: $0) }
    }

    /// Writes the rows (left) or columns (right) of `range`, row-major, into `target` (range.count · count numbers).
    ///
    /// - Throws: `numeric.dimension_limit`.
    public func write(_ range: Range<Int>, into target: UnsafeMutableBufferPointer<Float>) throws {
        precondition(target.count == range.count * count)
        guard let output = target.baseAddress else { return }
        try forEachRun(of: range) { offset, values, length in
            let to = output + offset
            for i in 0..<length { to[i] = Float(values[i]) }
        }
    }

    /// Writes the rows (left) or columns (right) of `range` in double precision.
    ///
    /// - Throws: `numeric.dimension_limit`.
    public func write(_ range: Range<Int>, into target: UnsafeMutableBufferPointer<Double>) throws {
        precondition(target.count == range.count * count)
        guard let output = target.baseAddress else { return }
        try forEachRun(of: range) { offset, values, length in (output + offset).update(from: values, count: length) }
    }

    private func shaped<S: BLASScalar>(
        _ body: (UnsafeMutableBufferPointer<S>) throws -> Void
    ) rethrows -> Matrix<S> {
        stack.side == .left
            ? try Matrix(rows: length, columns: count, writtenBy: body)
            : try Matrix(rows: count, columns: length, writtenBy: body)
    }

    /// Forms the tiles that `range` touches and hands on its contiguous runs with their places in the target.
    @inline(__always)
    private func forEachRun(
        of range: Range<Int>, _ store: (_ offset: Int, UnsafePointer<Double>, _ length: Int) -> Void
    ) throws {
        precondition(range.lowerBound >= 0 && range.upperBound <= length)
        guard !range.isEmpty, count > 0 else { return }
        let tile = FactorStack.tile
        let inputs = qTransposed == nil ? tile * stack.count : 0
        try withUnsafeTemporaryAllocation(of: Double.self, capacity: inputs + tile * count) { scratch in
            guard let input = scratch.baseAddress else { return }
            let result = input + inputs
            for start in stride(from: range.lowerBound / tile * tile, to: range.upperBound, by: tile) {
                let whole = start..<min(start + tile, length)
                try form(whole, input: input, result: result)
                let wanted = whole.clamped(to: range)
                let skip = wanted.lowerBound - whole.lowerBound
                let place = wanted.lowerBound - range.lowerBound
                if stack.side == .left {
                    store(place * count, result + skip * count, wanted.count * count)
                } else {
                    for j in 0..<count {
                        store(j * range.count + place, result + j * whole.count + skip, wanted.count)
                    }
                }
            }
        }
    }

    /// One tile of P in double precision: tile×q (left) or q×tile (right).
    private func form(
        _ tile: Range<Int>, input: UnsafeMutablePointer<Double>, result: UnsafeMutablePointer<Double>
    ) throws {
        let h = Int32(tile.count)
        let q = try blasDimension(count)
        let k = try blasDimension(x.rows)
        try x.elements.withUnsafeBufferPointer { x in
            guard let x = x.baseAddress, k > 0 else { return result.update(repeating: 0, count: tile.count * count) }
            if let qTransposed {
                let stride = try blasDimension(length)
                qTransposed.elements.withUnsafeBufferPointer { basis in
                    guard let basis = basis.baseAddress else { return }
                    multiplyTile(basis + tile.lowerBound, stride, stored: false, x, h: h, q: q, k: k, result)
                }
            } else {
                stack.load(tile, into: input)
                multiplyTile(input, stack.side == .left ? k : h, stored: true, x, h: h, q: q, k: k, result)
            }
        }
    }

    /// `source` is k×h, or h×k for a loaded tile of a left stack.
    private func multiplyTile(
        _ source: UnsafePointer<Double>, _ stride: Int32, stored: Bool, _ x: UnsafePointer<Double>, h: Int32,
        q: Int32, k: Int32, _ result: UnsafeMutablePointer<Double>
    ) {
        if stack.side == .left {
            Double.gemm(
                transposeA: !stored, transposeB: false, m: h, n: q, k: k, alpha: 1, a: source, lda: stride, b: x,
                ldb: q, beta: 0, c: result, ldc: q)
        } else {
            Double.gemm(
                transposeA: true, transposeB: false, m: q, n: h, k: k, alpha: 1, a: x, lda: q, b: source, ldb: stride,
                beta: 0, c: result, ldc: h)
        }
    }
}
