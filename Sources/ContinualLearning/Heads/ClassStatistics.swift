import LinearAlgebra
import Tensors

/// Count, mean and covariance of each class's features, moved along when the features drift.
public struct ClassStatistics: Sendable {
    public let width: Int
    public private(set) var counts: [Int]
    /// μ_c [classes, width]
    public private(set) var means: Matrix<Double>
    /// Σ_c [width, width] of classes with samples; empty unless they are kept.
    public private(set) var covariances: [Int: Matrix<Double>] = [:]
    /// Σ (f − μ_c)(f − μ_c)ᵀ over all samples, [width, width].
    public private(set) var scatter: Matrix<Double>
    private let keepsCovariances: Bool

    public init(width: Int, classCount: Int, keepsCovariances: Bool) {
        self.width = width
        self.keepsCovariances = keepsCovariances
        counts = [Int](repeating: 0, count: classCount)
        means = Matrix(rows: classCount, columns: width)
        scatter = Matrix(rows: width, columns: width)
    }

    /// Adds classes that were not seen before; a class that comes again is added to with its own mean.
    ///
    /// - Parameter features: [samples, width]
    public mutating func add(_ features: Matrix<Float>, labels: [Int]) throws {
        let f = features.inDouble
        let groups = Dictionary(grouping: labels.indices, by: { labels[$0] })
        for label in groups.keys.sorted() {
            let rows = groups[label] ?? []
            var own = Matrix<Double>(rows: rows.count, columns: width)
            for (place, row) in rows.enumerated() {
                for column in 0..<width { own[place, column] = f[row, column] }
            }
            try add(own, label: label)
        }
    }

    private mutating func add(_ rows: Matrix<Double>, label: Int) throws {
        let (old, new) = (Double(counts[label]), Double(rows.rows))
        var mean = [Double](repeating: 0, count: width)
        for row in 0..<rows.rows { for column in 0..<width { mean[column] += rows[row, column] / new } }
        var centred = rows
        for row in 0..<rows.rows { for column in 0..<width { centred[row, column] -= mean[column] } }
        var added = try symmetricProduct(centred, transposed: true)
        // Two groups of one class: their means differ, too (Chan et al. 1979).
        let share = old * new / (old + new)
        for i in 0..<width {
            for j in 0..<width { added[i, j] += share * (mean[i] - means[label, i]) * (mean[j] - means[label, j]) }
        }
        scatter = scatter.plus(added)
        if keepsCovariances {
            let before = covariances[label].map { $0.scaled(by: old) } ?? Matrix(rows: width, columns: width)
            covariances[label] = before.plus(added).scaled(by: 1 / (old + new))
        }
        for column in 0..<width { means[label, column] += (mean[column] - means[label, column]) * new / (old + new) }
        counts[label] += rows.rows
    }

    /// μ ← Tμ, Σ ← TΣTᵀ.
    public mutating func move(_ drift: FeatureDrift) throws {
        let t = drift.transport
        means = try multiply(means, t, transposeB: true)
        scatter = try multiply(multiply(t, scatter), t, transposeB: true)
        for label in covariances.keys.sorted() {
            guard let covariance = covariances[label] else { continue }
            covariances[label] = try multiply(multiply(t, covariance), t, transposeB: true)
        }
    }

    // MARK: Storage

    /// Everything by name, for a checkpoint.
    var state: [String: Matrix<Double>] {
        var state = [
            "counts": Matrix(rows: 1, columns: counts.count, elements: counts.map(Double.init)), "means": means,
            "scatter": scatter,
        ]
        for (label, covariance) in covariances { state["covariance.\(label)"] = covariance }
        return state
    }

    mutating func restore(_ state: [String: Matrix<Double>]) throws {
        counts = try StoredMatrix.named("counts", in: state, rows: 1, columns: counts.count).elements.map { Int($0) }
        means = try StoredMatrix.named("means", in: state, rows: counts.count, columns: width)
        scatter = try StoredMatrix.named("scatter", in: state, rows: width, columns: width)
        covariances = [:]
        for label in counts.indices where keepsCovariances && counts[label] > 0 {
            covariances[label] = try StoredMatrix.named("covariance.\(label)", in: state, rows: width, columns: width)
        }
    }
}
