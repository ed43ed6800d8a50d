import Networks

/// What routers decided over one batch, and their gradients. Blocks write to disjoint places from several threads.
final class RouterTape: @unchecked Sendable {
    /// One network's numbers: z, p, ln p [rows, outputs] and u [rows, units].
    private final class Lane: @unchecked Sendable {
        let rows: Int
        let values: UnsafeMutablePointer<Double>

        init(_ count: Int, rows: Int) {
            self.rows = rows
            values = .allocate(capacity: max(1, count))
            values.initialize(repeating: 0, count: max(1, count))
        }

        deinit { values.deallocate() }
    }

    private let model: RouterModel
    private let rule: MixingRule
    private let offsets: [Int]
    private let lanes: [Lane]
    private let domains: [Int?]
    private let labels: [Int?]
    private let accumulators: [UnsafeMutablePointer<Double>]
    private let count: Int
    /// The losses' gradients, network by network.
    var extra: [RouterBatch] = []

    init(
        _ model: RouterModel, rule: MixingRule, form: DecisionRows.Form, lengths: [Int], domains: [Int?],
        labels: [Int?]
    ) {
        self.model = model
        self.rule = rule
        self.domains = domains
        self.labels = labels
        var offsets = [0]
        for length in lengths { offsets.append((offsets.last ?? 0) + (form == .means ? 1 : length)) }
        self.offsets = offsets
        let rows = offsets.last ?? 0
        lanes = model.networks.map { Lane(rows * (3 * $0.outputs + $0.units), rows: rows) }
        let count = model.count
        self.count = count
        accumulators = (0..<ForwardPass<Double>.accumulators).map { _ in
            let buffer = UnsafeMutablePointer<Double>.allocate(capacity: max(1, count))
            buffer.initialize(repeating: 0, count: max(1, count))
            return buffer
        }
    }

    deinit { for buffer in accumulators { buffer.deallocate() } }

    func domain(_ sample: Int) -> Int? { domains.indices.contains(sample) ? domains[sample] : nil }

    func accumulator(_ index: Int) -> UnsafeMutablePointer<Double> { accumulators[index] }

    func store(_ decision: Decision, network: Int, at place: Int) {
        let (outputs, units) = (model.networks[network].outputs, model.networks[network].units)
        let lane = lanes[network]
        let parts = [(decision.z, outputs), (decision.p, outputs), (decision.logP, outputs), (decision.u, units)]
        var base = lane.values
        for (values, width) in parts {
            values.withUnsafeBufferPointer {
                if let from = $0.baseAddress { (base + place * width).update(from: from, count: $0.count) }
            }
            base += lane.rows * width
        }
    }

    /// What `store` kept; the weights are not among it.
    func decision(network: Int, at place: Int, rows: Int) -> Decision {
        let (outputs, units) = (model.networks[network].outputs, model.networks[network].units)
        let lane = lanes[network]
        func part(_ index: Int, _ width: Int) -> [Double] {
            let base = lane.values + lane.rows * outputs * index + place * width
            return Array(UnsafeBufferPointer(start: base, count: rows * width))
        }
        return Decision(
            rows: rows, u: part(3, units), z: part(0, outputs), p: part(1, outputs), logP: part(2, outputs), w: [])
    }

    /// ∂L/∂z and ∂L/∂u of the losses for some rows.
    func losses(network: Int, at place: Int, rows: Int) -> (dz: [Double], du: [Double]) {
        let (outputs, units) = (model.networks[network].outputs, model.networks[network].units)
        guard extra.indices.contains(network) else {
            return (Array(repeating: 0, count: rows * outputs), Array(repeating: 0, count: rows * units))
        }
        return (
            Array(extra[network].dz[place * outputs..<(place + rows) * outputs]),
            Array(extra[network].du[place * units..<(place + rows) * units])
        )
    }

    func batches() -> [RouterBatch] {
        model.networks.indices.map { index in
            let network = model.networks[index]
            let all = decision(network: index, at: 0, rows: lanes[index].rows)
            var batch = RouterBatch(
                rows: all.rows, outputs: network.outputs, units: network.units, temperature: rule.temperature,
                active: rule.active, offsets: offsets)
            (batch.z, batch.p, batch.logP, batch.u) = (all.z, all.p, all.logP, all.u)
            (batch.domains, batch.labels) = (domains, labels)
            return batch
        }
    }

    /// Accumulators in their order.
    func gradient() -> [Double] {
        var result = [Double](repeating: 0, count: count)
        for buffer in accumulators { for i in 0..<count { result[i] += buffer[i] } }
        return result
    }
}
