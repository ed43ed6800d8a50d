import CVector

/// What one pass over the values of a tensor finds.
public struct ValueStatistics: Sendable, Hashable {
    /// Number of elements.
    public var count = 0
    public var nans = 0
    /// Position of the first NaN in row-major order.
    public var firstNaN: Int?
    public var infinities = 0
    /// Position of the first infinity in row-major order.
    public var firstInfinity: Int?
    /// Elements that are exactly +0 or −0.
    public var zeros = 0
    /// Smallest and largest finite value; both 0 when there is none.
    public var minimum = 0.0
    public var maximum = 0.0
    /// Σx² over the finite values, in double precision.
    public var sumOfSquares = 0.0

    public init() {}

    /// Largest |x| over the finite values.
    public var largestMagnitude: Double { max(abs(minimum), abs(maximum)) }
    /// True when no value is NaN or infinite.
    public var allFinite: Bool { nans == 0 && infinities == 0 }
    /// True when there are at least two elements and all are the same finite number.
    public var isConstant: Bool { count > 1 && allFinite && minimum == maximum }

    /// Adds the statistics of the elements that follow.
    mutating func append(_ next: ValueStatistics) {
        let hadFinite = count > nans + infinities
        let nextHasFinite = next.count > next.nans + next.infinities
        if nextHasFinite {
            minimum = hadFinite ? min(minimum, next.minimum) : next.minimum
            maximum = hadFinite ? max(maximum, next.maximum) : next.maximum
        }
        if firstNaN == nil, let index = next.firstNaN { firstNaN = count + index }
        if firstInfinity == nil, let index = next.firstInfinity { firstInfinity = count + index }
        nans += next.nans
        infinities += next.infinities
        zeros += next.zeros
        sumOfSquares += next.sumOfSquares
        count += next.count
    }
}

extension TensorView {
    /// Statistics of all values in one pass over the memory.
    ///
    /// - Throws: `adapter.bad_dtype` unless the type is F64, F32, F16, BF16 or an F8 number type.
    public func statistics() throws -> ValueStatistics {
        var result = ValueStatistics()
        let total = count
        let tile = FloatConversion.tile
        if dtype == .f32, let start = bytes.baseAddress, UInt(bitPattern: start) % 4 == 0 {
            let floats = UnsafeBufferPointer(start: start.assumingMemoryBound(to: Float.self), count: total)
            return ValueScan.statistics(floats)
        }
        if dtype == .f64 {
            try withUnsafeTemporaryAllocation(of: Double.self, capacity: tile) { scratch in
                for start in stride(from: 0, to: total, by: tile) {
                    let part = UnsafeMutableBufferPointer(rebasing: scratch[..<min(tile, total - start)])
                    try copy(elements: start..<start + part.count, into: part)
                    result.append(ValueScan.statistics(UnsafeBufferPointer(part)))
                }
            }
            return result
        }
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: tile) { scratch in
            for start in stride(from: 0, to: total, by: tile) {
                let part = UnsafeMutableBufferPointer(rebasing: scratch[..<min(tile, total - start)])
                try copy(elements: start..<start + part.count, into: part)
                result.append(ValueScan.statistics(UnsafeBufferPointer(part)))
            }
        }
        return result
    }
}

/// Reductions over plain buffers. The order of additions is fixed, so that results do not depend on threads.
public enum ValueScan {
    /// Σx², summed in double precision in 16 lanes.
    public static func sumOfSquares(_ values: UnsafeBufferPointer<Float>) -> Double {
        guard let pointer = values.baseAddress else { return 0 }
        let n = values.count
        var lanes = (SIMD4<Double>.zero, SIMD4<Double>.zero, SIMD4<Double>.zero, SIMD4<Double>.zero)
        var i = 0
        while i &+ 16 <= n {
            let raw = UnsafeRawPointer(pointer + i)
            let a = vec_widen_f32x4(raw.loadUnaligned(fromByteOffset: 0, as: SIMD4<Float>.self))
            let b = vec_widen_f32x4(raw.loadUnaligned(fromByteOffset: 16, as: SIMD4<Float>.self))
            let c = vec_widen_f32x4(raw.loadUnaligned(fromByteOffset: 32, as: SIMD4<Float>.self))
            let d = vec_widen_f32x4(raw.loadUnaligned(fromByteOffset: 48, as: SIMD4<Float>.self))
            lanes.0 += a * a
            lanes.1 += b * b
            lanes.2 += c * c
            lanes.3 += d * d
            i &+= 16
        }
        var sum = ((lanes.0 + lanes.1) + (lanes.2 + lanes.3)).sum()
        while i < n {
            sum += Double(pointer[i]) * Double(pointer[i])
            i &+= 1
        }
        return sum
    }

    /// Σx², in 16 lanes.
    public static func sumOfSquares(_ values: UnsafeBufferPointer<Double>) -> Double {
        guard let pointer = values.baseAddress else { return 0 }
        let n = values.count
        var lanes = (SIMD4<Double>.zero, SIMD4<Double>.zero, SIMD4<Double>.zero, SIMD4<Double>.zero)
        var i = 0
        while i &+ 16 <= n {
            let raw = UnsafeRawPointer(pointer + i)
            let a = raw.loadUnaligned(fromByteOffset: 0, as: SIMD4<Double>.self)
            let b = raw.loadUnaligned(fromByteOffset: 32, as: SIMD4<Double>.self)
            let c = raw.loadUnaligned(fromByteOffset: 64, as: SIMD4<Double>.self)
            let d = raw.loadUnaligned(fromByteOffset: 96, as: SIMD4<Double>.self)
            lanes.0 += a * a
            lanes.1 += b * b
            lanes.2 += c * c
            lanes.3 += d * d
            i &+= 16
        }
        var sum = ((lanes.0 + lanes.1) + (lanes.2 + lanes.3)).sum()
        while i < n {
            sum += pointer[i] * pointer[i]
            i &+= 1
        }
        return sum
    }

