import Adapters
import Diagnostics
import Networks
import Tensors

/// Experts that a joint training begins with: A uniform as PEFT starts it, B zero.
enum NewExperts {
    /// One adapter per task, named after it.
    ///
    /// - Parameter sites: names of sites, e.g. `q`, `v`; at every layer.
    /// - Throws: `config.bad_value` for unknown sites, `backbone.adapter_mismatch` for those of another family.
    static func adapters(
        _ new: RouterConfiguration.NewExperts, tasks: [String], on backbone: Backbone<Float>, seed: UInt64
    ) throws -> [NamedAdapter] {
        let kinds = try new.sites.map { name in
            guard let kind = SiteKind(rawValue: name) else {
                throw Failure(
                    .configBadValue, "there is no site '\(name)'", place: "experts.new.sites",
                    hint: Spelling.hint(for: name, among: SiteKind.allCases.map(\.rawValue)))
            }
            return kind
        }
        let sites = try backbone.description.sites(kinds)
        return try tasks.map { task in
            let slot = try LoRASlot<Float>(
                name: task, sites: sites.map { ($0, new.rank, new.alpha / Double(new.rank)) },
                on: backbone.description)
            for pair in slot.pairs {
                let random = CounterRandom(seed: seed, stream: "router", "new expert", task, "\(pair.site)")
                let bound = 1 / Float(pair.inputs).squareRoot()
                let a = slot.a(pair)
                random.fillUniforms(from: 0, into: a)
                for i in a.indices { a[i] = bound * (2 * a[i] - 1) }
            }
            return NamedAdapter(
                name: task, version: nil, object: nil, reference: task, adapter: try slot.adapter(on: backbone))
        }
    }
}

extension RoutedExperts {
    /// New experts, one per task, for joint training.
    public convenience init(
        _ new: RouterConfiguration.NewExperts, tasks: [String], on backbone: Backbone<Float>, seed: UInt64
    ) throws {
        try self.init(try NewExperts.adapters(new, tasks: tasks, on: backbone, seed: seed), on: backbone)
    }

    /// The experts as their factors are now, after a training changed them; references stay.
    public func retrained() throws -> RoutedExperts {
        try RoutedExperts(
            zip(experts, slots).map { expert, slot in
                NamedAdapter(
                    name: expert.name, version: expert.version, object: nil, reference: expert.reference,
                    adapter: try slot.adapter(on: backbone, base: expert.adapter.base.name))
            }, on: backbone)
    }

    /// Takes the factors over after they changed.
    func refresh() {
        packed.refresh()
        separate.refresh()
    }
}
