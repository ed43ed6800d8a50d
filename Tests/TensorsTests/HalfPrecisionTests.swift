import Diagnostics
import Tensors
import Testing

/// A 16-bit format as an ordered list of its non-negative finite values, from the definition: the reference against
/// which conversions are checked. Value number i belongs to bit pattern i.
struct HalfFormat: Sendable, CustomTestStringConvertible {
    let dtype: DType
    let mantissaBits: Int
    let bias: Int
    let values: [Double]

    static let f16 = HalfFormat(dtype: .f16, mantissaBits: 10, bias: 15)
    static let bf16 = HalfFormat(dtype: .bf16, mantissaBits: 7, bias: 127)

    init(dtype: DType, mantissaBits: Int, bias: Int) {
        self.dtype = dtype
        self.mantissaBits = mantissaBits
        self.bias = bias
        // One more than the finite values: where infinity begins is decided as if the next power of two existed.
        let infinity = ((1 << (15 - mantissaBits)) - 1) << mantissaBits
        values = (0...infinity).map { bits in
            let exponent = bits >> mantissaBits
            let mantissa = bits & ((1 << mantissaBits) - 1)
            let whole = exponent == 0 ? mantissa : mantissa + (1 << mantissaBits)
            return Double(sign: .plus, exponent: max(exponent, 1) - bias - mantissaBits, significand: Double(whole))
        }
    }

    var testDescription: String { dtype.rawValue }
    var infinity: UInt16 { UInt16(values.count - 1) }

    /// Nearest value, ties to the even bit pattern; nil for NaN.
    func nearest(_ value: Float) -> UInt16? {
        guard !value.isNaN else { return nil }
        let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
        let magnitude = Double(value.magnitude)
        var low = 0
        var high = values.count - 1
        guard magnitude < values[high] else { return sign | infinity }
        while high - low > 1 {
            let middle = (low + high) / 2
            if values[middle] <= magnitude { low = middle } else { high = middle }
        }
        let below = magnitude - values[low]
        let above = values[high] - magnitude
        let up = above < below || (above == below && low % 2 == 1)
        return sign | UInt16(up ? high : low)
    }

    func decoded(_ patterns: [UInt16]) throws -> [Float] {
        var result = [Float](repeating: 7, count: patterns.count)
        try patterns.withUnsafeBytes { source in
            try result.withUnsafeMutableBufferPointer { try FloatConversion.widen(source, from: dtype, into: $0) }
        }
        return result
    }

    func encoded(_ values: [Float]) throws -> (patterns: [UInt16], rounding: Rounding) {
        var result = [UInt16](repeating: 7, count: values.count)
        let rounding = try values.withUnsafeBufferPointer { values in
            try result.withUnsafeMutableBytes { try FloatConversion.narrow(values, to: dtype, into: $0) }
        }
        return (result, rounding)
    }
}

@Suite struct HalfPrecisionTests {
    @Test(arguments: [HalfFormat.f16, .bf16])
    func everyPatternWidens(_ format: HalfFormat) throws {
        let patterns = (0...65535).map { UInt16($0) }
        let widened = try format.decoded(patterns)
        for (bits, value) in zip(patterns, widened) {
            let magnitude = bits & 0x7FFF
            if magnitude > format.infinity {
                #expect(value.isNaN)
            } else if magnitude == format.infinity {
                #expect(value == (bits < 0x8000 ? .infinity : -.infinity))
            } else if Double(value.magnitude) != format.values[Int(magnitude)]
                || (value.sign == .minus) != (bits >= 0x8000)
            {
                Issue.record("\(bits) became \(value)")
            }
        }
    }

    @Test(arguments: [HalfFormat.f16, .bf16])
    func everyPatternSurvivesThereAndBack(_ format: HalfFormat) throws {
        let patterns = (0...65535).map { UInt16($0) }
        let back = try format.encoded(format.decoded(patterns))
        #expect(back.rounding == Rounding())
        for (before, after) in zip(patterns, back.patterns) where before != after {
            // A signalling NaN may come back quiet, with the same sign and payload.
            let quiet = before | UInt16(1 << (format.mantissaBits - 1))
            #expect(before & 0x7FFF > format.infinity && after == quiet)
        }
    }

    @Test(arguments: [HalfFormat.f16, .bf16])
    func valuesAroundEveryMidpointRoundToNearestEven(_ format: HalfFormat) throws {
        var inputs: [Float] = []
        for i in 0..<format.values.count - 1 {
            let middle = Float((format.values[i] + format.values[i + 1]) / 2)
            inputs += [middle, middle.nextUp, middle.nextDown, -middle]
        }
        inputs += [.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0]
        let (patterns, _) = try format.encoded(inputs)
        let wrong = zip(inputs, patterns).filter { format.nearest($0) != $1 }
        #expect(wrong.isEmpty, "\(wrong.prefix(5))")
    }

    @Test(arguments: [HalfFormat.f16, .bf16])
    func randomBitsRoundToNearestEven(_ format: HalfFormat) throws {
        let random = CounterRandom(seed: 11, stream: "bits")
        let inputs = (0..<60000).map { Float(bitPattern: random.word(UInt64($0))) }
        let (patterns, _) = try format.encoded(inputs)
        for (input, pattern) in zip(inputs, patterns) {
            if let expected = format.nearest(input) {
                if pattern != expected { Issue.record("\(input) became \(pattern), not \(expected)") }
            } else {
                #expect(pattern & 0x7FFF > format.infinity)
            }
        }
    }

    @Test(arguments: [HalfFormat.f16, .bf16])
    func nanStaysNanWhateverItsPayload(_ format: HalfFormat) throws {
        let payloads: [UInt32] = [1, 2, 0x1000, 0x1FFF, 0x2000, 0xFFFF, 0x10000, 0x3F_FFFF, 0x40_0000, 0x7F_FFFF]
        let inputs = payloads.flatMap {
            [Float(bitPattern: 0x7F80_0000 | $0), Float(bitPattern: 0xFF80_0000 | $0)]
        }
        let (patterns, rounding) = try format.encoded(inputs)
        for (input, pattern) in zip(inputs, patterns) {
            #expect(pattern & 0x7FFF > format.infinity)
            #expect((pattern >= 0x8000) == (input.sign == .minus))
        }
        #expect(rounding == Rounding())
    }

    @Test func roundingReportsTheLargestErrorAndOverflows() throws {
        var values = [Float](repeating: 1, count: 3000)
        values[17] = 1 + 0x1p-12
        values[2999] = 2049
        var report = try HalfFormat.f16.encoded(values).rounding
        #expect(report.maxError == 1)
        #expect(report.overflows == 0)
        values[1024] = 65519
        values[5] = 70000
        values[6] = -.infinity
        values[7] = .nan
        report = try HalfFormat.f16.encoded(values).rounding
        #expect(report.maxError == 15)
        #expect(report.overflows == 1)
        #expect(try HalfFormat.bf16.encoded([1 + 0x1p-8, 0, 0]).rounding.maxError == 0x1p-8)
    }

    @Test func widerTypesLoseNothing() throws {
        let values: [Float] = [0, -0.0, 1.5, .leastNonzeroMagnitude, .greatestFiniteMagnitude, -.infinity]
        for dtype in [DType.f32, .f64] {
            let buffer = try TensorBuffer(name: "x", dtype: dtype, shape: [values.count])
            #expect(try values.withUnsafeBufferPointer { try buffer.write($0) } == Rounding())
            #expect(try buffer.view.floatMatrix(rows: 1, columns: values.count).elements == values)
        }
    }
}
