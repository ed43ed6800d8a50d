import Evaluation
import Foundation
import Tensors

/// How a subject shared the experts, from the mean weights of samples.
public struct RoutingSummary: Sendable {
    /// Mean weight of each expert.
    public let load: [Double]
    /// Mean entropy, in nats, of the samples' mean weights.
    public let entropy: Double
    /// Mean weight [task][expert] over the samples of a task; empty rows for tasks without samples.
    public let specialisation: [[Double]]
    /// I(task; expert) in nats, the tasks as frequent as among the samples.
    public let mutualInformation: Double

    /// - Parameters:
    ///   - weights: [samples, experts].
    ///   - tasks: task of each sample.
    public init(weights: Matrix<Float>, tasks: [Int?], taskCount: Int) {
        let experts = weights.columns
        var load = [Double](repeating: 0, count: experts)
        var table = [[Double]](repeating: [Double](repeating: 0, count: experts), count: taskCount)
        var counts = [Int](repeating: 0, count: taskCount)
        var entropy = 0.0
        for row in 0..<weights.rows {
            let line = (0..<experts).map { Double(weights[row, $0]) }
            let total = line.reduce(0, +)
            for e in 0..<experts { load[e] += line[e] }
            if total > 0 { entropy -= line.reduce(0) { $0 + ($1 > 0 ? $1 / total * log($1 / total) : 0) } }
            guard let task = tasks[row] else { continue }
            counts[task] += 1
            for e in 0..<experts { table[task][e] += line[e] }
        }
        let n = Double(max(1, weights.rows))
        self.load = load.map { $0 / n }
        self.entropy = entropy / n
        specialisation = zip(table, counts).map { row, count in count > 0 ? row.map { $0 / Double(count) } : [] }
        mutualInformation = Self.information(specialisation, counts)
    }

    static func information(_ table: [[Double]], _ counts: [Int]) -> Double {
        let total = Double(max(1, counts.reduce(0, +)))
        let rows = zip(table, counts).filter { !$0.0.isEmpty }.map { row, count -> (p: [Double], prior: Double) in
            let sum = max(row.reduce(0, +), 1e-300)
            return (row.map { $0 / sum }, Double(count) / total)
        }
        guard let experts = rows.first?.p.count else { return 0 }
        var marginal = [Double](repeating: 0, count: experts)
        for row in rows { for e in 0..<experts { marginal[e] += row.prior * row.p[e] } }
        return rows.reduce(0.0) { sum, row in
            sum + row.prior
                * row.p.indices.reduce(0.0) { $0 + (row.p[$1] > 0 ? row.p[$1] * log(row.p[$1] / marginal[$1]) : 0) }
        }
    }
}
