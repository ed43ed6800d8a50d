import Adapters
import Diagnostics
import Networks
import Tensors

/// Variations of a mixture that a router must withstand (LoRA-Mixer reference, section 8, item 6).
extension RoutedExperts {
    /// The same experts in another order.
    ///
    /// - Parameter order: place of each expert of the new order in this one.
    func permuted(_ order: [Int]) throws -> RoutedExperts {
        try RoutedExperts(arranged: order.map { experts[$0] }, on: backbone)
    }

    /// One more expert, behind the others, whose update is noise: A and B of normal numbers at every site that an expert
    /// has, as long as the experts' updates there are on average, with their mean rank.
    func withNoise(seed: UInt64) throws -> RoutedExperts {
        var found: [SiteID: [(rank: Int, length: Double)]] = [:]
        for slot in slots {
            for pair in slot.pairs {
                let length = try FactorPair(pair, of: slot).reduced().frobeniusNorm
                found[pair.site, default: []].append((pair.rank, length))
            }
        }
        let sites = found.map { site, pairs in
            (site: site, rank: max(1, pairs.reduce(0) { $0 + $1.rank } / pairs.count), scale: 1.0)
        }
        let slot = try LoRASlot<Float>(name: Self.noiseName, sites: sites, on: backbone.description)
        for pair in slot.pairs {
            let wanted = (found[pair.site] ?? []).map(\.length)
            let random = CounterRandom(seed: seed, stream: "noise expert", "\(pair.site)")
            let (a, b) = (slot.a(pair), slot.b(pair))
            random.fillNormals(from: 0, into: a)
            random.fillNormals(from: UInt64(a.count), into: b)
            let own = try FactorPair(pair, of: slot).reduced().frobeniusNorm
            let factor = Float(own > 0 ? wanted.reduce(0, +) / Double(wanted.count) / own : 0)
            for i in b.indices { b[i] *= factor }
        }
        let name = Self.noiseName
        let adapter = NamedAdapter(
            name: name, version: nil, object: nil, reference: name, adapter: try slot.adapter(on: backbone))
        return try RoutedExperts(arranged: experts + [Expert(adapter)], on: backbone)
    }

    static let noiseName = "(noise)"
}

extension ExpertTasks {
    /// For experts in another order.
    func permuted(_ order: [Int]) -> ExpertTasks {
        ExpertTasks(
            taskOfExpert: order.map { taskOfExpert[$0] },
            expertOfTask: expertOfTask.map { expert in expert.flatMap(order.firstIndex(of:)) }, tasks: tasks)
    }

    /// With one more expert, of no task.
    func withStranger() -> ExpertTasks {
        ExpertTasks(taskOfExpert: taskOfExpert + [nil], expertOfTask: expertOfTask, tasks: tasks)
    }
}

extension TrainedRouter {
    /// The same router over experts in another order: its rows change places.
    func permuted(_ order: [Int], over experts: RoutedExperts) throws -> TrainedRouter {
        let tasks = tasks.permuted(order)
        let other = try RouterModel(
            model.options, coverage: ExpertCoverage(experts.slots.map(\.sites)), on: experts.backbone.description,
            classes: tasks.classes)
        // The null expert stays behind the others.
        let outputs = order + Array(order.count..<model.outputs)
        for (old, new) in zip(model.networks, other.networks) {
            let units = Self.units(of: old, in: outputs)
            for (from, to) in zip(old.tensors, new.tensors) {
                let rows = from.shape[0]
                let width = from.range.count / max(1, rows)
                // Rows of hidden units and the gain belong to no expert.
                let perUnit = from.name != "fc1.weight" && from.name != "gain"
                for row in 0..<rows {
                    let source = from.range.lowerBound + (perUnit ? units[row] : row) * width
                    let target = to.range.lowerBound + row * width
                    for i in 0..<width { other.parameters[target + i] = model.parameters[source + i] }
                }
            }
        }
        var setup = setup
        if setup.routing.fixed.count == order.count { setup.routing.fixed = order.map { setup.routing.fixed[$0] } }
        return TrainedRouter(model: other, setup: setup, tasks: tasks, log: log)
    }

    /// The unit of the old network that each unit of the new one was.
    private static func units(of network: RouterNetwork, in outputs: [Int]) -> [Int] {
        outputs.flatMap { output in network.owners.indices.filter { network.owners[$0] == output } }
    }
}
