import Training

/// Brings images to the size that a backbone reads: bilinear, pixel centres aligned, values spread over all 256 bytes
/// so that interpolated values keep their precision.
struct ImageResizing: Sendable {
    let height: Int
    let width: Int
    let largestValue: Int

    /// What a pixel value is multiplied by.
    var gain: Float { 255 / Float(largestValue) }

    func resized(_ set: ImageSet) -> ImageSet {
        let from = set.shape
        let to = ImageShape(channels: from.channels, height: height, width: width)
        var pixels = [UInt8](repeating: 0, count: set.count * to.count)
        let rows = Self.taps(from.height, height)
        let columns = Self.taps(from.width, width)
        for plane in 0..<set.count * from.channels {
            let source = plane * from.height * from.width
            for (y, row) in rows.enumerated() {
                for (x, column) in columns.enumerated() {
                    func value(_ j: Int, _ i: Int) -> Float { Float(set.pixels[source + j * from.width + i]) }
                    let top =
                        value(row.low, column.low) * (1 - column.share) + value(row.low, column.high) * column.share
                    let bottom =
                        value(row.high, column.low) * (1 - column.share) + value(row.high, column.high) * column.share
                    let mixed = (top * (1 - row.share) + bottom * row.share) * gain
                    pixels[plane * height * width + y * width + x] = UInt8(min(255, max(0, mixed.rounded())))
                }
            }
        }
        return ImageSet(shape: to, pixels: pixels)
    }

    /// For each target position the two source positions around it and the share of the second.
    private static func taps(_ from: Int, _ to: Int) -> [(low: Int, high: Int, share: Float)] {
        (0..<to).map { index in
            let place = (Float(index) + 0.5) * Float(from) / Float(to) - 0.5
            let low = min(from - 1, max(0, Int(place.rounded(.down))))
            let share = min(1, max(0, place - Float(low)))
            return (low, min(from - 1, low + 1), share)
        }
    }
}
