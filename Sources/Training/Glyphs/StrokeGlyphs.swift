import Foundation
import Tensors

/// Handwriting of characters that nobody has ever written: random strokes, class by class, drawn by random hands.
///
/// What small vision backbones are pre-trained on. No picture of a real character enters, digits least of all. Every
/// image is a pure function of (seed, class, instance): there is nothing to store, and no image needs to come twice.
public struct StrokeGlyphs: Sendable, Hashable {
    /// How much two drawings of one character differ.
    public struct Variation: Sendable, Hashable {
        /// Standard deviation of the strokes' points, as a share of the character's box.
        public var jitter = 0.035
        /// Largest rotation in degrees.
        public var rotation = 12.0
        /// Largest slant: x moves by slant · y.
        public var slant = 0.25
        /// Largest relative change of the width.
        public var aspect = 0.25
        /// Amplitude of a smooth wave that bends everything, as a share of the box.
        public var wave = 0.04
        /// Diameter of the pen as a share of the image's side, least and largest.
        public var pen = 0.12...0.22
        /// Height of the character as a share of the side, least and largest.
        public var fill = 0.9...1.0
        /// Largest shift from the centre, as a share of the side.
        public var shift = 0.04

        public init() {}
    }

    public let classes: Int
    /// Pixels per side.
    public let side: Int
    /// Value of a fully inked pixel: 16 or 255.
    public let levels: Int
    public let variation: Variation
    public let seed: UInt64
    private let characters: [[GlyphStroke]]

    public init(classes: Int, side: Int, levels: Int, variation: Variation = Variation(), seed: UInt64) {
        self.classes = classes
        self.side = side
        self.levels = levels
        self.variation = variation
        self.seed = seed
        characters = (0..<classes).map { Self.character($0, seed: seed) }
    }

    /// Name of a class in manifests.
    public static func name(_ label: Int) -> String { "glyph-\(label)" }

    /// What the images are for: an image of one purpose never appears under another.
    public enum Purpose: String, Sendable {
        case training
        case validation
    }

    /// Draws one image.
    ///
    /// - Parameters:
    ///   - instance: any number; equal numbers give equal images.
    ///   - target: receives side · side bytes in 0…levels, row by row.
    public func draw(
        _ label: Int, instance: Int, purpose: Purpose, into target: UnsafeMutableBufferPointer<UInt8>
    ) {
        var draws = GlyphDraws(
            CounterRandom(seed: seed, stream: "glyph-instance", purpose.rawValue, "\(label)", "\(instance)"))
        let paths = placed(bent(characters[label], &draws), &draws)
        let radius = draws.uniform(variation.pen.lowerBound, variation.pen.upperBound) / 2 * Double(side)
        var canvas = GlyphCanvas(side: side)
        for path in paths { canvas.draw(path, radius: radius) }
        canvas.develop(levels: levels, into: target)
    }

    // MARK: A character

    /// One to three strokes; a later one often begins where something is already.
    private static func character(_ label: Int, seed: UInt64) -> [GlyphStroke] {
        var draws = GlyphDraws(CounterRandom(seed: seed, stream: "glyph-class", "\(label)"))
        let share = draws.uniform()
        let count = share < 0.3 ? 1 : share < 0.75 ? 2 : 3
        var strokes: [GlyphStroke] = []
        while strokes.count < count {
            let start = start(behind: strokes, &draws)
            let stroke = stroke(from: start, &draws)
            // A single stroke has to be a character by itself.
            if stroke.length >= (count == 1 ? 1.2 : 0.4) { strokes.append(stroke) }
        }
        return strokes
    }

    private static func start(behind strokes: [GlyphStroke], _ draws: inout GlyphDraws) -> GlyphPoint {
        let share = draws.uniform()
        if let last = strokes.last, share < 0.5 { return last.point(at: 1) }
        if !strokes.isEmpty, share < 0.75 {
            return strokes[draws.integer(below: strokes.count)].point(at: draws.uniform())
        }
        return anywhere(&draws)
    }

    private static func anywhere(_ draws: inout GlyphDraws) -> GlyphPoint {
        GlyphPoint(x: draws.uniform(0.1, 0.75), y: draws.uniform())
    }

    private static func stroke(from start: GlyphPoint, _ draws: inout GlyphDraws) -> GlyphStroke {
        let share = draws.uniform()
        if share < 0.3 {
            let end = anywhere(&draws)
            return .curve([start, start * (2.0 / 3) + end * (1.0 / 3), start * (1.0 / 3) + end * (2.0 / 3), end])
        }
        if share < 0.65 { return .curve([start, anywhere(&draws), anywhere(&draws), anywhere(&draws)]) }
        let radii = GlyphPoint(x: draws.uniform(0.12, 0.38), y: draws.uniform(0.15, 0.5))
        let angle = draws.uniform(0, 2 * Double.pi)
        let turns = draws.uniform() < 0.35 ? 1.0 : draws.uniform(0.35, 0.9)
        let centre = GlyphPoint(x: start.x - radii.x * cos(angle), y: start.y - radii.y * sin(angle))
        return .arc(
            centre: centre, radii: radii, start: angle, sweep: (draws.uniform() < 0.5 ? 1 : -1) * turns * 2 * .pi)
    }

    // MARK: A drawing of it

    private func bent(_ strokes: [GlyphStroke], _ draws: inout GlyphDraws) -> [[GlyphPoint]] {
        let angle = draws.uniform(-1, 1) * variation.rotation * .pi / 180
        let slant = draws.uniform(-1, 1) * variation.slant
        let width = 1 + draws.uniform(-1, 1) * variation.aspect
        let (fx, fy) = (draws.uniform(0.4, 1.2), draws.uniform(0.4, 1.2))
        let (px, py) = (draws.uniform(0, 2 * .pi), draws.uniform(0, 2 * .pi))
        return strokes.map { stroke in
            stroke.varied(by: variation.jitter, &draws).points().map { point in
                let x = point.x + variation.wave * sin(2 * .pi * fx * point.y + px)
                let y = point.y + variation.wave * sin(2 * .pi * fy * point.x + py)
                let slanted = x * width + slant * y
                return GlyphPoint(x: cos(angle) * slanted - sin(angle) * y, y: sin(angle) * slanted + cos(angle) * y)
            }
        }
    }

    /// Scales the character to the wanted height and puts it in the middle, as scanned characters are normalised.
    private func placed(_ paths: [[GlyphPoint]], _ draws: inout GlyphDraws) -> [[GlyphPoint]] {
        let all = paths.joined()
        var (left, right) = (Double.infinity, -Double.infinity)
        var (top, bottom) = (Double.infinity, -Double.infinity)
        for point in all {
            (left, right) = (min(left, point.x), max(right, point.x))
            (top, bottom) = (min(top, point.y), max(bottom, point.y))
        }
        let fill = draws.uniform(variation.fill.lowerBound, variation.fill.upperBound)
        // The pen adds its diameter to both sides.
        let room = max(0.2, fill - (variation.pen.lowerBound + variation.pen.upperBound) / 2) * Double(side)
        let height = max(bottom - top, 0.05)
        let width = max(right - left, 0.05)
        let scale = room / max(height, width)
        let shift = GlyphPoint(
            x: draws.uniform(-1, 1) * variation.shift * Double(side),
            y: draws.uniform(-1, 1) * variation.shift * Double(side))
        let centre = Double(side) / 2
        return paths.map { path in
            path.map { point in
                GlyphPoint(
                    x: (point.x - (left + right) / 2) * scale + centre + shift.x,
                    y: (point.y - (top + bottom) / 2) * scale + centre + shift.y)
            }
        }
    }
}
