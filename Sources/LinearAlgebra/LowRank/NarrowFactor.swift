import Tensors

/// A matrix X of few columns, laid out for products with wide matrices that are read once, as they lie.
///
/// BLAS copies the wide side into a layout of its own, which costs as much as the product where X has some dozen
/// columns. Sums are made in single precision, in stretches of a fixed length that are added up in order, so that no
/// row's result depends on the rows beside it.
public struct NarrowFactor: Sendable {
    /// Rows of X.
    public let rows: Int
    /// Columns of X.
    public let columns: Int
    private let depth: Int
    private let packed: [Float]

    /// Rows of X that a sum runs over at a time: their layout stays in the second cache.
    private static let stretch = 512
    /// The part of the wide matrix that is copied before it is read column by column: as it lies, its rows may be a
    /// multiple of a page apart, and fall on the same lines of the cache.
    private static let tileRows = 64
    private static let tileColumns = 256
    private static let tileStride = tileColumns + 16
    /// Rows of the wide matrix between two visits of a stretch.
    private static let height = 96

    public init(_ x: Matrix<Float>) { self.init(x, depth: NarrowFactor.stretch) }

    private init(_ x: Matrix<Float>, depth: Int) {
        rows = x.rows
        columns = x.columns
        self.depth = depth
        let (rows, columns) = (rows, columns)
        packed = [Float](unsafeUninitializedCapacity: PackedProduct.count(outputs: columns, inputs: rows)) {
            target, initialized in
            target.initialize(repeating: 0)
            initialized = target.count
            x.elements.withUnsafeBufferPointer { source in
                guard let to = target.baseAddress, let from = source.baseAddress else { return }
                for first in stride(from: 0, to: rows, by: depth) {
                    PackedProduct.pack(
                        outputs: columns, inputs: min(depth, rows - first), weight: from + first * columns,
                        outputStride: 1, inputStride: columns,
                        into: to + PackedProduct.count(outputs: columns, inputs: first))
                }
            }
        }
    }

    /// M·X.
    ///
    /// - Parameter m: [k, rows of X]
    public static func product(_ m: Matrix<Float>, _ x: Matrix<Float>) -> Matrix<Float> {
        let factor = NarrowFactor(x)
        return Matrix(rows: m.rows, columns: x.columns) { target in
            m.elements.withUnsafeBufferPointer { factor.product($0, into: target) }
        }
    }

    /// Mᵀ·Y.
    ///
    /// - Parameter m: [rows of Y, k]
    public static func transposedProduct(_ m: Matrix<Float>, _ y: Matrix<Float>) -> Matrix<Float> {
        var sum = Matrix<Float>(rows: m.columns, columns: y.columns)
        m.elements.withUnsafeBufferPointer { addTransposedProduct($0, y, to: &sum) }
        return sum
    }

    /// Writes M·X for rows M that lie one after the other: `m` [k·rows], `target` [k·columns].
    public func product(_ m: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<Float>) {
        precondition(rows == 0 || columns == 0 || m.count / rows == target.count / columns)
        guard rows > 0, columns > 0 else { return target.update(repeating: 0) }
        let count = m.count / rows
        packed.withUnsafeBufferPointer { packed in
            guard let x = m.baseAddress, let w = packed.baseAddress, let y = target.baseAddress else { return }
            for start in stride(from: 0, to: count, by: NarrowFactor.height) {
                for first in stride(from: 0, to: rows, by: depth) {
                    PackedProduct.multiply(
                        rows: min(NarrowFactor.height, count - start), outputs: columns,
                        inputs: min(depth, rows - first), x: x + start * rows + first, ldx: rows,
                        packed: w + PackedProduct.count(outputs: columns, inputs: first), bias: nil,
                        y: y + start * columns, ldy: columns, accumulate: first > 0)
                }
            }
        }
    }

    /// Adds Mᵀ·Y for rows M that lie one after the other: `m` [rows of Y · k], `sum` [k, columns of Y].
    public static func addTransposedProduct(
        _ m: UnsafeBufferPointer<Float>, _ y: Matrix<Float>, to sum: inout Matrix<Float>
    ) {
        precondition(m.count == y.rows * sum.rows && y.columns == sum.columns)
        let factor = NarrowFactor(y, depth: tileRows)
        let (wide, columns) = (sum.rows, y.columns)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: tileRows * tileStride) { tile in
            sum.elements.withUnsafeMutableBufferPointer { sum in
                factor.packed.withUnsafeBufferPointer { packed in
                    guard let from = m.baseAddress, let w = packed.baseAddress, let z = sum.baseAddress,
                        let x = tile.baseAddress
                    else { return }
                    for first in stride(from: 0, to: y.rows, by: tileRows) {
                        let height = min(tileRows, y.rows - first)
                        for column in stride(from: 0, to: wide, by: tileColumns) {
                            let width = min(tileColumns, wide - column)
                            for row in 0..<height {
                                (x + row * tileStride).update(from: from + (first + row) * wide + column, count: width)
                            }
                            PackedProduct.multiply(
                                rows: width, outputs: columns, inputs: height, x: x, ldx: 1, stepX: tileStride,
                                packed: w + PackedProduct.count(outputs: columns, inputs: first), bias: nil,
                                y: z + column * columns, ldy: columns, accumulate: true)
                        }
                    }
                }
            }
        }
    }
}
