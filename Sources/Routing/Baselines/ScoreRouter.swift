import Networks

/// Scores of the experts that have a pair at one site.
protocol SiteScores: Sendable {
    /// Which experts compete here; the others get no weight.
    var covered: [Bool] { get }

    /// Scores [experts] of one input row; scores of experts that are not covered stay as they are.
    func score(_ x: UnsafePointer<Double>, into z: UnsafeMutablePointer<Double>)
}

/// A router without learned parts: scores of each token at each site, the K largest, softmax over these (section 7).
final class ScoreRouter: SiteRouter {
    typealias S = Float

    private let rule: MixingRule
    private let tables: [ExpertSite.Key: any SiteScores]

    /// - Parameter k: experts per token and site.
    init(_ tables: [ExpertSite.Key: any SiteScores], experts: Int, k: Int, temperature: Double = 1) {
        self.tables = tables
        rule = MixingRule(
            RoutingOptions(mode: .topk, k: k), temperature: temperature, experts: experts, nullExpert: false)
    }

    func coefficients(at point: RoutingPoint, rows: RoutedRows<Float>, into weights: UnsafeMutablePointer<Float>) {
        weights.update(repeating: 0, count: rows.count * rows.columns)
        let experts = rule.experts
        withUnsafeTemporaryAllocation(of: Double.self, capacity: rows.width + 4 * experts) { buffer in
            guard let x = buffer.baseAddress else { return }
            let z = x + rows.width
            let (p, logP, w) = (z + experts, z + 2 * experts, z + 3 * experts)
            for row in 0..<rows.count {
                let from = rows.input + row * rows.stride
                for i in 0..<rows.width { x[i] = Double(from[i]) }
                for site in 0..<rows.columns / experts {
                    guard let table = tables[.init(layer: point.layer, group: point.group, kind: site)] else {
                        continue
                    }
                    table.score(x, into: z)
                    rule.probabilities(z, covered: table.covered, p: p, logP: logP)
                    rule.weights(p: p, logP: logP, domain: nil, into: w)
                    let target = weights + row * rows.columns + site * experts
                    for expert in 0..<experts { target[expert] = Float(w[expert]) }
                }
            }
        }
    }

    func backward(
        at point: RoutingPoint, rows: RoutedRows<Float>, weights: UnsafePointer<Float>,
        weightGradient: UnsafePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?
    ) {}
}

/// The experts' pairs at one site of one layer.
struct ExpertSite {
    /// Place of a site: layer, linear, and place among the linear's sites.
    struct Key: Hashable, Sendable {
        let layer: Int
        let group: Int
        let kind: Int
    }

    let key: Key
    let site: SiteID
    let inputs: Int
    /// Pair of each expert; nil where it has none.
    var pairs: [LoRAPair?]

    var covered: [Bool] { pairs.map { $0 != nil } }

    /// Every site that some expert has, in forward order.
    static func all(_ experts: RoutedExperts) throws -> [ExpertSite] {
        let description = experts.backbone.description
        var result: [SiteID: ExpertSite] = [:]
        for (expert, slot) in experts.slots.enumerated() {
            for pair in slot.pairs {
                let shape = try description.shape(of: pair.site)
                let kind = description.groups[shape.group].kinds.firstIndex(of: pair.site.kind) ?? 0
                let key = Key(layer: pair.site.layer, group: shape.group, kind: kind)
                var entry =
                    result[pair.site]
                    ?? ExpertSite(
                        key: key, site: pair.site, inputs: shape.inputs,
                        pairs: Array(repeating: nil, count: experts.count))
                entry.pairs[expert] = pair
                result[pair.site] = entry
            }
        }
        return result.sorted { $0.key < $1.key }.map(\.value)
    }
}
