import CVector
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
        forEachTile(count) { start, count, errors in
            let values = input + start
            let stored = output + start * 2
            for i in 0..<count {
                stored.storeBytes(of: Float16(values[i]).bitPattern, toByteOffset: i &* 2, as: UInt16.self)
            }
            for i in 0..<count {
                let half = Float16(bitPattern: stored.loadUnaligned(fromByteOffset: i &* 2, as: UInt16.self))
                errors[i] = values[i] - Float(half)
            }
        }
    }

    private static func storeBrainFloats(
        _ input: UnsafePointer<Float>, _ output: UnsafeMutableRawPointer, _ count: Int
    ) -> Rounding {
        var result = Rounding()
        for start in stride(from: 0, to: count, by: tile) {
            let length = min(tile, count - start)
            let worst = storeFiniteBrainFloats(input + start, output + start * 2, length)
            let isFinite = worst < Float.infinity.bitPattern
            result.merge(
                isFinite
                    ? Rounding(maxError: Double(Float(bitPattern: worst)))
                    : storeAnyBrainFloats(input + start, output + start * 2, length))
        }
        return result
    }

    /// Rounds as if every number and every result were finite, in one pass.
    ///
    /// - Returns: the bits of the largest |value − rounded value|; at least those of infinity when there was an infinity or
    ///   a NaN, or a number that became one: magnitudes order like their bits.
    private static func storeFiniteBrainFloats(
        _ input: UnsafePointer<Float>, _ output: UnsafeMutableRawPointer, _ count: Int
    ) -> UInt32 {
        var lanes = SIMD8<Int32>.zero
        var i = 0
        while i &+ 8 <= count {
            let bits = UnsafeRawPointer(input + i).loadUnaligned(as: SIMD8<UInt32>.self)
            let rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) &>> 16
            output.storeBytes(
                of: SIMD8<UInt16>(truncatingIfNeeded: rounded), toByteOffset: i &* 2, as: SIMD8<UInt16>.self)
            let error =
                unsafeBitCast(bits, to: SIMD8<Float>.self) - unsafeBitCast(rounded &<< 16, to: SIMD8<Float>.self)
            let magnitude = unsafeBitCast(error, to: SIMD8<Int32>.self) & 0x7FFF_FFFF
            lanes.replace(with: magnitude, where: magnitude .> lanes)
            i &+= 8
        }
        var largest = UInt32(bitPattern: lanes.max())
        while i < count {
            let stored = brainFloatBits(input[i])
            output.storeBytes(of: stored, toByteOffset: i &* 2, as: UInt16.self)
            largest = max(largest, (input[i] - float(brainFloatBits: stored)).bitPattern & 0x7FFF_FFFF)
            i &+= 1
        }
        return largest
    }

    /// Any numbers, in three passes over pieces that stay in the first cache.
    private static func storeAnyBrainFloats(
        _ input: UnsafePointer<Float>, _ output: UnsafeMutableRawPointer, _ count: Int
    ) -> Rounding {
        forEachTile(count) { start, count, errors in
            let values = input + start
            let stored = output + start * 2
            for i in 0..<count {
                stored.storeBytes(of: brainFloatBits(values[i]), toByteOffset: i &* 2, as: UInt16.self)
            }
            for i in 0..<count {
                let bits = stored.loadUnaligned(fromByteOffset: i &* 2, as: UInt16.self)
                errors[i] = values[i] - float(brainFloatBits: bits)
            }
        }
    }

    /// Runs `convert` on pieces that stay in the first cache; it stores the numbers and leaves value − rounded value.
    @inline(__always)
    private static func forEachTile(
        _ count: Int, _ convert: (_ start: Int, _ count: Int, _ errors: UnsafeMutablePointer<Float>) -> Void
    ) -> Rounding {
        var result = Rounding()
        let size = 1024
        withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { scratch in
            guard let errors = scratch.baseAddress else { return }
            for start in stride(from: 0, to: count, by: size) {
                let length = min(size, count - start)
                convert(start, length, errors)
                // Whole vectors only: the rest of the last one counts as no error.
                for i in length..<min((length + 7) & ~7, size) { errors[i] = 0 }
                result.merge(worst(errors, vectors: (length + 7) / 8))
            }
        }
        return result
    }

    /// Largest finite error and number of overflows. Magnitudes order like their bit patterns, and integer maxima need
    /// no care for NaN. Finite minus infinite is infinite; infinite minus infinite and NaN are NaN.
    private static func worst(_ errors: UnsafePointer<Float>, vectors: Int) -> Rounding {
        let infinity = SIMD8<UInt32>(repeating: 0x7F80_0000)
        var largest = SIMD8<UInt32>.zero
        var overflows = SIMD8<UInt32>.zero
        for i in 0..<vectors {
            let raw = UnsafeRawPointer(errors + 8 &* i).loadUnaligned(as: SIMD8<UInt32>.self)
            let bits = raw & 0x7FFF_FFFF
            largest = vec_max_u32x8(largest, bits.replacing(with: SIMD8<UInt32>.zero, where: bits .>= infinity))
            overflows &+= SIMD8<UInt32>.zero.replacing(with: SIMD8<UInt32>.one, where: bits .== infinity)
        }
        return Rounding(maxError: Double(Float(bitPattern: largest.max())), overflows: Int(overflows.wrappedSum()))
    }
}
