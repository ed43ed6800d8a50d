import Diagnostics
import Foundation
import Tensors

/// Random shift, rotation, scale and flip of images.
///
/// Every draw is a pure function of (seed, sample, epoch): the same sample looks the same in any batch, in any order,
/// on any number of threads.
public struct ImageAugmentation: Sendable, Hashable {
    /// Largest shift as a share of the side, 0…1.
    public var shift: Double
    /// Largest rotation in degrees, 0…180.
    public var rotationDegrees: Double
    /// Largest relative change of size, 0..<1: factors lie in 1 − scale … 1 + scale.
    public var scale: Double
    /// Mirror left and right with probability one half.
    public var flips: Bool
    public var seed: UInt64

    public static let none = ImageAugmentation(shift: 0, rotationDegrees: 0, scale: 0, flips: false, seed: 0)

    public init(shift: Double, rotationDegrees: Double, scale: Double, flips: Bool, seed: UInt64) {
        self.shift = shift
        self.rotationDegrees = rotationDegrees
        self.scale = scale
        self.flips = flips
        self.seed = seed
    }

    public var isNone: Bool { shift == 0 && rotationDegrees == 0 && scale == 0 && !flips }

    /// The augmented form of one image, bilinear, outside = 0.
    ///
    /// - Parameters:
    ///   - image: numbers [channels, height, width].
    ///   - sample: identity of the sample (its source index).
    ///   - epoch: which pass over the data.
    ///   - target: `shape.count` numbers.
    public func apply(
        _ image: UnsafeBufferPointer<Float>, shape: ImageShape, sample: Int, epoch: Int,
        into target: UnsafeMutableBufferPointer<Float>
    ) {
        let inverse = inverseMap(shape: shape, sample: sample, epoch: epoch)
        let area = shape.height * shape.width
        for channel in 0..<shape.channels {
            for y in 0..<shape.height {
                for x in 0..<shape.width {
                    let point = inverse.source(x: Double(x), y: Double(y))
                    target[channel * area + y * shape.width + x] = Self.bilinear(
                        image, offset: channel * area, height: shape.height, width: shape.width, x: point.x, y: point.y)
                }
            }
        }
    }

    /// Where a target pixel comes from.
    private struct InverseMap {
        var centreX: Double
        var centreY: Double
        var shiftX: Double
        var shiftY: Double
        var cosine: Double
        var sine: Double
        var mirror: Double

        func source(x: Double, y: Double) -> (x: Double, y: Double) {
            let dx = x - centreX - shiftX
            let dy = y - centreY - shiftY
            return (mirror * (cosine * dx + sine * dy) + centreX, cosine * dy - sine * dx + centreY)
        }
    }

    private func inverseMap(shape: ImageShape, sample: Int, epoch: Int) -> InverseMap {
        let random = CounterRandom(seed: seed, stream: "augmentation", "\(sample)")
        let start = UInt64(epoch) * 8
        func symmetric(_ lane: UInt64) -> Double { 2 * Double(random.uniform(start + lane)) - 1 }
        let angle = symmetric(0) * rotationDegrees * .pi / 180
        let factor = 1 / (1 + symmetric(1) * scale)
        return InverseMap(
            centreX: Double(shape.width - 1) / 2, centreY: Double(shape.height - 1) / 2,
            shiftX: symmetric(2) * shift * Double(shape.width), shiftY: symmetric(3) * shift * Double(shape.height),
            cosine: factor * cos(angle), sine: factor * sin(angle),
            mirror: flips && random.uniform(start + 4) < 0.5 ? -1 : 1)
    }

    private static func bilinear(
        _ image: UnsafeBufferPointer<Float>, offset: Int, height: Int, width: Int, x: Double, y: Double
    ) -> Float {
        let left = Int(x.rounded(.down))
        let top = Int(y.rounded(.down))
        let right = Float(x - Double(left))
        let low = Float(y - Double(top))
        func pixel(_ row: Int, _ column: Int) -> Float {
            row >= 0 && row < height && column >= 0 && column < width ? image[offset + row * width + column] : 0
        }
        let upper = pixel(top, left) * (1 - right) + pixel(top, left + 1) * right
        let lower = pixel(top + 1, left) * (1 - right) + pixel(top + 1, left + 1) * right
        return upper * (1 - low) + lower * low
    }
}
