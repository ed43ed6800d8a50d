import Diagnostics
import Tensors
import Testing

@Suite struct TensorViewTests {
    static let readable: [DType] = [.f64, .f32, .f16, .bf16, .f8e4m3, .f8e5m2]

    /// 5003 small integers of type `dtype`, `shift` bytes past an aligned address.
    static func view(_ dtype: DType, shift: Int) throws -> (TensorView, [Float]) {
        let size = dtype.bits / 8
        let values = (0..<5003).map { Float($0 % 7) - 3 }
        let memory = try TensorBuffer(name: "memory", dtype: .u8, shape: [5003 * size + 16])
        let target = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[shift..<shift + 5003 * size])
        if let table = ByteFloat.values(of: dtype) {
            for (i, value) in values.enumerated() { target[i] = UInt8(table.firstIndex(of: value) ?? 0) }
        } else {
            try values.withUnsafeBufferPointer { _ = try FloatConversion.narrow($0, to: dtype, into: target) }
        }
        let bytes = UnsafeRawBufferPointer(target)
        return (TensorView(name: "t", dtype: dtype, shape: [5003], bytes: bytes, owner: memory), values)
    }

    @Test(arguments: readable, [0, 1, 2, 3, 5, 7])
    func readsAtAnyAlignment(_ dtype: DType, _ shift: Int) throws {
        let (view, values) = try TensorViewTests.view(dtype, shift: shift)
        #expect(try view.floatMatrix(rows: 1, columns: 5003).elements == values)
        #expect(try view.doubleMatrix(rows: 5003, columns: 1).elements == values.map(Double.init))
        var part = [Float](repeating: 9, count: 100)
        try part.withUnsafeMutableBufferPointer { try view.copy(elements: 33..<133, into: $0) }
        #expect(part == Array(values[33..<133]))
        let statistics = try view.statistics()
        #expect(statistics.minimum == -3 && statistics.maximum == 3)
    }

    @Test(arguments: [DType.i8, .u8, .i16, .i32, .i64, .u64, .bool, .c64, .f4, .f6e2m3, .f6e3m2])
    func refusesWhatIsNoWeight(_ dtype: DType) throws {
        let memory = try TensorBuffer(name: "memory", dtype: .u8, shape: [256])
        let bytes = UnsafeRawBufferPointer(rebasing: memory.view.bytes[..<(16 * dtype.bits / 8)])
        let view = TensorView(name: "layer.0", dtype: dtype, shape: [4, 4], bytes: bytes, owner: memory)
        for read in [
            { _ = try view.floatMatrix(rows: 4, columns: 4) }, { _ = try view.doubleMatrix(rows: 4, columns: 4) },
            { _ = try view.statistics() },
        ] {
            let failure = try #require(throws: Failure.self) { try read() }
            #expect(failure.code == .adapterBadDtype)
            #expect(failure.place == "layer.0")
        }
    }

    @Test func refusesAWrongShape() throws {
        let (view, _) = try TensorViewTests.view(.f32, shift: 0)
        let failure = try #require(throws: Failure.self) { _ = try view.floatMatrix(rows: 50, columns: 100) }
        #expect(failure.code == .adapterShapeMismatch)
    }

    @Test func doublePrecisionIsReadExactlyOrRoundedOnce() throws {
        let values: [Double] = [1 + 0x1p-40, 1e300, -1e-300, 0.1, .infinity]
        let buffer = try TensorBuffer(name: "x", dtype: .f64, shape: [5])
        for (i, value) in values.enumerated() {
            buffer.bytes.storeBytes(of: value, toByteOffset: 8 * i, as: Double.self)
        }
        #expect(try buffer.view.doubleMatrix(rows: 1, columns: 5).elements == values)
        #expect(try buffer.view.floatMatrix(rows: 1, columns: 5).elements == values.map(Float.init))
    }
}

@Suite struct TensorBufferTests {
    @Test func isAlignedAndZero() throws {
        let buffer = try TensorBuffer(name: "z", dtype: .bf16, shape: [3, 5])
        #expect(buffer.count == 15)
        #expect(UInt(bitPattern: buffer.bytes.baseAddress) % 64 == 0)
        #expect(buffer.bytes.allSatisfy { $0 == 0 })
        #expect(try TensorBuffer(name: "e", dtype: .f32, shape: [0, 4]).count == 0)
    }

    @Test func viewKeepsTheMemoryAlive() throws {
        let matrix = Matrix<Float>(rows: 2, columns: 3, elements: [1, 2, 3, 4, 5, 6])
        let view = try TensorBuffer(name: "kept", dtype: .f16, matrix: matrix).view
        #expect(view.name == "kept" && view.shape == [2, 3] && view.bytes.count == 12)
        #expect(try view.floatMatrix(rows: 2, columns: 3) == matrix)
    }

    @Test func writesParts() throws {
        let buffer = try TensorBuffer(name: "x", dtype: .bf16, shape: [6])
        try [Float(3), 4].withUnsafeBufferPointer { _ = try buffer.write($0, at: 2) }
        #expect(try buffer.view.floatMatrix(rows: 1, columns: 6).elements == [0, 0, 3, 4, 0, 0])
    }

    @Test func refusesImpossibleSizesAndTypes() throws {
        let huge = try #require(throws: Failure.self) {
            try TensorBuffer(name: "x", dtype: .f32, shape: [1 << 40, 1 << 40])
        }
        #expect(huge.code == .numericDimensionLimit)
        let negative = try #require(throws: Failure.self) { try TensorBuffer(name: "x", dtype: .f32, shape: [-1]) }
        #expect(negative.code == .numericDimensionLimit)
        let integers = try TensorBuffer(name: "x", dtype: .i32, shape: [4])
        let failure = try #require(throws: Failure.self) {
            try [Float(1)].withUnsafeBufferPointer { _ = try integers.write($0) }
        }
        #expect(failure.code == .adapterBadDtype)
    }
}
