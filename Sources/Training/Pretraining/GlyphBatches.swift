import Networks
import Tensors

/// Training and validation images of a pre-training run, drawn when they are wanted.
struct GlyphBatches: Sendable {
    let glyphs: StrokeGlyphs
    let seed: UInt64

    /// The images of one batch: random classes, each image drawn for the first and last time.
    ///
    /// - Parameter number: counts the batches of the whole run.
    func training(_ number: Int, count: Int) -> TrainingBatch {
        let random = CounterRandom(seed: seed, stream: "pretraining-classes")
        let first = number * count
        let labels = (first..<first + count).map { place in
            min(glyphs.classes - 1, Int(Double(random.uniform(UInt64(place))) * Double(glyphs.classes)))
        }
        let pixels = images(labels, instances: Array(first..<first + count), purpose: .training)
        return TrainingBatch(.images(pixels), labels: labels)
    }

    /// `perClass` images of every class, which training never sees.
    func validation(perClass: Int) -> (pixels: [Float], labels: [Int]) {
        let labels = (0..<glyphs.classes).flatMap { [Int](repeating: $0, count: perClass) }
        let instances = labels.indices.map { $0 % perClass }
        return (images(labels, instances: instances, purpose: .validation), labels)
    }

    /// Pixels divided by their largest value.
    private func images(_ labels: [Int], instances: [Int], purpose: StrokeGlyphs.Purpose) -> [Float] {
        let area = glyphs.side * glyphs.side
        let factor = 1 / Float(glyphs.levels)
        var bytes = [UInt8](repeating: 0, count: area)
        return [Float](unsafeUninitializedCapacity: labels.count * area) { target, count in
            for (place, label) in labels.enumerated() {
                bytes.withUnsafeMutableBufferPointer {
                    glyphs.draw(label, instance: instances[place], purpose: purpose, into: $0)
                }
                for i in 0..<area { target[place * area + i] = Float(bytes[i]) * factor }
            }
            count = labels.count * area
        }
    }
}
