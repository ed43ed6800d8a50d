import Tensors
import Testing

@Suite struct ByteFloatTests {
    @Test func e5m2IsTheUpperByteOfF16() throws {
        let table = try #require(ByteFloat.values(of: .f8e5m2))
        for bits in 0..<256 {
            let wide = Float(Float16(bitPattern: UInt16(bits) << 8))
            #expect(table[bits] == wide || (table[bits].isNaN && wide.isNaN))
        }
    }

    @Test(
        arguments: [
            (DType.f8e4m3, [0x00: 0, 0x01: 0x1p-9, 0x07: 0x1.cp-7, 0x08: 0x1p-6, 0x38: 1, 0x7E: 448, 0xB9: -1.125]),
            (.f8e4m3fnuz, [0x00: 0, 0x01: 0x1p-10, 0x08: 0x1p-7, 0x40: 1, 0x7F: 240, 0xFF: -240]),
            (.f8e5m2fnuz, [0x01: 0x1p-17, 0x04: 0x1p-15, 0x40: 1, 0x7F: 57344, 0xFF: -57344]),
            (.f8e8m0, [0x00: 0x1p-127, 0x7F: 1, 0x80: 2, 0xFE: 0x1p127]),
        ] as [(DType, [Int: Float])])
    func knownValues(_ dtype: DType, _ expected: [Int: Float]) throws {
        let table = try #require(ByteFloat.values(of: dtype))
        for (bits, value) in expected { #expect(table[bits] == value) }
    }

    @Test(
        arguments: [
            (DType.f8e4m3, [0x7F, 0xFF]), (.f8e5m2, [0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]), (.f8e4m3fnuz, [0x80]),
            (.f8e5m2fnuz, [0x80]), (.f8e8m0, [0xFF]),
        ] as [(DType, [Int])])
    func exactlyThesePatternsAreNaN(_ dtype: DType, _ expected: [Int]) throws {
        let table = try #require(ByteFloat.values(of: dtype))
        #expect(table.indices.filter { table[$0].isNaN } == expected)
    }

    @Test func otherTypesHaveNoTable() {
        for dtype in [DType.i8, .u8, .bool, .f16, .f4] { #expect(ByteFloat.values(of: dtype) == nil) }
    }
}
