import Diagnostics
import Networks
import Tensors

/// Where experts have pairs, for laying out routers: independent of element types.
public struct ExpertCoverage: Sendable {
    public let experts: Int
    /// Experts with a pair, by site.
    public let sites: [SiteID: Set<Int>]

    public init(_ sitesOfExperts: [[SiteID]]) {
        experts = sitesOfExperts.count
        var table: [SiteID: Set<Int>] = [:]
        for (expert, sites) in sitesOfExperts.enumerated() {
            for site in sites { table[site, default: []].insert(expert) }
        }
        sites = table
    }

    func covering(_ wanted: [SiteID]) -> Set<Int> {
        wanted.reduce(into: []) { $0.formUnion(sites[$1] ?? []) }
    }
}

/// All routers of a mixture: which network decides where, and their parameters.
///
/// Reading is safe from any thread while nobody writes to `parameters`.
public final class RouterModel: @unchecked Sendable {
    public let options: RouterOptions
    public let coverage: ExpertCoverage
    public let networks: [RouterNetwork]
    /// All networks' parameters, one after another.
    public let parameters: UnsafeMutableBufferPointer<Double>
    public let isCausal: Bool
    /// Class of each unit of `prototypes`, nil for the null expert's; empty for other kinds.
    public let unitClasses: [Int?]
    /// Network of each site of a group: [layer][group][kind], −1 without.
    private let table: [[[Int]]]
    private let layerTable: [Int]

    public var experts: Int { coverage.experts }
    public var outputs: Int { experts + (options.nullExpert ? 1 : 0) }
    /// Coefficients differ between the sites of one linear.
    public var isPerSite: Bool { options.scope == .site }

    /// - Parameters:
    ///   - classes: per expert the classes of its task, for `prototypes`.
    ///   - inputs: width of the global router's input.
    /// - Throws: `config.bad_value` for combinations that make no sense.
    public init(
        _ options: RouterOptions, coverage: ExpertCoverage, on backbone: BackboneDescription, classes: [[Int]] = []
    ) throws {
        try Self.check(options, backbone, classes)
        self.options = options
        self.coverage = coverage
        isCausal = backbone.isCausal
        var owners: [Int] = []
        var unitClasses: [Int?] = []
        if options.kind == .prototypes {
            for (expert, members) in classes.enumerated() {
                owners += members.isEmpty ? [expert] : members.map { _ in expert }
                unitClasses += members.isEmpty ? [nil] : members.map { Optional($0) }
            }
            if options.nullExpert {
                owners.append(coverage.experts)
                unitClasses.append(nil)
            }
        }
        self.unitClasses = unitClasses
        var layout = RouterLayout(options, coverage, backbone, owners: owners.isEmpty ? nil : owners)
        layout.build()
        networks = layout.networks
        table = layout.table
        layerTable = layout.layerTable
        let count = networks.last.map { $0.offset + $0.count } ?? 0
        parameters = .allocate(capacity: max(1, count))
        parameters.initialize(repeating: 0)
        self.count = count
    }

    /// Numbers of all networks.
    public let count: Int

    deinit { parameters.deallocate() }

    private static func check(_ options: RouterOptions, _ backbone: BackboneDescription, _ classes: [[Int]]) throws {
        func bad(_ message: String, _ hint: String? = nil) -> Failure {
            Failure(.configBadValue, message, place: "router", hint: hint)
        }
        guard options.temperature > 0, options.temperature.isFinite else {
            throw bad("the temperature must be above 0, not \(options.temperature)")
        }
        if options.kind == .prototypes, classes.isEmpty {
            throw bad("a router of kind prototypes needs the classes of each expert's task")
        }
        if options.layer != nil, options.scope != .global {
            throw bad("router.layer belongs to scope global", "other scopes read the input where they stand")
        }
        if let layer = options.layer, !(0..<backbone.depth).contains(layer) {
            throw bad("router.layer \(layer) is outside 0…\(backbone.depth - 1)")
        }
        if options.initialisation == .means, options.scope != .global {
            throw bad("router.init means needs scope global")
        }
        if options.initialisation == .arrow, options.scope == .global || options.scope == .layer {
            throw bad("router.init arrow needs scope input or site: it looks at the experts' own inputs")
        }
        if options.kind == .mlp, options.initialisation == .arrow || options.initialisation == .means {
            throw bad("router.init \(options.initialisation.rawValue) sets rows, which a router of kind mlp has not")
        }
    }

    /// The network for a site (by its place in the group's kinds) of a linear; nil when no expert covers it.
    func network(layer: Int, group: Int, kind: Int) -> Int? {
        let index = table[layer][group][isPerSite ? kind : 0]
        return index < 0 ? nil : index
    }

