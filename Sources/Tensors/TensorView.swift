import Diagnostics

/// One tensor somewhere in memory, row-major, little-endian, at any alignment. Copying the value copies no data.
public struct TensorView: Sendable {
    public let name: String
    public let dtype: DType
    public let shape: [Int]
    /// The elements; length = product of shape × bits / 8.
    nonisolated(unsafe) public let bytes: UnsafeRawBufferPointer
    /// Keeps the memory alive: a `MappedFile` or a `TensorBuffer`.
    public let owner: any AnyObject & Sendable

    public init(
        name: String, dtype: DType, shape: [Int], bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable
    ) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
        self.owner = owner
    }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
}
