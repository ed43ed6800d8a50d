import Diagnostics
import Networks

/// Which linears of a backbone carry slots, and how new slots begin.
public struct SlotLayout: Sendable {
    public let backbone: BackboneDescription
    public let sites: [SiteID]
    public let rank: Int
    public let scale: Double
    public let sharesA: Bool

    /// The first block that carries a slot: everything below is the same for all slots and may be computed once.
    public var firstLayer: Int { sites.map(\.layer).min() ?? backbone.depth }

    /// - Throws: `recipe.bad_parameter` for a site or block that the backbone does not have.
    public init(_ configuration: RunConfiguration, on backbone: BackboneDescription) throws {
        self.backbone = backbone
        rank = configuration.rank
        scale = configuration.scale
        sharesA = configuration.factorMode == .sharedA
        let blocks = configuration.blocks ?? 0..<backbone.depth
        guard blocks.upperBound <= backbone.depth else {
            throw Failure(
                .recipeBadParameter, "block \(blocks.upperBound - 1) is named, the backbone has \(backbone.depth)",
                place: "blocks")
        }
        var kinds: [SiteKind] = []
        for name in configuration.sites { kinds += try Self.kinds(name, backbone) }
        sites = try backbone.sites(kinds, layers: blocks).sorted()
    }

    /// `qkv` is one site where the backbone has it as one linear, else three.
    private static func kinds(_ name: String, _ backbone: BackboneDescription) throws -> [SiteKind] {
        let known = Set(backbone.groups.flatMap { $0.spans.keys })
        let synonyms = ["proj": "o", "query": "q", "key": "k", "value": "v"]
        if name == "qkv", !known.contains(.qkv) { return [.q, .k, .v] }
        guard let kind = SiteKind(rawValue: synonyms[name] ?? name), known.contains(kind) else {
            let names = known.map(\.rawValue).sorted()
            throw Failure(
                .recipeBadParameter, "the backbone has no site '\(name)'", place: "sites",
                hint: Spelling.hint(for: name, among: names) ?? "it has " + names.joined(separator: ", "))
        }
        return [kind]
    }

    /// A slot with Δ = 0: A ~ U(−1/√d_in, 1/√d_in), B = 0 (section 1).
    public func makeSlot(_ name: String, random: (SiteID) -> KeyedStream) throws -> LoRASlot<Float> {
        let slot = try LoRASlot<Float>(name: name, sites: sites.map { ($0, rank, scale) }, on: backbone)
        reset(slot, random: random)
        return slot
    }

    /// B ← 0, A ← fresh: never both factors zero, where no gradient would flow any more.
    public func reset(_ slot: LoRASlot<Float>, random: (SiteID) -> KeyedStream) {
        for pair in slot.pairs {
            slot.b(pair).update(repeating: 0)
            KeyedRandom.fill(slot.a(pair), bound: 1 / Float(pair.inputs).squareRoot(), random(pair.site).random)
        }
    }
}
