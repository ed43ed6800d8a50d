import Diagnostics

/// How features are taken from the last hidden states.
public enum Pooling: String, Sendable, CaseIterable {
    /// The first row (the class token).
    case cls
    /// Mean over the rows of the sample; ViT leaves the class token out.
    case mean
    /// tanh(W·row 0 + b) with the checkpoint's pooler.
    case pooler
    /// The last row (decoders).
    case last
}

/// What a backbone reads.
public enum BackboneInput: Sendable, Hashable {
    /// Images [channels, height, width].
    case images(channels: Int, height: Int, width: Int)
    /// Token ids below `vocabulary`, at most `positions` per sample (nil: no limit).
    case tokens(vocabulary: Int, positions: Int?)
}

/// Shapes and names of a backbone, without its weights.
public struct BackboneDescription: Sendable {
    /// `vit`, `bert`, `llama`, `mamba`.
    public let family: String
    /// As the configuration says: `qwen2`, `falcon_mamba`, …
    public let modelType: String
    public let width: Int
    public let depth: Int
    public let input: BackboneInput
    /// The linears of every layer, in the order of the forward pass.
    public let groups: [SiteGroup]
    public let siteMap: SiteMap
    public let poolings: [Pooling]
    /// Sequence models whose rows see only rows before them.
    public let isCausal: Bool

    /// Every canonical site (no fused ones), in forward order.
    public var sites: [SiteID] {
        (0..<depth).flatMap { layer in
            groups.flatMap { group in
                group.kinds.filter { $0.parts.isEmpty && $0 != .inX && $0 != .inZ }.map {
                    SiteID(layer: layer, kind: $0)
                }
            }
        }
    }

    /// - Throws: `backbone.adapter_mismatch` when there is no such site.
    public func shape(of site: SiteID) throws -> SiteShape {
        for group in groups {
            if (0..<depth).contains(site.layer), let span = group.spans[site.kind] {
                return SiteShape(site: site, group: group.index, span: span, inputs: group.inputs)
            }
        }
        throw Failure(
            .backboneAdapterMismatch, "the backbone (\(family), \(depth) layers) has no site \(site)", place: "\(site)")
    }

    /// The sites of these kinds in the layers `layers` (nil: all), e.g. the targets of new adapters.
    ///
    /// - Throws: `backbone.adapter_mismatch` for a kind that the family does not have.
    public func sites(_ kinds: [SiteKind], layers: Range<Int>? = nil) throws -> [SiteID] {
        try (layers ?? 0..<depth).flatMap { layer in
            try kinds.map { kind in
                let site = SiteID(layer: layer, kind: kind)
                _ = try shape(of: site)
                return site
            }
        }
    }
}
