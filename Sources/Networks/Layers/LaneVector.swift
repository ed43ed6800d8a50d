import Foundation

/// Eight numbers that a kernel handles at once, and the functions it needs of them.
///
/// Kernels are written once over this protocol and compiled for `FloatLanes` (vector code, polynomials) and for
/// `DoubleLanes` (the C library's functions, lane by lane).
public protocol LaneVector: Sendable {
    associatedtype Scalar

    init(_ value: Scalar)
    static func load(_ p: UnsafePointer<Scalar>) -> Self
    func store(_ p: UnsafeMutablePointer<Scalar>)
    static func + (a: Self, b: Self) -> Self
    static func - (a: Self, b: Self) -> Self
    static func * (a: Self, b: Self) -> Self
    static func / (a: Self, b: Self) -> Self
    /// self + a·b, rounded once.
    func adding(_ a: Self, times b: Self) -> Self
    func larger(_ other: Self) -> Self
    var magnitude: Self { get }
    var squareRoot: Self { get }
    /// `a` in the lanes where `condition` is negative, `b` elsewhere.
    static func choose(negative condition: Self, _ a: Self, _ b: Self) -> Self
    /// Sum of the lanes in a fixed order.
    var sum: Scalar { get }
    var largest: Scalar { get }
    /// eˣ. Float: relative error ≤ 2e-7 for −87 ≤ x ≤ 88, arguments outside are clamped.
    var exponential: Self { get }
    /// ln(1 + x) for 0 ≤ x ≤ 1. Float: relative error ≤ 3e-7.
    var logarithmOfOnePlus: Self { get }
    /// Normal distribution: density φ(x) and probability Φ(x). Float: relative error ≤ 1e-6 where |x| ≤ 13.
    var normal: (density: Self, probability: Self) { get }
}

/// Number of lanes of every `LaneVector`.
let laneCount = 8

extension LaneVector {
    /// The first `n` < 8 numbers, zeros behind them.
    @inline(__always)
    static func load(_ p: UnsafePointer<Scalar>, first n: Int, zero: Scalar) -> Self {
        var lanes = Self(zero)
        withUnsafeMutableBytes(of: &lanes) { bytes in
            guard let base = bytes.baseAddress?.assumingMemoryBound(to: Scalar.self) else { return }
            for i in 0..<n { base[i] = p[i] }
        }
        return lanes
    }

    /// Stores the first `n` < 8 numbers.
    @inline(__always)
    func store(_ p: UnsafeMutablePointer<Scalar>, first n: Int) {
        withUnsafeBytes(of: self) { bytes in
            guard let base = bytes.baseAddress?.assumingMemoryBound(to: Scalar.self) else { return }
            for i in 0..<n { p[i] = base[i] }
        }
    }
}

/// Eight floats in one AVX register.
public struct FloatLanes: LaneVector {
    @usableFromInline let v: SIMD8<Float>

