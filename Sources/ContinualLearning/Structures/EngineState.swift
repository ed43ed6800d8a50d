import Networks
import Tensors

/// Everything that a run carries from task to task, besides the heads' statistics.
public final class EngineState {
    /// A slot of the run and whether it has been trained.
    struct Member {
        var slot: LoRASlot<Float>
        var isTrained = false
        /// Moving average of its training loss (`gate: loss-ema`).
        var lossAverage: Double?
    }

    let layout: SlotLayout
    let building: SlotBuilding
    var slow: LoRASlot<Float>?
    var mid: LoRASlot<Float>?
    var fast: [Member] = []
    let head: SharedHead
    /// Index of the fast slot that was trained last.
    var lastFast = 0
    /// Training samples of each class, for logit adjustment.
    var classCounts: [Int]
    /// Tasks that are finished.
    var finished = 0

    init(layout: SlotLayout, configuration: RunConfiguration, head: SharedHead, random: KeyedRandom, tasks: Int) throws
    {
        self.layout = layout
        self.head = head
        building = SlotBuilding(layout: layout, random: random)
        classCounts = [Int](repeating: 0, count: head.classCount)
        let count: Int
        switch configuration.structure {
        case .backbone: count = 0
        case .moe: count = configuration.experts.count ?? tasks
        case .parallel: count = configuration.experts.count ?? 3
        case .independent: count = tasks
        default: count = 1
        }
        for index in 0..<count {
            fast.append(Member(slot: try freshFast(index, task: 0, configuration, random)))
        }
        guard configuration.structure.hasSlow else { return }
        slow = try building.slow([:], rank: Self.slowRank(configuration), task: -1)
        if configuration.structure == .chain3 {
            mid = try layout.makeSlot("mid") { random.initial("mid", task: 0, site: "\($0)") }
        }
    }

    /// Rank of the slow slot; nil where it grows.
    static func slowRank(_ configuration: RunConfiguration) -> Int? {
        configuration.slow.storage == .factors ? configuration.slow.rank ?? 4 * configuration.rank : nil
    }

    static func slowBudget(_ configuration: RunConfiguration) -> SlowRank {
        switch configuration.slow.storage {
        case .factors: .keep(configuration.slow.rank ?? 4 * configuration.rank)
        case .grow: .grow
        case .dense: .dense
        }
    }

    /// Name of the stream that a fast slot's A comes from.
    static func stream(_ index: Int, _ configuration: RunConfiguration) -> String {
        if configuration.factorMode == .sharedA { return "shared" }
        return configuration.experts.distinctInit || configuration.structure != .parallel ? "fast[\(index)]" : "fast"
    }

    func freshFast(
        _ index: Int, task: Int, _ configuration: RunConfiguration, _ random: KeyedRandom
    ) throws -> LoRASlot<Float> {
        let stream = Self.stream(index, configuration)
        let task = configuration.factorMode == .sharedA ? 0 : task
        return try layout.makeSlot("fast[\(index)]") { random.initial(stream, task: task, site: "\($0)") }
    }

    /// All slots with their names, in the order of the mix.
    var all: [(name: String, slot: LoRASlot<Float>)] {
        var result: [(String, LoRASlot<Float>)] = []
        if let slow { result.append(("slow", slow)) }
        if let mid { result.append(("mid", mid)) }
        for member in fast { result.append((member.slot.name, member.slot)) }
        return result
    }
}

/// Which slots a view lets through (section 14): one forward pass, other coefficients.
public enum StateView: String, Sendable, CaseIterable {
    case combined
    case slowOnly = "slow_only"
    case fastOnly = "fast_only"
    case midOnly = "mid_only"
    case backboneOnly = "backbone_only"
}

extension EngineState {
    /// The slots of the evaluation with a coefficient each (section 4.2).
    func coefficients(_ view: StateView, _ configuration: RunConfiguration, only expert: Int? = nil) -> [Float] {
        let fastWeights =
            expert.map { index in fast.indices.map { $0 == index ? Float(1) : 0 } }
            ?? self.fastWeights(configuration)
        return all.map { name, _ in
            switch (name, view) {
            case (_, .backboneOnly): 0
            // `single-ema` and `pam`: the slow slot holds everything, the fast one is its continuation.
            case ("slow", .combined), ("slow", .slowOnly): 1
            case ("mid", .combined), ("mid", .midOnly): 1
            case ("slow", _), ("mid", _): 0
            case (_, .slowOnly), (_, .midOnly): 0
            default: fastWeight(name, fastWeights)
            }
        }
    }

    private func fastWeight(_ name: String, _ weights: [Float]) -> Float {
        fast.firstIndex { $0.slot.name == name }.map { weights[$0] } ?? 0
    }

    private func fastWeights(_ configuration: RunConfiguration) -> [Float] {
        let trained = fast.indices.filter { fast[$0].isTrained }
        switch configuration.structure {
        case .singleEMA, .pam: return fast.map { _ in 0 }
        case .independent: return fast.map { $0.isTrained ? 1 / Float(max(1, trained.count)) : 0 }
        case .moe: break
        default: return fast.map { _ in 1 }
        }
        switch configuration.evalRule {
        case .sum: return fast.map { $0.isTrained ? 1 : 0 }
        case .mean: return fast.map { $0.isTrained ? 1 / Float(max(1, trained.count)) : 0 }
        case .last: return fast.indices.map { $0 == lastFast && fast[$0].isTrained ? 1 : 0 }
        case .none: return fast.map { _ in 0 }
        case .lossGate:
            let best = trained.min { (fast[$0].lossAverage ?? .infinity, $0) < (fast[$1].lossAverage ?? .infinity, $1) }
            return fast.indices.map { $0 == best ? 1 : 0 }
        }
    }

    /// The mix of the evaluation; nil without slots.
    func mix() throws -> AdapterMix<Float>? {
        let slots = all.map(\.slot)
        return slots.isEmpty ? nil : try AdapterMix(slots, on: layout.backbone)
    }
}
