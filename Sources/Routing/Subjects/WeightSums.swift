import Networks
import Synchronization

/// Sums of mixing weights per sample. Each linear's sums stand alone, so that threads do not matter.
///
/// What counts is what a trace counts: the decisions of each router once. A site that no expert covers has no decision,
/// and a router that a whole layer shares decides once for the layer.
final class WeightSums: Sendable {
    private struct State {
        var sums: [RoutingPoint: [Double]] = [:]
        var counts: [Double]
    }

    /// A linear of a layer.
    private struct Linear: Hashable {
        let layer: Int
        let group: Int
    }

    private let experts: Int
    /// Places of the covered sites among those of a linear.
    private let covered: [Linear: [Int]]
    /// The first covered linear of each layer, where a layer decides once; nil: every linear counts.
    private let firstGroups: [Int: Int]?
    private let state: Mutex<State>

    /// - Parameters:
    ///   - samples: of the pass.
    ///   - oncePerLayer: a layer's linears share one decision.
    init(samples: Int, experts: RoutedExperts, oncePerLayer: Bool = false) {
        self.experts = experts.count
        state = Mutex(State(counts: Array(repeating: 0, count: samples)))
        let coverage = ExpertCoverage(experts.slots.map(\.sites)).sites
        var covered: [Linear: [Int]] = [:]
        var first: [Int: Int] = [:]
        let description = experts.backbone.description
        for layer in 0..<description.depth {
            for group in description.groups {
                let places = group.kinds.indices.filter {
                    !(coverage[SiteID(layer: layer, kind: group.kinds[$0])] ?? []).isEmpty
                }
                guard !places.isEmpty else { continue }
                covered[Linear(layer: layer, group: group.index)] = places
                first[layer] = min(first[layer] ?? group.index, group.index)
            }
        }
        self.covered = covered
        firstGroups = oncePerLayer ? first : nil
    }

    func add(_ rows: RoutedRows<Float>, _ weights: UnsafePointer<Float>, at point: RoutingPoint) {
        if let firstGroups, firstGroups[point.layer] != point.group { return }
        let samples = rows.offsets.count - 1
        let columns = rows.columns
        let sites = columns == experts ? [0] : covered[Linear(layer: point.layer, group: point.group)] ?? []
        var sums = [Double](repeating: 0, count: samples * experts)
        for sample in 0..<samples {
            for row in rows.offsets[sample]..<rows.offsets[sample + 1] {
                for site in sites {
                    let line = weights + row * columns + site * experts
                    for expert in 0..<experts { sums[sample * experts + expert] += Double(line[expert]) }
                }
            }
        }
        state.withLock { state in
            let total = state.counts.count * experts
            var table = state.sums[point] ?? Array(repeating: 0, count: total)
            for index in sums.indices { table[rows.firstSample * experts + index] = sums[index] }
            state.sums[point] = table
            for sample in 0..<samples {
                let length = rows.offsets[sample + 1] - rows.offsets[sample]
                state.counts[rows.firstSample + sample] += Double(length * sites.count)
            }
        }
    }

    /// Weights [Σ lengths, experts].
    func add(_ weights: [Float], lengths: [Int]) {
        state.withLock { state in
            var table = [Double](repeating: 0, count: lengths.count * experts)
            var row = 0
            for (sample, length) in lengths.enumerated() {
                for _ in 0..<length {
                    for expert in 0..<experts {
                        table[sample * experts + expert] += Double(weights[row * experts + expert])
                    }
                    row += 1
                }
                state.counts[sample] += Double(length)
            }
            state.sums[RoutingPoint(layer: -1, group: 0, inputs: 0)] = table
        }
    }

    func means() -> [Float] {
        state.withLock { state in
            var result = [Double](repeating: 0, count: state.counts.count * experts)
            for (_, table) in state.sums.sorted(by: { ($0.key.layer, $0.key.group) < ($1.key.layer, $1.key.group) }) {
                for index in table.indices { result[index] += table[index] }
            }
            return result.enumerated().map { Float($1 / max(1, state.counts[$0 / experts])) }
        }
    }
}
