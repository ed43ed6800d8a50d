import Diagnostics

/// Conversions between the number types of weight files and `Float` or `Double`.
///
/// Sources and targets may have any alignment. Narrowing rounds once, to nearest, ties to even; NaN stays NaN,
/// infinity stays infinity, and finite values beyond the range become infinity, as IEEE 754 asks. The loops are plain
/// and branch-free, so that the compiler makes vector code of them; from main memory they run at memory speed.
public enum FloatConversion {
    /// Numbers that are converted at a time where a result goes through a buffer: 16 KiB of `Float`, half an L1 cache.
    static let tile = 4096

    /// Writes `target.count` numbers of type `dtype` that begin at `source` as `Float`.
    ///
    /// `F64` is rounded to nearest; all other types are exact.
    /// - Throws: `adapter.bad_dtype` for integers, booleans, complex numbers and types narrower than 8 bits.
    public static func widen(
        _ source: UnsafeRawBufferPointer, from dtype: DType, into target: UnsafeMutableBufferPointer<Float>
    ) throws {
        try checkLength(of: source, dtype: dtype, count: target.count)
        guard let input = source.baseAddress, let output = target.baseAddress else { return }
        switch dtype {
        case .f32: UnsafeMutableRawPointer(output).copyMemory(from: input, byteCount: target.count * 4)
        case .f64: floats(fromDoublesAt: input, output, target.count)
        case .f16: floats(fromHalvesAt: input, output, target.count)
        case .bf16: floats(fromBrainFloatsAt: input, output, target.count)
        default: try floats(fromBytesAt: input, dtype: dtype, output, target.count)
        }
    }

    /// Writes `target.count` numbers of type `dtype` that begin at `source` as `Double`; exact for every type.
    ///
    /// - Throws: `adapter.bad_dtype` as for `Float`.
    public static func widen(
        _ source: UnsafeRawBufferPointer, from dtype: DType, into target: UnsafeMutableBufferPointer<Double>
    ) throws {
        try checkLength(of: source, dtype: dtype, count: target.count)
        guard let input = source.baseAddress, let output = target.baseAddress else { return }
        if dtype == .f64 {
            UnsafeMutableRawPointer(output).copyMemory(from: input, byteCount: target.count * 8)
            return
        }
        let size = dtype.bits / 8
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: tile) { scratch in
            for start in stride(from: 0, to: target.count, by: tile) {
                let count = min(tile, target.count - start)
                let floats = UnsafeMutableBufferPointer(rebasing: scratch[..<count])
                let bytes = UnsafeRawBufferPointer(start: input + start * size, count: count * size)
                try widen(bytes, from: dtype, into: floats)
                widen(
                    UnsafeBufferPointer(floats), into: UnsafeMutableBufferPointer(start: output + start, count: count))
            }
        }
    }

    /// Writes the same numbers in double precision. Both buffers have the same length.
    public static func widen(_ source: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<Double>) {
        precondition(source.count == target.count)
        guard let input = source.baseAddress, let output = target.baseAddress else { return }
        for i in 0..<source.count { output[i] = Double(input[i]) }
    }

    /// Rounds to single precision. Both buffers have the same length.
    public static func narrow(_ source: UnsafeBufferPointer<Double>, into target: UnsafeMutableBufferPointer<Float>) {
        precondition(source.count == target.count)
        guard let input = source.baseAddress, let output = target.baseAddress else { return }
        for i in 0..<source.count { output[i] = Float(input[i]) }
    }

    /// The upper half of `value`'s bits, rounded to nearest, ties to even. A NaN keeps its sign and the payload bits
    /// that fit, and is made quiet: a payload in the lower half alone would otherwise round to infinity.
    @inlinable
    public static func brainFloatBits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let rounded = (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16
        let quiet = (bits >> 16) | 0x40
        return UInt16(truncatingIfNeeded: (bits & 0x7FFF_FFFF) > 0x7F80_0000 ? quiet : rounded)
    }

    /// The number whose upper half has these bits and whose lower half is zero.
    @inlinable
    public static func float(brainFloatBits bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

    static func checkLength(of source: UnsafeRawBufferPointer, dtype: DType, count: Int) throws {
        guard dtype.bits >= 8 else { throw badType(dtype) }
        precondition(source.count >= count * (dtype.bits / 8), "\(source.count) bytes for \(count) of \(dtype)")
    }

    static func badType(_ dtype: DType) -> Failure {
        Failure(
            .adapterBadDtype, "\(dtype.rawValue) holds no floating-point weights",
            hint: "weights are F64, F32, F16 or BF16; the F8 number types can be read",
            details: ["dtype": dtype.rawValue])
    }

    private static func floats(
        fromDoublesAt input: UnsafeRawPointer, _ output: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        for i in 0..<count { output[i] = Float(input.loadUnaligned(fromByteOffset: i &* 8, as: Double.self)) }
    }

    private static func floats(
        fromHalvesAt input: UnsafeRawPointer, _ output: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        for i in 0..<count {
            output[i] = Float(Float16(bitPattern: input.loadUnaligned(fromByteOffset: i &* 2, as: UInt16.self)))
        }
    }

    private static func floats(
        fromBrainFloatsAt input: UnsafeRawPointer, _ output: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        for i in 0..<count {
            output[i] = float(brainFloatBits: input.loadUnaligned(fromByteOffset: i &* 2, as: UInt16.self))
        }
    }

    private static func floats(
        fromBytesAt input: UnsafeRawPointer, dtype: DType, _ output: UnsafeMutablePointer<Float>, _ count: Int
    ) throws {
        guard let table = ByteFloat.values(of: dtype) else { throw badType(dtype) }
        table.withUnsafeBufferPointer { values in
            for i in 0..<count { output[i] = values[Int(input.load(fromByteOffset: i, as: UInt8.self))] }
        }
    }
}
