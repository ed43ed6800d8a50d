import Diagnostics

/// Several slots on one backbone, packed for running together.
///
/// ```swift
/// let slot = try LoRASlot<Float>(adapter, name: "banking", on: backbone.description)
/// let mix = try AdapterMix([slot], on: backbone.description)
/// let features = try backbone.features(.images(pixels), pooling: .cls, mix: mix)
/// ```
/// A slot that is not in the mix neither contributes nor receives gradients. Ranks, scales and coverage may differ;
/// a slot without a site contributes nothing there.
public final class AdapterMix<S: NetworkScalar>: @unchecked Sendable {
    /// How the products are arranged. Results of the two agree to rounding.
    public enum Plan: Sendable {
        /// One product for all slots (the reference's `dense`): best for few small slots or dense coefficients.
        case packed
        /// One product per slot; a slot whose coefficients are zero for a whole block of samples costs nothing there
        /// (the reference's `segment`): best when each sample uses few of many slots and samples are sorted by slot.
        case separate
        /// Each row meets the slots that it uses, by row kernels: best for few of many slots with coefficients that differ
        /// from row to row. Recorded passes run as `separate`.
        case gather
        /// One product for all A, row kernels for B. Recorded passes run as `separate` with one product for A.
        case hybrid
    }

    public let slots: [LoRASlot<S>]
    /// Which slots receive gradients.
    public let trainable: [Bool]
    public let plan: Plan
    /// Coefficients differ between the sites of one linear (q, k, v).
    public let perSite: Bool
    let groups: [PackedGroup<S>?]
    let groupsPerLayer: Int
    /// Numbers of the packed gradient.
    let gradientCount: Int

    /// - Parameters:
    ///   - trainable: indices of the slots that are trained; default none.
    /// - Throws: `backbone.adapter_mismatch` when a slot was made for another backbone.
    public init(
        _ slots: [LoRASlot<S>], on backbone: BackboneDescription, trainable: Set<Int> = [], plan: Plan = .packed,
        perSite: Bool = false
    ) throws {
        self.slots = slots
        self.plan = plan
        self.perSite = perSite
        let flags = slots.indices.map { trainable.contains($0) }
        self.trainable = flags
        groupsPerLayer = backbone.groups.count
        var pairs: [[(slot: Int, pair: LoRAPair)]] = Array(repeating: [], count: backbone.depth * groupsPerLayer)
        for (index, slot) in slots.enumerated() {
            for pair in slot.pairs {
                let shape = try backbone.shape(of: pair.site)
                guard shape.inputs == pair.inputs, shape.outputs == pair.outputs else {
                    throw Failure(
                        .backboneAdapterMismatch, "slot '\(slot.name)' was made for another backbone",
                        place: "\(pair.site)")
                }
                pairs[pair.site.layer * groupsPerLayer + shape.group].append((index, pair))
            }
        }
        var count = 0
        groups = pairs.enumerated().map { place, list in
            if list.isEmpty { return nil }
            let group = backbone.groups[place % backbone.groups.count]
            return PackedGroup(
                point: RoutingPoint(layer: place / backbone.groups.count, group: group.index, inputs: group.inputs),
                group: group, pairs: list, trainable: flags, slots: slots.count, separate: plan != .packed,
                joinsInputs: plan == .hybrid, rowwise: plan == .gather || plan == .hybrid, perSite: perSite,
                gradientCount: &count)
        }
        gradientCount = count
        refresh()
    }

    /// Takes over the slots' factors after they changed.
    public func refresh() {
        for group in groups { group?.refresh(slots) }
    }

    @inline(__always)
    func group(layer: Int, _ index: Int) -> PackedGroup<S>? { groups[layer * groupsPerLayer + index] }

    /// Every linear that carries a slot, in forward order.
    public var points: [RoutingPoint] { groups.compactMap { $0?.point } }

    /// The number of coefficients per row at a linear.
    func coefficientColumns(_ group: SiteGroup) -> Int { perSite ? group.kinds.count * slots.count : slots.count }

    /// The lowest linear with something to learn: a trained slot, or any slot when coefficients are learned.
    func lowestLearning(coefficients: Bool) -> RoutingPoint? {
        groups.lazy.compactMap { $0 }.first { coefficients || $0.isTrained }?.point
    }
}
