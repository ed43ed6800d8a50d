/// A dense matrix in row-major order: entry (i, j) stands at `elements[i * columns + j]`.
public struct Matrix<Element: BinaryFloatingPoint & Sendable>: Sendable, Equatable {
    public let rows: Int
    public let columns: Int
    public var elements: [Element]

    public init(rows: Int, columns: Int, elements: [Element]) {
        precondition(elements.count == rows * columns, "\(elements.count) elements for \(rows)×\(columns)")
        self.rows = rows
        self.columns = columns
        self.elements = elements
    }

    public init(rows: Int, columns: Int) {
        self.init(rows: rows, columns: columns, elements: [Element](repeating: 0, count: rows * columns))
    }

    @inlinable
    public subscript(row: Int, column: Int) -> Element {
        get { elements[row * columns + column] }
        set { elements[row * columns + column] = newValue }
    }

    /// A matrix whose elements `body` writes, all of them, in row-major order; the buffer arrives uninitialised.
    @inlinable
    public init(rows: Int, columns: Int, writtenBy body: (UnsafeMutableBufferPointer<Element>) throws -> Void) rethrows
    {
        precondition(rows >= 0 && columns >= 0)
        let count = rows * columns
        elements = try [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
            try body(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            initialized = count
        }
        self.rows = rows
        self.columns = columns
    }
}
