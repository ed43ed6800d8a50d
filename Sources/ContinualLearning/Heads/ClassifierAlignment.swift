import Foundation
import LinearAlgebra
import Networks
import Tensors

/// Trains a linear head on samples of N(μ_c, Σ_c) of every class seen (SLCA, Zhang et al. 2023): cross-entropy of
/// logits that are scaled to unit length and divided by a temperature. Double precision; Adam with a cosine schedule.
struct ClassifierAlignment {
    private let options: StatisticsHeadOptions
    private let statistics: ClassStatistics
    private let classes: [Int]
    private let batch = 64
    private let rate = 0.01

    init(_ options: StatisticsHeadOptions, _ statistics: ClassStatistics) {
        self.options = options
        self.statistics = statistics
        classes = statistics.counts.indices.filter { statistics.counts[$0] > 0 }
    }

    func head() throws -> LinearHead {
        var weight = try trained(try samples())
        // The head is used without bias; rows of classes that were never seen stay zero.
        var full = Matrix<Double>(rows: statistics.counts.count, columns: statistics.width)
        for (row, label) in classes.enumerated() {
            for column in 0..<statistics.width { full[label, column] = weight[row, column] }
        }
        weight = full
        return LinearHead(weight: weight.inFloat)
    }

    /// Samples of all classes, class after class: [classes · n, width].
    private func samples() throws -> Matrix<Double> {
        let (n, width) = (options.samplesPerClass, statistics.width)
        var parts: [Matrix<Double>] = []
        for label in classes {
            let noise = CounterRandom(seed: options.seed, stream: "align", "\(label)").normalMatrix(
                rows: n, columns: width)
            var rows = try coloured(noise.inDouble, label: label)
            for row in 0..<n { for column in 0..<width { rows[row, column] += statistics.means[label, column] } }
            parts.append(rows)
        }
        return Matrix.stacked(parts)
    }

    /// Z·Σ^{1/2} for rows of standard normal numbers.
    private func coloured(_ noise: Matrix<Double>, label: Int) throws -> Matrix<Double> {
        guard let covariance = statistics.covariances[label] else { return noise.scaled(by: 0) }
        if options.covariance == .diagonal {
            return noise.scalingColumns(by: (0..<noise.columns).map { max(covariance[$0, $0], 0).squareRoot() })
        }
        let eigen = try symmetricEigen(covariance, place: "align head")
        let roots = eigen.values.map { max($0, 0).squareRoot() }
        return try multiply(noise.scalingColumns(by: roots), eigen.vectors, transposeB: true)
    }

    private func trained(_ samples: Matrix<Double>) throws -> Matrix<Double> {
        let width = statistics.width
        var weight = Matrix<Double>(rows: classes.count, columns: width)
        for (row, label) in classes.enumerated() {
            let norm = (0..<width).reduce(0) { $0 + statistics.means[label, $1] * statistics.means[label, $1] }
            for column in 0..<width where norm > 0 {
                weight[row, column] = statistics.means[label, column] / norm.squareRoot()
            }
        }
        var (first, second) = (weight.scaled(by: 0), weight.scaled(by: 0))
        let batches = (samples.rows + batch - 1) / batch
        let steps = max(1, batches * options.alignEpochs)
        var step = 0
        for epoch in 0..<options.alignEpochs {
            let random = CounterRandom(seed: options.seed, stream: "align-order", "\(epoch)")
            let order = (0..<samples.rows).sorted { (random.word(UInt64($0)), $0) < (random.word(UInt64($1)), $1) }
            for start in stride(from: 0, to: order.count, by: batch) {
                let rows = Array(order[start..<min(start + batch, order.count)])
                let gradient = try gradient(weight, samples, rows)
                step += 1
                let rate = rate * 0.5 * (1 + cos(Double.pi * Double(step - 1) / Double(steps)))
                let (c1, c2) = (1 - pow(0.9, Double(step)), 1 - pow(0.999, Double(step)))
                for i in weight.elements.indices {
                    let g = gradient.elements[i]
                    first.elements[i] = 0.9 * first.elements[i] + 0.1 * g
                    second.elements[i] = 0.999 * second.elements[i] + 0.001 * g * g
                    let size = (second.elements[i] / c2).squareRoot() + 1e-8
                    weight.elements[i] -= rate * first.elements[i] / c1 / size
                }
            }
        }
        return weight
    }

    /// Mean over the rows of ∂L/∂W, with z̃ = z/(τ‖z‖): dz = (g − ẑ(ẑ·g))/(τ‖z‖).
    private func gradient(_ weight: Matrix<Double>, _ samples: Matrix<Double>, _ rows: [Int]) throws -> Matrix<Double> {
        var input = Matrix<Double>(rows: rows.count, columns: samples.columns)
        for (place, row) in rows.enumerated() {
            for column in 0..<samples.columns { input[place, column] = samples[row, column] }
        }
        var logits = try multiply(input, weight, transposeB: true)
        for (place, row) in rows.enumerated() {
            let range = place * classes.count..<(place + 1) * classes.count
            let z = Array(logits.elements[range])
            let norm = max(z.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
            let scaled = z.map { $0 / (options.temperature * norm) }
            let top = scaled.max() ?? 0
            let powers = scaled.map { exp($0 - top) }
            let sum = powers.reduce(0, +)
            let target = row / options.samplesPerClass
            let g = powers.indices.map { powers[$0] / sum - ($0 == target ? 1 : 0) }
            let along = zip(g, z).reduce(0) { $0 + $1.0 * $1.1 } / norm
            for (i, index) in range.enumerated() {
                logits.elements[index] =
                    (g[i] - z[i] / norm * along) / (options.temperature * norm * Double(rows.count))
            }
        }
        return try multiply(logits, input, transposeA: true)
    }
}
