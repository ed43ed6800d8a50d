import Diagnostics

/// What rounding numbers to a narrower type did to them.
public struct Rounding: Sendable, Hashable {
    /// Largest |x − round(x)| over the finite results.
    public var maxError: Double
    /// Number of finite inputs that became infinite.
    public var overflows: Int

    public init(maxError: Double = 0, overflows: Int = 0) {
        self.maxError = maxError
        self.overflows = overflows
    }

    /// Both reports as one.
    public mutating func merge(_ other: Rounding) {
        maxError = max(maxError, other.maxError)
        overflows += other.overflows
    }
}

extension FloatConversion {
    /// Writes `source` as F64, F32, F16 or BF16 to `target` (any alignment, at least as long) and tells what was lost.
    ///
    /// - Throws: `adapter.bad_dtype` for any other type.
    @discardableResult
    public static func narrow(
        _ source: UnsafeBufferPointer<Float>, to dtype: DType, into target: UnsafeMutableRawBufferPointer
    ) throws -> Rounding {
        guard dtype.isWeight else { throw badType(dtype) }
        precondition(target.count >= source.count * (dtype.bits / 8), "\(target.count) bytes for \(source.count)")
        guard let input = source.baseAddress, let output = target.baseAddress else { return Rounding() }
        switch dtype {
        case .f64:
            for i in 0..<source.count {
                output.storeBytes(of: Double(input[i]), toByteOffset: i &* 8, as: Double.self)
            }
            return Rounding()
        case .f16: return storeHalves(input, output, source.count)
        case .bf16: return storeBrainFloats(input, output, source.count)
        default:
            output.copyMemory(from: input, byteCount: source.count * 4)
            return Rounding()
        }
    }

    private static func storeHalves(
        _ input: UnsafePointer<Float>, _ output: UnsafeMutableRawPointer, _ count: Int
    ) -> Rounding {
        var loss = LossTally()
        for i in 0..<count {
            let half = Float16(input[i])
            output.storeBytes(of: half.bitPattern, toByteOffset: i &* 2, as: UInt16.self)
            loss.add(input[i], rounded: Float(half))
        }
        return loss.rounding
    }

    private static func storeBrainFloats(
        _ input: UnsafePointer<Float>, _ output: UnsafeMutableRawPointer, _ count: Int
    ) -> Rounding {
        var loss = LossTally()
        for i in 0..<count {
            let bits = brainFloatBits(input[i])
            output.storeBytes(of: bits, toByteOffset: i &* 2, as: UInt16.self)
            loss.add(input[i], rounded: float(brainFloatBits: bits))
        }
        return loss.rounding
    }

    /// Collects the largest error as a bit pattern: magnitudes of floats order like their bits, and an integer maximum
    /// needs no care for NaN and vectorises.
    private struct LossTally {
        var largest: UInt32 = 0
        var overflows: UInt32 = 0

        @inline(__always)
        mutating func add(_ value: Float, rounded: Float) {
            let bits = (value - rounded).bitPattern & 0x7FFF_FFFF
            let finiteError = bits < 0x7F80_0000 ? bits : 0
            largest = finiteError > largest ? finiteError : largest
            // Finite minus infinite is infinite; infinite minus infinite and NaN are NaN.
            overflows &+= bits == 0x7F80_0000 ? 1 : 0
        }

        var rounding: Rounding { Rounding(maxError: Double(Float(bitPattern: largest)), overflows: Int(overflows)) }
    }
}
