import Tensors

/// Running class means for the nearest-class-mean head (`ncm`).
public struct NearestMean: Sendable {
    public let width: Int
    public private(set) var counts: [Int]
    private var sums: [Double]

    public init(width: Int, classCount: Int) {
        self.width = width
        counts = [Int](repeating: 0, count: classCount)
        sums = [Double](repeating: 0, count: classCount * width)
    }

    /// Adds features [samples, width], scaled to unit length, under their labels.
    public mutating func add(_ features: Matrix<Float>, labels: [Int]) {
        let unit = FeatureRows.unitLength(features)
        for (row, label) in labels.enumerated() {
            counts[label] += 1
            for column in 0..<width { sums[label * width + column] += Double(unit[row, column]) }
        }
    }

    /// Class means [classes, width]; zero rows for classes without samples.
    public var means: Matrix<Float> {
        var result = Matrix<Float>(rows: counts.count, columns: width)
        for label in counts.indices where counts[label] > 0 {
            for column in 0..<width {
                result[label, column] = Float(sums[label * width + column] / Double(counts[label]))
            }
        }
        return result
    }

    /// Cosine similarity to the class means, times `scale`.
    public func head(scale: Float = 1) -> LinearHead { .cosine(means, scale: scale) }
}
