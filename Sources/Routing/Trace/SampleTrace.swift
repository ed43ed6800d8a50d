import Foundation

/// Everything that routers decided about one sample, and what came of it.
public struct SampleTrace: Sendable {
    /// The decisions of one router.
    public struct Site: Sendable {
        /// As in router files: `L03.qkv`, `global`.
        public let router: String
        /// nil for routers that stand at no layer.
        public let layer: Int?
        public let rows: Int
        /// Probabilities and mixing weights [rows, experts]; the null expert's share is what is missing to 1.
        public let p: [Float]
        public let w: [Float]

        /// Entropy in nats of the probabilities of a row, the null expert's share counted as one outcome.
        public func entropy(_ row: Int) -> Double {
            let count = p.count / max(1, rows)
            var rest = 1.0
            var sum = 0.0
            for value in p[row * count..<(row + 1) * count] where value > 0 {
                rest -= Double(value)
                sum -= Double(value) * log(Double(value))
            }
            return rest > 1e-6 ? sum - rest * log(rest) : sum
        }
    }

    /// Place among the samples that were given.
    public let position: Int
    /// Scores of the classes.
    public let logits: [Float]
    /// In forward order.
    public let sites: [Site]
    public let experts: Int

    /// The class with the largest score; the lowest among equals.
    public var prediction: Int {
        logits.indices.min { (-logits[$0], $0) < (-logits[$1], $1) } ?? 0
    }

    /// Mean weight of each expert over all decisions.
    public var load: [Double] { Self.mean(sites, experts) }

    /// Mean weight of each expert in each layer; key −1 for routers that stand at no layer.
    public var loadByLayer: [Int: [Double]] {
        Dictionary(grouping: sites) { $0.layer ?? -1 }.mapValues { Self.mean($0, experts) }
    }

    /// Mean entropy of all decisions, in nats.
    public var entropy: Double {
        let rows = sites.reduce(0) { $0 + $1.rows }
        let sum = sites.reduce(0.0) { sum, site in (0..<site.rows).reduce(sum) { $0 + site.entropy($1) } }
        return rows > 0 ? sum / Double(rows) : 0
    }

    private static func mean(_ sites: [Site], _ experts: Int) -> [Double] {
        var sum = [Double](repeating: 0, count: experts)
        var rows = 0
        for site in sites {
            rows += site.rows
            for (index, value) in site.w.enumerated() { sum[index % experts] += Double(value) }
        }
        return rows > 0 ? sum.map { $0 / Double(rows) } : sum
    }
}
