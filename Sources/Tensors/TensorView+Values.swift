import Diagnostics

extension TensorView {
    /// Number of bytes of one element.
    private var elementSize: Int { dtype.bits / 8 }

    /// Converts all elements, row-major, into `target`, whose length is `count`.
    ///
    /// - Throws: `adapter.bad_dtype` unless the type is F64, F32, F16, BF16 or an F8 number type.
    public func copy(into target: UnsafeMutableBufferPointer<Float>) throws {
        try copy(elements: 0..<count, into: target)
    }

    /// Converts all elements, row-major, into `target`, whose length is `count`.
    ///
    /// - Throws: `adapter.bad_dtype` unless the type is F64, F32, F16, BF16 or an F8 number type.
    public func copy(into target: UnsafeMutableBufferPointer<Double>) throws {
        try copy(elements: 0..<count, into: target)
    }

    /// Converts the elements of `range` (positions in row-major order).
    public func copy(elements range: Range<Int>, into target: UnsafeMutableBufferPointer<Float>) throws {
        let source = try rawElements(range)
        precondition(target.count == range.count, "\(target.count) places for \(range.count) elements")
        try named { try FloatConversion.widen(source, from: dtype, into: target) }
    }

    /// Converts the elements of `range` (positions in row-major order).
    public func copy(elements range: Range<Int>, into target: UnsafeMutableBufferPointer<Double>) throws {
        let source = try rawElements(range)
        precondition(target.count == range.count, "\(target.count) places for \(range.count) elements")
        try named { try FloatConversion.widen(source, from: dtype, into: target) }
    }

    /// All elements as a rows×columns matrix, whatever the shape, in row-major order.
    ///
    /// - Throws: `adapter.shape_mismatch` when the number of elements is not rows·columns, `adapter.bad_dtype`.
    public func floatMatrix(rows: Int, columns: Int) throws -> Matrix<Float> {
        try checkCount(rows, columns)
        return try Matrix(rows: rows, columns: columns, writtenBy: { try copy(into: $0) })
    }

    /// All elements as a rows×columns matrix in double precision; exact for every type.
    ///
    /// - Throws: `adapter.shape_mismatch` when the number of elements is not rows·columns, `adapter.bad_dtype`.
    public func doubleMatrix(rows: Int, columns: Int) throws -> Matrix<Double> {
        try checkCount(rows, columns)
        return try Matrix(rows: rows, columns: columns, writtenBy: { try copy(into: $0) })
    }

    /// The bytes of a range of elements.
    ///
    /// - Throws: `adapter.bad_dtype` for types narrower than 8 bits.
    func rawElements(_ range: Range<Int>) throws -> UnsafeRawBufferPointer {
        guard dtype.bits >= 8 else { throw named(FloatConversion.badType(dtype)) }
        let bounds = range.lowerBound * elementSize..<range.upperBound * elementSize
        precondition(bounds.lowerBound >= 0 && bounds.upperBound <= bytes.count, "elements \(range) of \(count)")
        return UnsafeRawBufferPointer(rebasing: bytes[bounds])
    }

    private func checkCount(_ rows: Int, _ columns: Int) throws {
        let (product, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow, product == count else {
            throw Failure(
                .adapterShapeMismatch, "a tensor of shape \(shape) cannot be read as a \(rows)×\(columns) matrix",
                place: name)
        }
    }

    func named<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let failure as Failure { throw named(failure) }
    }

    private func named(_ failure: Failure) -> Failure {
        var copy = failure
        if copy.place == nil { copy.place = name }
        return copy
    }
}
