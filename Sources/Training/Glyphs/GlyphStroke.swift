import Foundation
import Tensors

/// A place on the unit square; y runs downwards.
struct GlyphPoint: Sendable, Hashable {
    var x: Double
    var y: Double

    static func + (a: GlyphPoint, b: GlyphPoint) -> GlyphPoint { GlyphPoint(x: a.x + b.x, y: a.y + b.y) }
    static func * (a: GlyphPoint, factor: Double) -> GlyphPoint { GlyphPoint(x: a.x * factor, y: a.y * factor) }

    func distance(to other: GlyphPoint) -> Double {
        ((x - other.x) * (x - other.x) + (y - other.y) * (y - other.y)).squareRoot()
    }
}

/// One movement of the pen.
enum GlyphStroke: Sendable, Hashable {
    /// Cubic Bézier curve.
    case curve([GlyphPoint])
    /// Part of an ellipse; angles in radians.
    case arc(centre: GlyphPoint, radii: GlyphPoint, start: Double, sweep: Double)

    /// Points along the stroke, first to last.
    func points(_ count: Int = 14) -> [GlyphPoint] {
        (0..<count).map { point(at: Double($0) / Double(count - 1)) }
    }

    func point(at t: Double) -> GlyphPoint {
        switch self {
        case .curve(let p):
            let u = 1 - t
            return p[0] * (u * u * u) + p[1] * (3 * u * u * t) + p[2] * (3 * u * t * t) + p[3] * (t * t * t)
        case .arc(let centre, let radii, let start, let sweep):
            let angle = start + sweep * t
            return GlyphPoint(x: centre.x + radii.x * cos(angle), y: centre.y + radii.y * sin(angle))
        }
    }

    var length: Double {
        let path = points()
        return zip(path, path.dropFirst()).reduce(0) { $0 + $1.0.distance(to: $1.1) }
    }

    /// The stroke as another hand draws it: every number moved by a normal number times `amount`.
    func varied(by amount: Double, _ draws: inout GlyphDraws) -> GlyphStroke {
        switch self {
        case .curve(let points): return .curve(points.map { draws.near($0, amount) })
        case .arc(let centre, let radii, let start, let sweep):
            return .arc(
                centre: draws.near(centre, amount), radii: draws.near(radii, amount),
                start: start + 2 * amount * draws.normal(), sweep: sweep * (1 + 1.5 * amount * draws.normal()))
        }
    }
}

/// Random numbers of one stream in order.
struct GlyphDraws {
    private let random: CounterRandom
    private var next: UInt64 = 0

    init(_ random: CounterRandom) { self.random = random }

    /// Uniform on [0, 1).
    mutating func uniform() -> Double {
        next += 1
        return Double(random.uniform(next - 1))
    }

    mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * uniform() }

    mutating func integer(below bound: Int) -> Int { min(bound - 1, Int(uniform() * Double(bound))) }

    /// Nearly normal, bounded by ±3.46: (u₁ + u₂ + u₃ + u₄ − 2)·√3.
    mutating func normal() -> Double { (uniform() + uniform() + uniform() + uniform() - 2) * 3.0.squareRoot() }

    mutating func near(_ point: GlyphPoint, _ amount: Double) -> GlyphPoint {
        GlyphPoint(x: point.x + amount * normal(), y: point.y + amount * normal())
    }
}
