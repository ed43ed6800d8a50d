import LinearAlgebra
import Networks
import Tensors

extension LoRASlot where S == Float {
    /// Δ of every site in double precision, the scale folded in.
    func updates() throws -> [String: LowRankUpdate] {
        var result: [String: LowRankUpdate] = [:]
        for pair in pairs {
            let b = Matrix(rows: pair.outputs, columns: pair.rank, elements: Array(self.b(pair)))
            let a = Matrix(rows: pair.rank, columns: pair.inputs, elements: Array(self.a(pair)))
            result["\(pair.site)"] = try LowRankUpdate(site: "\(pair.site)", b: b, a: a, scale: pair.scale)
        }
        return result
    }

    /// ‖Δ‖ over all sites, exactly 0 when one factor of each site is.
    func norm() throws -> Double {
        let squares = try updates().sorted { $0.key < $1.key }.map { try $0.value.norm() }
        return squares.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }

    /// All numbers, for comparing states bit by bit.
    var snapshot: [Float] { Array(values[0..<count]) }
}

/// Builds slots from consolidated updates.
struct SlotBuilding {
    let layout: SlotLayout
    let random: KeyedRandom

    /// The slow slot after a consolidation: balanced factors of scale 1, each site padded to `rank` with directions
    /// that can learn (A random, B zero). With a shared A the factors stay in its basis.
    func slow(_ updates: [String: LowRankUpdate], rank: Int?, task: Int) throws -> LoRASlot<Float> {
        if layout.sharesA { return try shared(updates) }
        var padded: [SiteID: LowRankUpdate] = [:]
        for site in layout.sites {
            let shape = try layout.backbone.shape(of: site)
            let update =
                try updates["\(site)"]
                ?? .zero(site: "\(site)", outputs: shape.outputs, inputs: shape.inputs)
            padded[site] = update.padded(
                toRank: min(max(1, rank ?? update.rank), min(shape.outputs, shape.inputs)),
                random: random.initial("slow", task: task, site: "\(site)").random)
        }
        let slot = try LoRASlot<Float>(
            name: "slow", sites: layout.sites.map { ($0, padded[$0]?.rank ?? 1, 1) }, on: layout.backbone)
        for pair in slot.pairs {
            guard let update = padded[pair.site] else { continue }
            _ = slot.a(pair).update(fromContentsOf: update.a.inFloat.elements)
            _ = slot.b(pair).update(fromContentsOf: update.b.inFloat.elements)
        }
        return slot
    }

    private func shared(_ updates: [String: LowRankUpdate]) throws -> LoRASlot<Float> {
        let slot = try LoRASlot<Float>(
            name: "slow", sites: layout.sites.map { ($0, layout.rank, layout.scale) }, on: layout.backbone)
        layout.reset(slot) { random.initial("shared", task: 0, site: "\($0)") }
        for pair in slot.pairs {
            guard let update = updates["\(pair.site)"], update.rank == pair.rank else { continue }
            _ = slot.b(pair).update(fromContentsOf: update.b.scaled(by: 1 / pair.scale).inFloat.elements)
        }
        return slot
    }
}
