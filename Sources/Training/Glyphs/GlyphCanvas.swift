/// A black-and-white sheet, four points per pixel and direction, from which grey pixels are counted: the way scanned
/// characters become small images.
struct GlyphCanvas {
    private static let fineness = 4
    private let side: Int
    private var points: [Bool]

    init(side: Int) {
        self.side = side
        points = [Bool](repeating: false, count: side * side * Self.fineness * Self.fineness)
    }

    /// Inks everything within `radius` pixels of a path; positions in pixels.
    mutating func draw(_ path: [GlyphPoint], radius: Double) {
        for (from, to) in zip(path, path.dropFirst()) { segment(from, to, radius) }
    }

    private mutating func segment(_ from: GlyphPoint, _ to: GlyphPoint, _ radius: Double) {
        let fine = Double(Self.fineness)
        let width = side * Self.fineness
        func places(_ a: Double, _ b: Double) -> Range<Int> {
            let low = max(0, Int(((min(a, b) - radius) * fine).rounded(.down)))
            let high = min(width, Int(((max(a, b) + radius) * fine).rounded(.up)) + 1)
            return low..<max(low, high)
        }
        let (dx, dy) = (to.x - from.x, to.y - from.y)
        let square = dx * dx + dy * dy
        let limit = radius * radius
        for row in places(from.y, to.y) {
            let y = (Double(row) + 0.5) / fine - from.y
            for column in places(from.x, to.x) {
                let x = (Double(column) + 0.5) / fine - from.x
                let along = square > 0 ? min(1, max(0, (x * dx + y * dy) / square)) : 0
                let (ox, oy) = (x - along * dx, y - along * dy)
                if ox * ox + oy * oy <= limit { points[row * width + column] = true }
            }
        }
    }

    /// Inked share of each pixel as a whole number 0…levels.
    func develop(levels: Int, into target: UnsafeMutableBufferPointer<UInt8>) {
        let fine = Self.fineness
        let full = fine * fine
        for row in 0..<side {
            for column in 0..<side {
                var count = 0
                for y in 0..<fine {
                    let start = (row * fine + y) * side * fine + column * fine
                    for x in 0..<fine where points[start + x] { count += 1 }
                }
                target[row * side + column] = UInt8((count * levels + full / 2) / full)
            }
        }
    }
}
