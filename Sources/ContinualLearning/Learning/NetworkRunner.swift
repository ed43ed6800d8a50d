import Evaluation
import Networks
import Tensors

/// The frozen backbone of a run with what all passes share.
struct NetworkRunner: Sendable {
    let backbone: Backbone<Float>
    let pooling: Pooling
    let normalises: Bool
    let threads: Int
    /// Samples per pass without gradients.
    private static let chunk = 512

    var width: Int { backbone.description.width }

    /// Features [samples, width]; scaled to unit length when the configuration says `normalize: l2`.
    ///
    /// - Parameters:
    ///   - coefficients: one per slot of the mix.
    ///   - positions: nil for all samples, in order.
    func features(
        of set: SampleSet, mix: AdapterMix<Float>?, coefficients: [Float] = [], positions: [Int]? = nil
    ) throws -> Matrix<Float> {
        try features(of: set, mix: mix, positions: positions) { _ in .constant(coefficients) }
    }

    /// Features where each chunk of samples has coefficients of its own.
    func features(
        of set: SampleSet, mix: AdapterMix<Float>?, positions: [Int]? = nil,
        coefficients: (_ positions: [Int]) -> Coefficients<Float>
    ) throws -> Matrix<Float> {
        let positions = positions ?? Array(0..<set.count)
        var elements: [Float] = []
        elements.reserveCapacity(positions.count * width)
        for start in stride(from: 0, to: positions.count, by: Self.chunk) {
            let part = Array(positions[start..<min(start + Self.chunk, positions.count)])
            elements += try backbone.features(
                set.input(part), pooling: pooling, mix: mix, coefficients: mix == nil ? nil : coefficients(part),
                threads: threads)
        }
        let matrix = Matrix(rows: positions.count, columns: width, elements: elements)
        return normalises ? FeatureRows.unitLength(matrix) : matrix
    }
}
