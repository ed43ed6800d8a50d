import Testing
import Training

@Suite struct StrokeGlyphTests {
    private func image(_ glyphs: StrokeGlyphs, _ label: Int, _ instance: Int, _ purpose: StrokeGlyphs.Purpose)
        -> [UInt8]
    {
        var pixels = [UInt8](repeating: 0, count: glyphs.side * glyphs.side)
        pixels.withUnsafeMutableBufferPointer { glyphs.draw(label, instance: instance, purpose: purpose, into: $0) }
        return pixels
    }

    private func difference(_ a: [UInt8], _ b: [UInt8]) -> Int {
        zip(a, b).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
    }

    @Test func `an image is a function of seed, class, instance and purpose`() {
        let glyphs = StrokeGlyphs(classes: 5, side: 8, levels: 16, seed: 3)
        let again = StrokeGlyphs(classes: 9, side: 8, levels: 16, seed: 3)
        #expect(image(glyphs, 4, 7, .training) == image(again, 4, 7, .training))
        #expect(image(glyphs, 4, 7, .training) != image(glyphs, 4, 8, .training))
        #expect(image(glyphs, 4, 7, .training) != image(glyphs, 4, 7, .validation))
        #expect(image(glyphs, 4, 7, .training) != image(glyphs, 3, 7, .training))
        let other = StrokeGlyphs(classes: 5, side: 8, levels: 16, seed: 4)
        #expect(image(glyphs, 4, 7, .training) != image(other, 4, 7, .training))
    }

    @Test(arguments: [(8, 16), (28, 255)]) func `images have ink in the wanted range, up to the borders of the box`(
        side: Int, levels: Int
    ) {
        let glyphs = StrokeGlyphs(classes: 12, side: side, levels: levels, seed: 1)
        for label in 0..<12 {
            let pixels = image(glyphs, label, 0, .training)
            let inked = pixels.count { $0 > 0 }
            #expect(pixels.allSatisfy { $0 <= levels })
            #expect(pixels.contains { $0 > levels / 2 })
            #expect(inked > side && inked < side * side * 9 / 10, "class \(label): \(inked) inked pixels")
        }
    }

    @Test func `drawings of one class resemble each other more than those of others`() {
        let glyphs = StrokeGlyphs(classes: 20, side: 8, levels: 16, seed: 2)
        var (within, between) = (0, 0)
        for label in 0..<20 {
            let reference = image(glyphs, label, 0, .training)
            within += difference(reference, image(glyphs, label, 1, .training))
            between += difference(reference, image(glyphs, (label + 7) % 20, 1, .training))
        }
        #expect(Double(within) < 0.75 * Double(between), "\(within) within, \(between) between")
    }
}
