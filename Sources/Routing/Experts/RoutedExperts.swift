import Adapters
import Diagnostics
import Networks

/// The adapters of a mixture on their backbone, sorted by (name, version): the order of every weight vector.
public final class RoutedExperts: Sendable {
    /// One expert and where it came from.
    public struct Expert: Sendable {
        /// Name in the bank or of the folder.
        public let name: String
        public let version: Int?
        /// SHA-256 of the bank's object; nil for a path.
        public let object: String?
        /// As the user wrote it.
        public let reference: String
        /// Content identity of the update (64 hex digits).
        public let digest: String
        public let adapter: Adapter

        /// `name@version`, or the name of a path.
        public var id: String { version.map { "\(name)@\($0)" } ?? name }

        public init(_ adapter: NamedAdapter) {
            name = adapter.name
            version = adapter.version
            object = adapter.object
            reference = adapter.reference
            digest = adapter.adapter.deltaID().hex
            self.adapter = adapter.adapter
        }
    }

    public let experts: [Expert]
    public let backbone: Backbone<Float>
    /// One slot per expert.
    public let slots: [LoRASlot<Float>]
    /// All experts in one product per linear.
    public let packed: AdapterMix<Float>
    /// One product per expert: an expert without weight in a block of samples costs nothing there.
    public let separate: AdapterMix<Float>

    public var count: Int { experts.count }
    public var ids: [String] { experts.map(\.id) }

    /// - Throws: `backbone.adapter_mismatch`, `config.feature_unsupported` when an adapter does not fit;
    ///   `reference.ambiguous` when one stands there twice; `data.too_few` without any.
    public convenience init(_ adapters: [NamedAdapter], on backbone: Backbone<Float>) throws {
        let sorted = adapters.map(Expert.init).sorted { ($0.name, $0.version ?? 0) < ($1.name, $1.version ?? 0) }
        guard !sorted.isEmpty else {
            throw Failure(.dataTooFew, "a mixture needs at least one expert", place: "experts")
        }
        for (first, second) in zip(sorted, sorted.dropFirst()) where first.id == second.id {
            throw Failure(
                .referenceAmbiguous, "two experts are called '\(first.id)'", place: "experts",
                hint: "name each adapter once; rename folders of one name")
        }
        try self.init(arranged: sorted, on: backbone)
    }

    /// Experts in the order given.
    init(arranged sorted: [Expert], on backbone: Backbone<Float>) throws {
        experts = sorted
        self.backbone = backbone
        slots = try sorted.map { try LoRASlot<Float>($0.adapter, name: $0.id, on: backbone.description) }
        packed = try AdapterMix(slots, on: backbone.description)
        separate = try AdapterMix(slots, on: backbone.description, plan: .separate)
    }

    /// A mix of its own: for coefficients that differ between the sites of one linear, or to train experts.
    public func mix(
        plan: AdapterMix<Float>.Plan = .packed, perSite: Bool = false, trainable: Set<Int> = []
    ) throws -> AdapterMix<Float> {
        if !perSite, trainable.isEmpty, plan == .packed { return packed }
        if !perSite, trainable.isEmpty, plan == .separate { return separate }
        return try AdapterMix(slots, on: backbone.description, trainable: trainable, plan: plan, perSite: perSite)
    }

    /// The largest sum of ranks at one linear.
    public var widestRank: Int {
        var sums: [SiteID: Int] = [:]
        for slot in slots { for pair in slot.pairs { sums[pair.site, default: 0] += pair.rank } }
        return sums.values.max() ?? 0
    }

    /// The expert of this name, or of this `name@version`.
    public func index(of name: String) -> Int? { experts.firstIndex { $0.id == name || $0.name == name } }
}