    /// Position of the first NaN or infinity, nil when all values are finite.
    public static func firstNonFinite(_ values: UnsafeBufferPointer<Float>) -> Int? {
        guard let pointer = values.baseAddress else { return nil }
        for start in stride(from: 0, to: values.count, by: FloatConversion.tile) {
            let end = min(start + FloatConversion.tile, values.count)
            // One more than the largest exponent carries into the sign bit: an addition per value, eight at a time.
            var carried: UInt32 = 0
            for i in start..<end { carried |= (pointer[i].bitPattern & 0x7FFF_FFFF) &+ 0x0080_0000 }
            if carried >> 31 != 0 { return (start..<end).first { !pointer[$0].isFinite } }
        }
        return nil
    }

    /// Position of the first NaN or infinity, nil when all values are finite.
    public static func firstNonFinite(_ values: UnsafeBufferPointer<Double>) -> Int? {
        guard let pointer = values.baseAddress else { return nil }
        for start in stride(from: 0, to: values.count, by: FloatConversion.tile) {
            let end = min(start + FloatConversion.tile, values.count)
            var carried: UInt64 = 0
            for i in start..<end {
                carried |= (pointer[i].bitPattern & 0x7FFF_FFFF_FFFF_FFFF) &+ 0x0010_0000_0000_0000
            }
            if carried >> 63 != 0 { return (start..<end).first { !pointer[$0].isFinite } }
        }
        return nil
    }

    /// All statistics of `values`.
    public static func statistics(_ values: UnsafeBufferPointer<Float>) -> ValueStatistics {
        var result = ValueStatistics()
        for start in stride(from: 0, to: values.count, by: FloatConversion.tile) {
            let end = min(start + FloatConversion.tile, values.count)
            let part = UnsafeBufferPointer(rebasing: values[start..<end])
            result.append(finiteStatistics(part) ?? carefulStatistics(part))
        }
        return result
    }

    /// All statistics of `values`. Slower than the `Float` form: float64 weights are rare.
    public static func statistics(_ values: UnsafeBufferPointer<Double>) -> ValueStatistics {
        carefulStatistics(values)
    }

    /// Statistics of values that are all finite; nil when one is not.
    private static func finiteStatistics(_ values: UnsafeBufferPointer<Float>) -> ValueStatistics? {
        guard let pointer = values.baseAddress else { return ValueStatistics() }
        let whole = values.count & ~7
        var lanes = FiniteLanes(first: pointer[0])
        for i in stride(from: 0, to: whole, by: 8) {
            lanes.add(UnsafeRawPointer(pointer + i).loadUnaligned(as: SIMD8<Float>.self))
        }
        guard !lanes.metNonFinite else { return nil }
        var result = lanes.statistics
        result.count = whole
        if whole < values.count {
            result.append(carefulStatistics(UnsafeBufferPointer(rebasing: values[whole...])))
        }
        return result.allFinite ? result : nil
    }

    /// Statistics of any values, one by one.
    private static func carefulStatistics<Value: BinaryFloatingPoint>(
        _ values: UnsafeBufferPointer<Value>
    ) -> ValueStatistics {
        var result = ValueStatistics()
        var lowest = Double.infinity
        var highest = -Double.infinity
        for i in 0..<values.count {
            let value = Double(values[i])
            if value.isFinite {
                lowest = min(lowest, value)
                highest = max(highest, value)
                result.zeros += value == 0 ? 1 : 0
                result.sumOfSquares += value * value
            } else if value.isNaN {
                result.nans += 1
                if result.firstNaN == nil { result.firstNaN = i }
            } else {
                result.infinities += 1
                if result.firstInfinity == nil { result.firstInfinity = i }
            }
        }
        result.count = values.count
        if lowest <= highest {
            result.minimum = lowest
            result.maximum = highest
        }
        return result
    }
}

/// Eight partial results at once, valid as long as all values are finite.
private struct FiniteLanes {
    private var lowest: SIMD8<Float>
    private var highest: SIMD8<Float>
    private var magnitudes = SIMD8<UInt32>.zero
    private var zeros = SIMD8<UInt32>.zero
    private var squaresLow = SIMD4<Double>.zero
    private var squaresHigh = SIMD4<Double>.zero

    init(first: Float) {
        lowest = SIMD8(repeating: first)
        highest = lowest
    }

    @inline(__always)
    mutating func add(_ values: SIMD8<Float>) {
        let magnitude = unsafeBitCast(values, to: SIMD8<UInt32>.self) & 0x7FFF_FFFF
        magnitudes = vec_max_u32x8(magnitudes, magnitude)
        zeros &+= SIMD8<UInt32>.zero.replacing(with: SIMD8<UInt32>.one, where: magnitude .== SIMD8<UInt32>.zero)
        lowest.replace(with: values, where: values .< lowest)
        highest.replace(with: values, where: values .> highest)
        let low = vec_widen_f32x4(values.lowHalf)
        let high = vec_widen_f32x4(values.highHalf)
        squaresLow += low * low
        squaresHigh += high * high
    }

    var metNonFinite: Bool { magnitudes.max() >= 0x7F80_0000 }

    var statistics: ValueStatistics {
        var result = ValueStatistics()
        result.zeros = Int(zeros.wrappedSum())
        result.minimum = Double(lowest.min())
        result.maximum = Double(highest.max())
        result.sumOfSquares = (squaresLow + squaresHigh).sum()
        return result
    }
}
