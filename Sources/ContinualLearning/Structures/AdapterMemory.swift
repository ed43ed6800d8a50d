import Diagnostics
import Networks
import Tensors

/// Name of a memory slot.
public enum SlotName: Sendable, Hashable, Comparable, CustomStringConvertible {
    case slow, mid
    case fast(Int)

    public var description: String {
        switch self {
        case .slow: "slow"
        case .mid: "mid"
        case .fast(let index): "fast[\(index)]"
        }
    }

    /// Reads what `description` writes.
    init?(_ text: String) {
        switch text {
        case "slow": self = .slow
        case "mid": self = .mid
        default:
            guard text.hasPrefix("fast["), text.hasSuffix("]"), let index = Int(text.dropFirst(5).dropLast()) else {
                return nil
            }
            self = .fast(index)
        }
    }
}

/// The slots of a run: slow, mid, fast[0…K−1], as the structure has them.
public final class AdapterMemory {
    public let backbone: BackboneDescription
    public let sites: [SiteID]
    let configuration: RunConfiguration
    public private(set) var slow: LoRASlot<Float>?
    public private(set) var mid: LoRASlot<Float>?
    public private(set) var fast: [LoRASlot<Float>] = []
    /// Fast slots that have been trained since they were created.
    public var isTrained: [Bool] = []
    /// Moving average of each fast slot's training loss (`gate: loss-ema`).
    public var lossAverage: [Double?] = []
    /// The fast slot that was trained last.
    public var lastTrained: Int?

    /// - Throws: `backbone.adapter_mismatch` for a site that the backbone does not have.
    public init(_ configuration: RunConfiguration, backbone: BackboneDescription, tasks: Int) throws {
        self.configuration = configuration
        self.backbone = backbone
        sites = try Self.sites(configuration, backbone)
        guard configuration.structure != .backbone else { return }
        for index in 0..<Self.slotCount(configuration, tasks: tasks) {
            fast.append(try makeSlot(.fast(index), rank: configuration.rank, generation: 0))
            isTrained.append(false)
            lossAverage.append(nil)
        }
        if configuration.structure.hasSlow, configuration.slow.storage == .factors {
            slow = try makeSlot(.slow, rank: configuration.slowRank, generation: 0)
        }
        if configuration.structure == .chain3 {
            mid = try makeSlot(
                .mid,
                rank: configuration.factorMode == .sharedA
                    ? configuration.rank : configuration.timeScales.midRank ?? 2 * configuration.rank, generation: 0)
        }
    }

    /// How many fast slots a structure has.
    static func slotCount(_ configuration: RunConfiguration, tasks: Int) -> Int {
        switch configuration.structure {
        case .backbone: 0
        case .moe: configuration.experts.count ?? tasks
        case .parallel: configuration.experts.count ?? 3
        case .independent: tasks
        default: 1
        }
    }

    /// The sites of the configuration: `proj` is the attention's output; `qkv` becomes q, k and v where the backbone
    /// has three linears.
    static func sites(_ configuration: RunConfiguration, _ backbone: BackboneDescription) throws -> [SiteID] {
        var kinds: [SiteKind] = []
        for name in configuration.sites {
            let short = name.split(separator: ".").last.map(String.init) ?? name
            guard let kind = short == "proj" ? .o : SiteKind(rawValue: short) else {
                throw Failure(
                    .recipeBadParameter, "'\(name)' is no site", place: "sites",
                    hint: Spelling.hint(for: name, among: SiteKind.allCases.map(\.rawValue) + ["proj"]))
            }
            let isThere = (try? backbone.shape(of: SiteID(layer: 0, kind: kind))) != nil
            kinds += isThere || kind.parts.isEmpty ? [kind] : kind.parts
        }
        let layers = configuration.blocks ?? Array(0..<backbone.depth)
        if let outside = layers.first(where: { $0 >= backbone.depth }) {
            throw Failure(
                .recipeBadParameter, "the backbone has \(backbone.depth) blocks, there is no block \(outside)",
                place: "blocks")
        }
        return try layers.sorted().flatMap { layer in
            try kinds.map { kind in
                let site = SiteID(layer: layer, kind: kind)
                _ = try backbone.shape(of: site)
                return site
            }
        }.sorted()
    }

