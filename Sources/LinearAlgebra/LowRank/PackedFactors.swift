import Tensors

/// One low-rank update ΔW = scale · B · A, laid out for forming rows of it again and again.
///
/// Every entry is the sum of its r terms in the order of the inner index, one fused multiply-add each, with the scale
/// taken into A beforehand: the same bits whatever rows are asked for at a time, on every CPU. Single precision.
public struct PackedFactors: Sendable {
    /// m, the rows of ΔW.
    public let rows: Int
    /// n, the columns of ΔW.
    public let columns: Int
    private let rank: Int
    /// B, [m, r]
    private let b: [Float]
    /// scale · Aᵀ as `PackedProduct` wants it
    private let packed: [Float]

    /// Reads A once; takes r·n numbers beside B.
    public init(_ factors: LowRankFactors) {
        rows = factors.rows
        columns = factors.columns
        rank = factors.rank
        b = factors.b.elements
        let (a, scale) = (factors.a, Float(factors.scale))
        packed = [Float](unsafeUninitializedCapacity: PackedProduct.count(outputs: a.columns, inputs: a.rows)) {
            target, initialized in
            target.initialize(repeating: 0)
            initialized = target.count
            a.elements.withUnsafeBufferPointer { source in
                guard let to = target.baseAddress, let from = source.baseAddress else { return }
                PackedProduct.pack(
                    outputs: a.columns, inputs: a.rows, weight: from, outputStride: 1, inputStride: a.columns,
                    alpha: scale, into: to)
            }
        }
    }

    /// The factors are so large that an entry may overflow on the way, and become infinite or undefined.
    public var mayOverflow: Bool {
        let largest = { (values: [Float]) in values.reduce(0) { max($0, abs(Double($1))) } }
        return !(Double(rank) * largest(b) * largest(packed) <= Double(Float.greatestFiniteMagnitude))
    }

    /// Writes the rows `range` of ΔW, row-major, into `target` (range.count × columns).
    ///
    /// - Parameter accumulate: adds to what stands there, as the last term of each sum.
    public func product(
        rows range: Range<Int>, into target: UnsafeMutableBufferPointer<Float>, accumulate: Bool = false
    ) {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows && target.count == range.count * columns)
        guard let output = target.baseAddress else { return }
        guard rank > 0 else {
            if !accumulate { target.update(repeating: 0) }
            return
        }
        b.withUnsafeBufferPointer { b in
            packed.withUnsafeBufferPointer { packed in
                guard let x = b.baseAddress, let w = packed.baseAddress else { return }
                PackedProduct.multiply(
                    rows: range.count, outputs: columns, inputs: rank, x: x + range.lowerBound * rank, ldx: rank,
                    packed: w, bias: nil, y: output, ldy: columns, accumulate: accumulate)
            }
        }
    }
}
