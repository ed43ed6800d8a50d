/// A linear that adapters and routers may sit on, within one layer. Raw values are the names in traces and recipes.
public enum SiteKind: String, Sendable, Hashable, CaseIterable, Codable {
    case q, k, v
    /// q, k and v as the one linear that timm's ViT has: rows [0, d), [d, 2d), [2d, 3d).
    case qkv
    case o, fc1, fc2, gate, up, down
    /// Mamba: both halves, the x half, the gate half of the input projection.
    case `in`
    case inX = "in.x"
    case inZ = "in.z"
    case x, dt, out

    /// The canonical sites that a fused one covers, in row order; empty for canonical sites.
    public var parts: [SiteKind] {
        switch self {
        case .qkv: [.q, .k, .v]
        default: []
        }
    }
}

/// A site of a backbone, written `L<layer>.<site>`.
public struct SiteID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let layer: Int
    public let kind: SiteKind

    public init(layer: Int, kind: SiteKind) {
        self.layer = layer
        self.kind = kind
    }

    /// Reads `L3.q`; nil for anything else.
    public init?(_ text: String) {
        guard text.first == "L", let dot = text.firstIndex(of: "."),
            let layer = Int(text[text.index(after: text.startIndex)..<dot]), layer >= 0,
            let kind = SiteKind(rawValue: String(text[text.index(after: dot)...]))
        else { return nil }
        self.init(layer: layer, kind: kind)
    }

    public var description: String { "L\(layer).\(kind.rawValue)" }

    /// By layer, then in the order in which the forward pass meets the sites.
    public static func < (a: SiteID, b: SiteID) -> Bool { (a.layer, a.kind.order) < (b.layer, b.kind.order) }
}

extension SiteKind {
    fileprivate var order: Int { SiteKind.allCases.firstIndex(of: self) ?? 0 }
}

/// One physical linear of a layer and the sites that are blocks of its rows. All sites of a group read the same input.
public struct SiteGroup: Sendable, Hashable {
    /// Place within the layer, in the order of the forward pass.
    public let index: Int
    public let inputs: Int
    public let outputs: Int
    /// Rows of the linear that each site covers; fused sites cover those of their parts.
    public let spans: [SiteKind: Range<Int>]

    /// Names of the sites in row order, fused ones last.
    public var kinds: [SiteKind] {
        spans.sorted {
            ($0.key.parts.count, $0.value.lowerBound, $0.key.order) < (
                $1.key.parts.count, $1.value.lowerBound, $1.key.order
            )
        }.map(\.key)
    }
}

/// What an adapter must know of a site.
public struct SiteShape: Sendable, Hashable {
    public let site: SiteID
    public let group: Int
    /// Rows of the group's linear.
    public let span: Range<Int>
    public let inputs: Int
    public var outputs: Int { span.count }
}

/// Where routers look and where adapters act: one linear of one layer.
public struct RoutingPoint: Sendable, Hashable {
    public let layer: Int
    public let group: Int
    /// Width of the input that the router reads.
    public let inputs: Int

    public init(layer: Int, group: Int, inputs: Int) {
        self.layer = layer
        self.group = group
        self.inputs = inputs
    }
}
