import Evaluation
import Networks
import Tensors

/// Samples of one split on their way into the backbone, with the frozen prefix computed once where memory allows.
///
/// Continuing from the prefix gives the same bits as running all layers (section 7.2).
final class SampleInput {
    let encoded: EncodedSamples
    private let prefix: PrefixActivations<Float>?

    init(
        _ encoded: EncodedSamples, on backbone: Backbone<Float>, firstLayer: Int, limitBytes: Int, threads: Int
    ) throws {
        self.encoded = encoded
        let all = Array(0..<encoded.count)
        guard limitBytes > 0, let first = all.first else {
            prefix = nil
            return
        }
        let one = try backbone.prefix(of: encoded.input([first]), through: firstLayer, threads: 1)
        guard one.byteCount * encoded.count <= limitBytes else {
            prefix = nil
            return
        }
        prefix = try backbone.prefix(of: encoded.input(all), through: firstLayer, threads: threads)
    }

    var count: Int { encoded.count }

    func callAsFunction(_ positions: [Int]) -> NetworkInput<Float> {
        if let prefix { .activations(prefix, samples: positions) } else { encoded.input(positions) }
    }
}

/// Runs samples through a network and collects features.
struct FeatureReading {
    let backbone: Backbone<Float>
    let pooling: Pooling
    let threads: Int

    /// [samples, width]; nil coefficients: every slot with weight 1.
    func features(
        _ input: SampleInput, mix: AdapterMix<Float>?, coefficients: [Float]? = nil
    ) throws -> Matrix<Float> {
        var elements: [Float] = []
        let width = backbone.description.width
        elements.reserveCapacity(input.count * width)
        for start in stride(from: 0, to: input.count, by: 512) {
            let positions = Array(start..<min(start + 512, input.count))
            elements += try backbone.features(
                input(positions), pooling: pooling, mix: mix, coefficients: coefficients.map { .constant($0) },
                threads: threads)
        }
        return Matrix(rows: input.count, columns: width, elements: elements)
    }
}
