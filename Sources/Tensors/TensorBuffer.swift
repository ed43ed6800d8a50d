import Diagnostics
import Foundation

/// A tensor that owns its memory: row-major, 64-byte aligned, little-endian.
///
/// Several threads may write to disjoint parts at the same time; nobody may write while views are being read.
public final class TensorBuffer: @unchecked Sendable {
    public let name: String
    public let dtype: DType
    public let shape: [Int]
    public let bytes: UnsafeMutableRawBufferPointer

    /// A tensor of zeros.
    ///
    /// - Throws: `numeric.dimension_limit` when the size does not fit into an `Int`, `adapter.bad_dtype` for a type
    ///   narrower than 8 bits, `io.too_large` when there is not enough memory.
    public init(name: String, dtype: DType, shape: [Int]) throws {
        guard dtype.bits >= 8 else { throw FloatConversion.badType(dtype) }
        var size = dtype.bits / 8
        for dimension in shape {
            let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
            guard dimension >= 0, !overflow else {
                throw Failure(.numericDimensionLimit, "a tensor of shape \(shape) is too large", place: name)
            }
            size = product
        }
        self.name = name
        self.dtype = dtype
        self.shape = shape
        var memory: UnsafeMutableRawPointer?
        guard posix_memalign(&memory, 64, max(size, 1)) == 0, let memory else {
            throw Failure(.ioTooLarge, "no memory for \(size) bytes", place: name)
        }
        memset(memory, 0, size)
        bytes = UnsafeMutableRawBufferPointer(start: memory, count: size)
    }

    /// The matrix, rounded to `dtype`, as a tensor of two dimensions.
    ///
    /// - Throws: `adapter.bad_dtype` unless `dtype` is F64, F32, F16 or BF16; as `init(name:dtype:shape:)`.
    public convenience init(name: String, dtype: DType, matrix: Matrix<Float>) throws {
        try self.init(name: name, dtype: dtype, shape: [matrix.rows, matrix.columns])
        try matrix.elements.withUnsafeBufferPointer { _ = try write($0) }
    }

    deinit { free(bytes.baseAddress) }

    /// Number of elements.
    public var count: Int { bytes.count / (dtype.bits / 8) }

    /// The same memory, read-only; keeps this object alive.
    public var view: TensorView {
        TensorView(name: name, dtype: dtype, shape: shape, bytes: UnsafeRawBufferPointer(bytes), owner: self)
    }

    /// Rounds `values` to `dtype` and stores them from element `start` on.
    ///
    /// - Returns: the largest rounding error and the number of values that overflowed to infinity.
    /// - Throws: `adapter.bad_dtype` unless `dtype` is F64, F32, F16 or BF16.
    @discardableResult
    public func write(_ values: UnsafeBufferPointer<Float>, at start: Int = 0) throws -> Rounding {
        precondition(start >= 0 && start + values.count <= count, "\(values.count) values at \(start) of \(count)")
        let target = UnsafeMutableRawBufferPointer(rebasing: bytes[(start * (dtype.bits / 8))...])
        return try FloatConversion.narrow(values, to: dtype, into: target)
    }
}