    /// The lowest block that carries an adapter; the depth when none does.
    public var firstLayer: Int { configuration.structure == .backbone ? backbone.depth : sites.first?.layer ?? 0 }

    // MARK: Slots

    public subscript(_ name: SlotName) -> LoRASlot<Float>? {
        switch name {
        case .slow: slow
        case .mid: mid
        case .fast(let index): fast.indices.contains(index) ? fast[index] : nil
        }
    }

    /// Every slot that exists, slow first.
    public var names: [SlotName] {
        (slow == nil ? [] : [.slow]) + (mid == nil ? [] : [.mid]) + fast.indices.map { .fast($0) }
    }

    /// A slot with Δ = 0: A random, B zero.
    ///
    /// - Parameter generation: how often the slot was made before; each time A is drawn anew.
    func makeSlot(_ name: SlotName, rank: Int, generation: Int) throws -> LoRASlot<Float> {
        let slot = try LoRASlot<Float>(
            name: name.description, sites: sites.map { ($0, rank, configuration.scale) }, on: backbone)
        fillA(slot, name, generation: generation)
        return slot
    }

    private func random(_ name: SlotName, site: SiteID, generation: Int) -> CounterRandom {
        let seed = configuration.seed
        if configuration.factorMode == .sharedA { return CounterRandom(seed: seed, stream: "shared-a", "\(site)") }
        var label = name.description
        if case .fast = name, configuration.structure == .parallel, configuration.experts.initialisation == .same {
            label = "fast"
        }
        return CounterRandom(seed: seed, stream: "init", label, "\(site)", "\(generation)")
    }

    /// A ~ U(−1/√d_in, 1/√d_in).
    private func fillA(_ slot: LoRASlot<Float>, _ name: SlotName, generation: Int) {
        for pair in slot.pairs {
            let target = slot.a(pair)
            let bound = 1 / Float(pair.inputs).squareRoot()
            random(name, site: pair.site, generation: generation).fillUniforms(from: 0, into: target)
            for i in target.indices { target[i] = bound * (2 * target[i] - 1) }
        }
    }

    /// Δ := ρ·Δ; with ρ = 0 the slot is reset: B = 0 and A fresh, never both zero (cil-engine 1).
    func keep(_ share: Double, of name: SlotName, generation: Int) {
        guard let slot = self[name] else { return }
        for pair in slot.pairs {
            let b = slot.b(pair)
            for i in b.indices { b[i] = share == 0 ? 0 : b[i] * Float(share) }
        }
        if share == 0 { fillA(slot, name, generation: generation) }
    }

    // MARK: Effective updates

    /// Δ by site, named `L0.qkv`.
    public func updates(of name: SlotName) throws -> [String: LowRankUpdate] {
        guard let slot = self[name] else { return [:] }
        return try Self.updates(of: slot)
    }

    static func updates(of slot: LoRASlot<Float>) throws -> [String: LowRankUpdate] {
        var result: [String: LowRankUpdate] = [:]
        for pair in slot.pairs {
            let b = Matrix(rows: pair.outputs, columns: pair.rank, elements: Array(slot.b(pair)))
            let a = Matrix(rows: pair.rank, columns: pair.inputs, elements: Array(slot.a(pair)))
            result["\(pair.site)"] = try LowRankUpdate(site: "\(pair.site)", b: b, a: a, scale: pair.scale)
        }
        return result
    }