    /// The network that a whole layer shares; nil for other scopes and layers without experts.
    func layerNetwork(_ layer: Int) -> Int? {
        guard options.scope == .layer, layerTable[layer] >= 0 else { return nil }
        return layerTable[layer]
    }

    /// Parameters as an array, for files and for keeping the best.
    public var values: [Double] {
        get { Array(parameters[0..<count]) }
        set { _ = parameters.update(fromContentsOf: newValue.prefix(count)) }
    }

    /// Rounds every number to single precision, as files hold them.
    public func roundToSingle() { for i in 0..<count { parameters[i] = Double(Float(parameters[i])) } }

    /// A copy with the same numbers.
    public func copy(on backbone: BackboneDescription, classes: [[Int]]) throws -> RouterModel {
        let other = try RouterModel(options, coverage: coverage, on: backbone, classes: classes)
        other.values = values
        return other
    }
}

/// Lays networks out over a backbone's linears.
private struct RouterLayout {
    let options: RouterOptions
    let coverage: ExpertCoverage
    let backbone: BackboneDescription
    let owners: [Int]?
    var networks: [RouterNetwork] = []
    var table: [[[Int]]] = []
    var layerTable: [Int] = []

    init(
        _ options: RouterOptions, _ coverage: ExpertCoverage, _ backbone: BackboneDescription, owners: [Int]?
    ) {
        self.options = options
        self.coverage = coverage
        self.backbone = backbone
        self.owners = owners
    }

    mutating func build() {
        table = Array(
            repeating: backbone.groups.map { Array(repeating: -1, count: max(1, $0.kinds.count)) },
            count: backbone.depth)
        layerTable = Array(repeating: -1, count: backbone.depth)
        if options.scope == .global {
            _ = add("global", [], inputs: backbone.width, followsNorm: true, Set(0..<coverage.experts))
            return
        }
        for layer in 0..<backbone.depth {
            if options.scope == .layer { addLayer(layer) } else { addGroups(layer) }
        }
    }

    private mutating func addLayer(_ layer: Int) {
        let sites = backbone.groups.flatMap { $0.kinds.map { SiteID(layer: layer, kind: $0) } }
        let covering = coverage.covering(sites)
        guard !covering.isEmpty else { return }
        layerTable[layer] = add(
            "L" + Self.padded(layer), sites, inputs: backbone.width, followsNorm: backbone.family == "bert", covering)
    }

    private mutating func addGroups(_ layer: Int) {
        for group in backbone.groups {
            let kinds = group.kinds
            func identifier(_ names: [SiteKind]) -> String {
                "L" + Self.padded(layer) + "." + names.map(\.rawValue).joined()
            }
            let norm = followsNorm(kinds)
            if options.scope == .site {
                for (place, kind) in kinds.enumerated() {
                    let covering = coverage.covering([SiteID(layer: layer, kind: kind)])
                    guard !covering.isEmpty else { continue }
                    table[layer][group.index][place] = add(
                        identifier([kind]), [SiteID(layer: layer, kind: kind)], inputs: group.inputs,
                        followsNorm: norm, covering)
                }
            } else {
                let sites = kinds.map { SiteID(layer: layer, kind: $0) }
                let covering = coverage.covering(sites)
                guard !covering.isEmpty else { continue }
                let plain = kinds.filter { $0.parts.isEmpty && $0 != .inX && $0 != .inZ }
                table[layer][group.index][0] = add(
                    identifier(plain), sites, inputs: group.inputs, followsNorm: norm, covering)
            }
        }
    }

    /// Inputs of these linears come from a norm, so that their scale is known.
    private func followsNorm(_ kinds: [SiteKind]) -> Bool {
        !Set(kinds).isDisjoint(with: [.q, .k, .v, .qkv, .fc1, .gate, .up, .in])
    }

    private mutating func add(
        _ id: String, _ sites: [SiteID], inputs: Int, followsNorm: Bool, _ covering: Set<Int>
    ) -> Int {
        let outputs = coverage.experts + (options.nullExpert ? 1 : 0)
        let masked = options.coverage == .mask && covering.count < coverage.experts
        let norm = options.norm ?? (followsNorm ? .none : .rms)
        networks.append(
            RouterNetwork(
                id: id, options: options, norm: norm, inputs: inputs, outputs: outputs, owners: owners,
                covered: masked ? (0..<outputs).map { covering.contains($0) || $0 >= coverage.experts } : nil,
                sites: sites, offset: networks.last.map { $0.offset + $0.count } ?? 0))
        return networks.count - 1
    }

    private static func padded(_ layer: Int) -> String { layer < 10 ? "0\(layer)" : "\(layer)" }
}
