/// An sRGB colour.
public struct Colour: Hashable, Sendable {
    public var red: UInt8
    public var green: UInt8
    public var blue: UInt8

    public init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
        self.red = red
        self.green = green
        self.blue = blue
    }

    /// `#1f77b4`.
    public var hex: String {
        "#"
            + [red, green, blue].map { value in
                let digits = String(value, radix: 16)
                return digits.count == 1 ? "0" + digits : digits
            }.joined()
    }

    /// Relative luminance in 0…1 (WCAG 2, with the exact transfer curve replaced by a power of 2.2).
    public var luminance: Double {
        func linear(_ value: UInt8) -> Double {
            let x = Double(value) / 255
            return x * x * (0.2 + 0.8 * x)
        }
        return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    /// Black or white, whichever is easier to read on this colour.
    public var readableInk: Colour { luminance > 0.3 ? Colour(17, 17, 17) : Colour(255, 255, 255) }
}

/// Maps numbers to colours through a table of 256 entries.
///
/// Both scales keep their order for colour-blind readers and in grey print.
public struct ColourScale: Sendable {
    public let entries: [Colour]

    /// Piecewise linear through `anchors`, evenly spaced.
    init(anchors: [Colour]) {
        entries = (0..<256).map { index in
            let position = Double(index) / 255 * Double(anchors.count - 1)
            let low = min(Int(position), anchors.count - 2)
            let part = position - Double(low)
            func mix(_ a: UInt8, _ b: UInt8) -> UInt8 { UInt8((Double(a) * (1 - part) + Double(b) * part).rounded()) }
            let (a, b) = (anchors[low], anchors[low + 1])
            return Colour(mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue))
        }
    }

    /// The colour of a position in 0…1; outside values take the nearest end.
    public func colour(at position: Double) -> Colour {
        guard position.isFinite else { return Colour(128, 128, 128) }
        return entries[Int((min(1, max(0, position)) * 255).rounded())]
    }

    /// Dark violet over green to yellow: for values from nothing to much.
    public static let sequential = ColourScale(anchors: [
        Colour(68, 1, 84), Colour(71, 45, 123), Colour(59, 82, 139), Colour(44, 114, 142), Colour(33, 145, 140),
        Colour(40, 174, 128), Colour(94, 201, 98), Colour(173, 220, 48), Colour(253, 231, 37),
    ])

    /// Blue over white to orange: for values on both sides of a middle.
    public static let diverging = ColourScale(anchors: [
        Colour(8, 64, 129), Colour(43, 120, 186), Colour(120, 174, 218), Colour(200, 222, 238), Colour(247, 247, 247),
        Colour(252, 220, 184), Colour(246, 165, 92), Colour(214, 104, 22), Colour(138, 58, 3),
    ])
}