    /// ‖Δ(slot)‖ over all sites; exactly 0 for a slot that was reset.
    public func norm(of name: SlotName) throws -> Double {
        let updates = try updates(of: name)
        var sum = 0.0
        for site in updates.keys.sorted() {
            let norm = try updates[site]?.norm() ?? 0
            sum += norm * norm
        }
        return sum.squareRoot()
    }

    /// Puts Δ into slow or mid, in the storage that the configuration asks for.
    ///
    /// Balanced factors are divided by √s each. Directions that Δ does not use get B = 0 and a random A, so that they
    /// can learn.
    func write(_ updates: [String: LowRankUpdate], to name: SlotName, generation: Int) throws {
        if name == .slow, configuration.slow.storage != .factors {
            slow = try Self.stored(updates, dense: configuration.slow.storage == .dense, on: backbone, sites: sites)
            return
        }
        guard let slot = self[name] else { return }
        let shared = configuration.factorMode == .sharedA
        for pair in slot.pairs {
            let update =
                try updates["\(pair.site)"]
                ?? .zero(site: "\(pair.site)", outputs: pair.outputs, inputs: pair.inputs)
            let full = update.padded(
                toRank: pair.rank, random: random(name, site: pair.site, generation: generation + 1))
            guard full.rank == pair.rank else {
                throw Failure(
                    .internalDefect, "an update of rank \(full.rank) for a slot of rank \(pair.rank)",
                    place: "\(name) \(pair.site)")
            }
            let root = pair.scale.squareRoot()
            let (a, b) = (slot.a(pair), slot.b(pair))
            for i in b.indices { b[i] = Float(full.b.elements[i] / (shared ? pair.scale : root)) }
            if shared { continue }
            // Unused directions keep the spread that fresh slots have.
            let used = update.rank * pair.inputs
            for i in a.indices { a[i] = Float(i < used ? full.a.elements[i] / root : full.a.elements[i]) }
        }
    }

    /// A slot of exactly the ranks that the updates have (`grow`), or of B = Δ, A = I (`dense`).
    private static func stored(
        _ updates: [String: LowRankUpdate], dense: Bool, on backbone: BackboneDescription, sites: [SiteID]
    ) throws -> LoRASlot<Float>? {
        let present = sites.compactMap { site in updates["\(site)"].map { (site, $0) } }.filter { $0.1.rank > 0 }
        guard !present.isEmpty else { return nil }
        let slot = try LoRASlot<Float>(
            name: "slow", sites: present.map { ($0.0, dense ? $0.1.inputs : $0.1.rank, 1) }, on: backbone)
        for pair in slot.pairs {
            guard let update = updates["\(pair.site)"] else { continue }
            let (a, b) = (slot.a(pair), slot.b(pair))
            let left = dense ? try update.dense() : update.b
            let right = dense ? Matrix<Double>.identity(pair.inputs) : update.a
            for i in b.indices { b[i] = Float(left.elements[i]) }
            for i in a.indices { a[i] = Float(right.elements[i]) }
        }
        return slot
    }

    /// The rank that consolidation may give slow or mid.
    func rankBound(of name: SlotName) -> SlowRank {
        if name == .slow {
            switch configuration.slow.storage {
            case .factors: return .keep(configuration.slowRank)
            case .grow: return .grow
            case .dense: return .dense
            }
        }
        return .keep(self[name]?.pairs.first?.rank ?? configuration.rank)
    }

    /// A slow slot whose ranks are given, for checkpoints.
    func replaceSlow(ranks: [(site: SiteID, rank: Int, scale: Double)]) throws {
        slow = ranks.isEmpty ? nil : try LoRASlot<Float>(name: "slow", sites: ranks, on: backbone)
    }

    /// Copies every number of one slot to another of the same shape (the clone of PAM).
    func copy(_ source: SlotName, to target: SlotName) {
        guard let from = self[source], let to = self[target], from.count == to.count else { return }
        _ = to.values.update(fromContentsOf: UnsafeMutableBufferPointer(rebasing: from.values[0..<from.count]))
    }
}
