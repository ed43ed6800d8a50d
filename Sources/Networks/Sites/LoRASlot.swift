import Adapters
import Diagnostics
import Tensors

/// The factors of one adapter at one site: ΔW = scale · B · A on the rows of that site.
public struct LoRAPair: Sendable, Hashable {
    public let site: SiteID
    public let rank: Int
    public let inputs: Int
    public let outputs: Int
    public var scale: Double
    /// A [rank, inputs] and B [outputs, rank] within the slot's values, row-major.
    public let a: Range<Int>
    public let b: Range<Int>
}

/// The weights of one adapter (an expert, a fast or slow slot) in one flat buffer, pair after pair, A before B.
///
/// The flat buffer is what optimisers step on; gradients have the same layout. After writing, call
/// ``AdapterMix/refresh()``. Reading is safe from any thread while nobody writes.
public final class LoRASlot<S: NetworkScalar>: @unchecked Sendable {
    public let name: String
    /// Sorted by site.
    public let pairs: [LoRAPair]
    public let values: UnsafeMutableBufferPointer<S>

    /// A slot whose factors are all zero.
    ///
    /// - Parameter sites: rank and scale per site; sites that overlap (q and qkv of one layer) add up.
    /// - Throws: `backbone.adapter_mismatch` for a site that the backbone does not have, `config.bad_value` for a rank
    ///   below 1.
    public init(
        name: String, sites: [(site: SiteID, rank: Int, scale: Double)], on backbone: BackboneDescription
    ) throws {
        self.name = name
        var pairs: [LoRAPair] = []
        var count = 0
        for (site, rank, scale) in sites.sorted(by: { $0.site < $1.site }) {
            let shape = try backbone.shape(of: site)
            guard rank > 0 else {
                throw Failure(
                    .configBadValue, "the rank of an adapter must be at least 1, not \(rank)", place: "\(site)")
            }
            let a = count..<count + rank * shape.inputs
            let b = a.upperBound..<a.upperBound + rank * shape.outputs
            pairs.append(
                LoRAPair(
                    site: site, rank: rank, inputs: shape.inputs, outputs: shape.outputs, scale: scale, a: a, b: b))
            count = b.upperBound
        }
        self.pairs = pairs
        values = .allocate(capacity: max(1, count))
        values.initialize(repeating: 0)
    }

    deinit { values.deallocate() }

    public var count: Int { pairs.last?.b.upperBound ?? 0 }
    public var sites: [SiteID] { pairs.map(\.site) }

    /// A [rank, inputs] of a pair.
    public func a(_ pair: LoRAPair) -> UnsafeMutableBufferPointer<S> {
        UnsafeMutableBufferPointer(rebasing: values[pair.a])
    }

    /// B [outputs, rank] of a pair.
    public func b(_ pair: LoRAPair) -> UnsafeMutableBufferPointer<S> {
        UnsafeMutableBufferPointer(rebasing: values[pair.b])
    }

    /// Sets every number.
    public func assign(_ numbers: some Collection<S>) {
        precondition(numbers.count == count, "\(numbers.count) numbers for \(count)")
        _ = values.update(fromContentsOf: numbers)
    }

    @inline(__always)
    func pointer(_ offset: Int) -> UnsafeMutablePointer<S> { values.baseAddress.unsafelyUnwrapped + offset }
}

extension LoRASlot {
    /// The adapter as a slot of this backbone.
    ///
    /// - Throws: `backbone.adapter_mismatch` naming the module and both shapes when the adapter was made for another
    ///   backbone; `config.feature_unsupported` for embeddings, convolutions, DoRA magnitudes, `lora_bias` and
    ///   `fan_in_fan_out`; `adapter.duplicate_module` when two modules mean the same site.
    public convenience init(
        _ adapter: Adapter, name: String, on backbone: BackboneDescription
    ) throws {
        var sites: [(site: SiteID, rank: Int, scale: Double)] = []
        var modules: [SiteID: LoRAModule] = [:]
        for module in adapter.modules {
            let site = try backbone.site(of: module)
            if let other = modules[site] {
                throw Failure(
                    .adapterDuplicateModule, "'\(other.name)' and '\(module.name)' are the same linear, \(site)",
                    place: module.name)
            }
            modules[site] = module
            sites.append((site, module.rank, module.scale))
        }
        try self.init(name: name, sites: sites, on: backbone)
        for pair in pairs {
            guard let module = modules[pair.site] else { continue }
            try S.copy(module.a, into: a(pair))
            try S.copy(module.b, into: b(pair))
        }
    }
}

extension BackboneDescription {
    /// The site of an adapter's module, its shape checked.
    func site(of module: LoRAModule) throws -> SiteID {
        func unsupported(_ what: String) -> Failure {
            Failure(.configFeatureUnsupported, "\(what) cannot run on a backbone", place: module.name)
        }
        guard module.kind == .linear else { throw unsupported("an adapter on a layer of kind \(module.kind.rawValue)") }
        if module.magnitude != nil { throw unsupported("a DoRA adapter") }
        if module.bias != nil { throw unsupported("an adapter with lora_bias") }
        if module.fanInFanOut { throw unsupported("an adapter with fan_in_fan_out") }
        guard let site = siteMap.site(forModule: module.name), let shape = try? shape(of: site) else {
            throw Failure(
                .backboneAdapterMismatch, "the backbone (\(family), \(depth) layers) has no linear of this name",
                place: module.name, hint: "adaptable: " + adaptableExample)
        }
        guard module.dIn == shape.inputs, module.dOut == shape.outputs else {
            throw Failure(
                .backboneAdapterMismatch,
                "the adapter changes a \(module.dOut)×\(module.dIn) matrix, \(site) of the backbone is "
                    + "\(shape.outputs)×\(shape.inputs)",
                place: module.name,
                details: [
                    "expected": "\(shape.outputs)x\(shape.inputs)", "found": "\(module.dOut)x\(module.dIn)",
                ])
        }
        return site
    }

    private var adaptableExample: String {
        let names = siteMap.namings.flatMap { naming in
            naming.modules.values.sorted().prefix(2).map { (naming.roots.first ?? "") + naming.layers + "0." + $0 }
        }
        return names.prefix(4).joined(separator: ", ")
    }
}

extension BackboneDescription {
    /// What a user should know about an adapter on this backbone.
    ///
    /// Other stacks multiply Mamba's `dt_proj` weight directly: an adapter there had no effect while it was trained.
    public func findings(for adapter: Adapter) -> [Finding] {
        guard family == "mamba" else { return [] }
        return adapter.modules.filter { siteMap.site(forModule: $0.name)?.kind == .dt }.map {
            Finding(
                .adapterMaybeInactive, .warning, place: $0.name,
                details:
                    "adapters on dt_proj have no effect in common training code: this one may never have been active")
        }
    }
}