    @inline(__always) init(_ v: SIMD8<Float>) { self.v = v }
    @inline(__always) public init(_ value: Float) { v = SIMD8(repeating: value) }
    @inline(__always) public static func load(_ p: UnsafePointer<Float>) -> FloatLanes {
        FloatLanes(UnsafeRawPointer(p).loadUnaligned(as: SIMD8<Float>.self))
    }
    @inline(__always) public func store(_ p: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(p).storeBytes(of: v, as: SIMD8<Float>.self)
    }
    @inline(__always) public static func + (a: FloatLanes, b: FloatLanes) -> FloatLanes { FloatLanes(a.v + b.v) }
    @inline(__always) public static func - (a: FloatLanes, b: FloatLanes) -> FloatLanes { FloatLanes(a.v - b.v) }
    @inline(__always) public static func * (a: FloatLanes, b: FloatLanes) -> FloatLanes { FloatLanes(a.v * b.v) }
    @inline(__always) public static func / (a: FloatLanes, b: FloatLanes) -> FloatLanes { FloatLanes(a.v / b.v) }
    @inline(__always) public func adding(_ a: FloatLanes, times b: FloatLanes) -> FloatLanes {
        FloatLanes(v.addingProduct(a.v, b.v))
    }
    @inline(__always) public func larger(_ other: FloatLanes) -> FloatLanes {
        FloatLanes(v.replacing(with: other.v, where: v .< other.v))
    }
    @inline(__always) func smaller(_ other: FloatLanes) -> FloatLanes {
        FloatLanes(v.replacing(with: other.v, where: other.v .< v))
    }
    @inline(__always) public var squareRoot: FloatLanes { FloatLanes(v.squareRoot()) }
    @inline(__always) public var magnitude: FloatLanes {
        let bits = unsafeBitCast(v, to: SIMD8<UInt32>.self) & SIMD8(repeating: 0x7FFF_FFFF)
        return FloatLanes(unsafeBitCast(bits, to: SIMD8<Float>.self))
    }
    @inline(__always) public static func choose(
        negative condition: FloatLanes, _ a: FloatLanes, _ b: FloatLanes
    ) -> FloatLanes {
        FloatLanes(b.v.replacing(with: a.v, where: condition.v .< SIMD8(repeating: 0)))
    }
    @inline(__always) public var sum: Float {
        let four = v.lowHalf + v.highHalf
        let two = four.lowHalf + four.highHalf
        return two.x + two.y
    }
    @inline(__always) public var largest: Float {
        let four = v.lowHalf.replacing(with: v.highHalf, where: v.lowHalf .< v.highHalf)
        let two = four.lowHalf.replacing(with: four.highHalf, where: four.lowHalf .< four.highHalf)
        return two.x < two.y ? two.y : two.x
    }

    /// 2ⁿ · p(r) with n the nearest integer to x / ln 2 and p a polynomial of degree 6 on |r| ≤ ln 2 / 2.
    @inline(__always) public var exponential: FloatLanes {
        let x = larger(FloatLanes(-87)).smaller(FloatLanes(88))
        // Adding 1.5·2²³ rounds to an integer that then stands in the low bits.
        let magic = FloatLanes(12_582_912)
        let shifted = magic.adding(x, times: FloatLanes(1.442_695_04))
        let n = shifted - magic
        let r = x.adding(n, times: FloatLanes(-0.693_359_375)).adding(n, times: FloatLanes(2.121_944_4e-4))
        var p = FloatLanes(0.008_369_42).adding(FloatLanes(0.001_381_31), times: r)
        p = FloatLanes(0.041_668_46).adding(p, times: r)
        p = FloatLanes(0.166_665_15).adding(p, times: r)
        p = FloatLanes(0.499_999_93).adding(p, times: r)
        p = FloatLanes(1) + r.adding(p, times: r * r)
        let exponent = unsafeBitCast(shifted.v, to: SIMD8<UInt32>.self) &<< SIMD8(repeating: 23)
        return FloatLanes(unsafeBitCast(unsafeBitCast(p.v, to: SIMD8<UInt32>.self) &+ exponent, to: SIMD8<Float>.self))
    }

    /// 2·artanh(s) with s = x / (2 + x) ≤ 1/3, as a series in s².
    @inline(__always) public var logarithmOfOnePlus: FloatLanes {
        let s = self / (FloatLanes(2) + self)
        let q = s * s
        var p = FloatLanes(2.0 / 17)
        p = FloatLanes(2.0 / 15).adding(p, times: q)
        p = FloatLanes(2.0 / 13).adding(p, times: q)
        p = FloatLanes(2.0 / 11).adding(p, times: q)
        p = FloatLanes(2.0 / 9).adding(p, times: q)
        p = FloatLanes(2.0 / 7).adding(p, times: q)
        p = FloatLanes(2.0 / 5).adding(p, times: q)
        p = FloatLanes(2.0 / 3).adding(p, times: q)
        return s * FloatLanes(2).adding(p, times: q)
    }

    /// Φ(−a) = φ(a)·M(a) with the Mills ratio M(a) = t·p(t), t = 1 / (1 + 0.35a), p of degree 8 (fitted on [0, 14]).
    @inline(__always) public var normal: (density: FloatLanes, probability: FloatLanes) {
        let a = magnitude
        let square = a * a
        // What rounding x² lost: without it the exponential of large arguments would be off by 1e-5.
        let rest = (FloatLanes(0) - square).adding(a, times: a)
        let half = FloatLanes(-0.5)
        let e = (square * half).exponential
        let density = e.adding(e, times: rest * half) * FloatLanes(0.398_942_28)
        let t = FloatLanes(1) / FloatLanes(1).adding(a, times: FloatLanes(0.35))
        var p = FloatLanes(-0.073_058_03)
        p = FloatLanes(0.360_883_63).adding(p, times: t)
        p = FloatLanes(-0.640_980_79).adding(p, times: t)
        p = FloatLanes(0.398_990_69).adding(p, times: t)
        p = FloatLanes(-0.057_927_93).adding(p, times: t)
        p = FloatLanes(0.264_469_41).adding(p, times: t)
        p = FloatLanes(0.300_376_44).adding(p, times: t)
        p = FloatLanes(0.350_581_72).adding(p, times: t)
        p = FloatLanes(0.349_978_96).adding(p, times: t)
        let tail = density * (t * p)
        return (density, FloatLanes.choose(negative: self, tail, FloatLanes(1) - tail))
    }
}

/// Eight doubles; transcendental functions come from the C library.
public struct DoubleLanes: LaneVector {
    @usableFromInline let v: SIMD8<Double>

    @inline(__always) init(_ v: SIMD8<Double>) { self.v = v }
    @inline(__always) public init(_ value: Double) { v = SIMD8(repeating: value) }
    @inline(__always) public static func load(_ p: UnsafePointer<Double>) -> DoubleLanes {
        DoubleLanes(UnsafeRawPointer(p).loadUnaligned(as: SIMD8<Double>.self))
    }
    @inline(__always) public func store(_ p: UnsafeMutablePointer<Double>) {
        UnsafeMutableRawPointer(p).storeBytes(of: v, as: SIMD8<Double>.self)
    }
    @inline(__always) public static func + (a: DoubleLanes, b: DoubleLanes) -> DoubleLanes { DoubleLanes(a.v + b.v) }
    @inline(__always) public static func - (a: DoubleLanes, b: DoubleLanes) -> DoubleLanes { DoubleLanes(a.v - b.v) }
    @inline(__always) public static func * (a: DoubleLanes, b: DoubleLanes) -> DoubleLanes { DoubleLanes(a.v * b.v) }
    @inline(__always) public static func / (a: DoubleLanes, b: DoubleLanes) -> DoubleLanes { DoubleLanes(a.v / b.v) }
    @inline(__always) public func adding(_ a: DoubleLanes, times b: DoubleLanes) -> DoubleLanes {
        DoubleLanes(v.addingProduct(a.v, b.v))
    }
    @inline(__always) public func larger(_ other: DoubleLanes) -> DoubleLanes {
        DoubleLanes(v.replacing(with: other.v, where: v .< other.v))
    }
    @inline(__always) public var squareRoot: DoubleLanes { DoubleLanes(v.squareRoot()) }
    @inline(__always) public var magnitude: DoubleLanes {
        DoubleLanes(v.replacing(with: -v, where: v .< SIMD8(repeating: 0)))
    }
    @inline(__always) public static func choose(
        negative condition: DoubleLanes, _ a: DoubleLanes, _ b: DoubleLanes
    ) -> DoubleLanes {
        DoubleLanes(b.v.replacing(with: a.v, where: condition.v .< SIMD8(repeating: 0)))
    }
    @inline(__always) public var sum: Double {
        let four = v.lowHalf + v.highHalf
        let two = four.lowHalf + four.highHalf
        return two.x + two.y
    }
    @inline(__always) public var largest: Double { v.max() }
    public var exponential: DoubleLanes { map(exp) }
    public var logarithmOfOnePlus: DoubleLanes { map(log1p) }
    public var normal: (density: DoubleLanes, probability: DoubleLanes) {
        let density = map { exp(-0.5 * $0 * $0) * 0.398_942_280_401_432_7 }
        return (density, map { 0.5 * erfc(-$0 * 0.707_106_781_186_547_5) })
    }

    @inline(__always) private func map(_ function: (Double) -> Double) -> DoubleLanes {
        var result = v
        for lane in 0..<8 { result[lane] = function(v[lane]) }
        return DoubleLanes(result)
    }
}
