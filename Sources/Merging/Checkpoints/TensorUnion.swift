import Adapters
import Diagnostics
import Tensors

/// What an adapter does to one tensor of the base.
enum AdapterPart: Sendable {
    /// The low-rank update of `<module>.weight`.
    case update(LoRAModule)
    /// `lora_B.bias` of a module: scale · bias is added to `<module>.bias`.
    case bias(LoRAModule)
    /// A tensor that was trained as a whole and takes the place of the base's.
    case replacement(SavedTensor)
}

/// One tensor of the result, with everybody who has a part in it.
struct TensorSite: Sendable {
    let name: String
    var base: TensorView?
    /// Full weights by operand.
    var weights: [Int: TensorView] = [:]
    /// Adapters by operand.
    var parts: [Int: AdapterPart] = [:]

    /// Operands that take part, ascending.
    var holders: [Int] { (Array(weights.keys) + parts.keys).sorted() }

    /// Shape of the base, else of the first operand that has the tensor.
    var shape: [Int] {
        if let whole = base ?? weights.min(by: { $0.key < $1.key })?.value { return whole.shape }
        return parts.min { $0.key < $1.key }?.value.shape ?? []
    }

    /// True when every tensor holds numbers that methods can work on.
    var isNumeric: Bool { ([base].compactMap { $0 } + weights.values).allSatisfy(\.dtype.isNumber) }
}

/// The tensors of all operands and the base together, sorted by name.
struct TensorUnion {
    let sites: [TensorSite]

    /// - Throws: `merge.shape_mismatch`, `merge.module_mismatch` for an adapter's module that the base lacks,
    ///   `config.feature_unsupported` for parts of an adapter that cannot be added to a base.
    init(_ plan: CheckpointPlan, operands: [NamedAdapter]) throws {
        var sites: [String: TensorSite] = [:]
        for tensor in plan.base?.weights.tensors ?? [] {
            sites[tensor.name] = TensorSite(name: tensor.name, base: tensor)
        }
        for (index, checkpoint) in plan.operands.sorted(by: { $0.key < $1.key }) {
            for tensor in checkpoint.weights.tensors
            where !plan.ignore.contains(where: { $0.matches(tensor: tensor.name) }) {
                sites[tensor.name, default: TensorSite(name: tensor.name)].weights[index] = tensor
            }
        }
        for (index, operand) in operands.enumerated() where plan.operands[index] == nil {
            let names = ModuleNames(prefix: plan.modulePrefix)
            for (name, part) in try AdapterParts(operand, names: names, base: plan.base).all {
                sites[name, default: TensorSite(name: name)].parts[index] = part
            }
        }
        self.sites = sites.values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        for site in self.sites { try TensorUnion.checkShapes(site, operands) }
    }

    private static func checkShapes(_ site: TensorSite, _ operands: [NamedAdapter]) throws {
        let shape = site.shape
        let holder = site.weights.keys.min() ?? site.parts.keys.min()
        let first = site.base == nil ? holder.map { "'\(operands[$0].name)'" } ?? "" : "the base"
        for (index, found) in site.weights.sorted(by: { $0.key < $1.key }).map({ ($0.key, $0.value.shape) })
            + site.parts.sorted(by: { $0.key < $1.key }).compactMap({ part in part.value.shape.map { (part.key, $0) } })
        where found != shape {
            throw Failure(
                .mergeShapeMismatch, "'\(operands[index].name)' has shape \(found), \(first) has \(shape)",
                place: site.name,
                hint: "the models have different architectures; ignore: [\"\(site.name)\"] leaves it out",
                details: [
                    "tensor": site.name, "model": operands[index].name, "expected": "\(shape)", "found": "\(found)",
                ])
        }
    }
}

extension AdapterPart {
    /// Shape that the base's tensor must have; nil where that is checked elsewhere.
    var shape: [Int]? {
        switch self {
        case .update(let module): module.deltaShape
        case .bias(let module): module.bias?.shape
        case .replacement(let saved): saved.tensor.shape
        }
    }
}

extension DType {
    /// A type whose values are real numbers.
    var isNumber: Bool {
        switch self {
        case .f64, .f32, .f16, .bf16, .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz, .f8e8m0: true
        default: false
        }
    }
}

/// How names of an adapter's modules become names of the base: models with a head put a prefix before every name.
struct ModuleNames: Sendable, Hashable {
    /// Put before a name, or cut off its front when it begins with `-`.
    let prefix: String

    func inBase(_ name: String) -> String {
        guard prefix.hasPrefix("-") else { return prefix + name }
        let cut = prefix.dropFirst()
        return name.hasPrefix(cut) ? String(name.dropFirst(cut.count)) : name
    }

    /// The prefix under which the base has the weights of all modules of an adapter; empty when no prefix fits.
    static func matching(_ adapter: Adapter, _ base: Checkpoint) -> ModuleNames {
        let plain = ModuleNames(prefix: "")
        let modules = adapter.modules.map(\.name)
        guard let first = modules.first, !plain.fits(modules, base) else { return plain }
        let parts = first.split(separator: ".")
        let cuts = parts.indices.dropFirst().map { "-" + parts[..<$0].joined(separator: ".") + "." }
        let additions = base.weights.names.filter { $0.hasSuffix("." + first + ".weight") }
            .map { String($0.dropLast(first.count + ".weight".count)) }
        return (additions + cuts).map { ModuleNames(prefix: $0) }.first { $0.fits(modules, base) } ?? plain
    }

    private func fits(_ modules: [String], _ base: Checkpoint) -> Bool {
        modules.allSatisfy { base.view(inBase($0) + ".weight") != nil }
    }
}

/// An adapter taken apart by the tensors of the base that it changes.
struct AdapterParts {
    private(set) var all: [(name: String, part: AdapterPart)] = []
    private let operand: NamedAdapter
    private let names: ModuleNames

    /// - Parameter base: nil: the adapter is refused.
    init(_ operand: NamedAdapter, names: ModuleNames, base: Checkpoint?) throws {
        self.operand = operand
        self.names = names
        guard let base else {
            throw Failure(
                .mergeModuleMismatch,
                "'\(operand.name)' is an adapter: beside full weights it needs a base to be added to",
                place: operand.reference, hint: "give base_model: a folder or file with the weights of the base")
        }
        for module in operand.adapter.modules { try add(module, base) }
        for saved in operand.adapter.saved { try add(saved, base) }
        if let tensor = operand.adapter.unclaimed.first {
            throw Failure(
                .configFeatureUnsupported, "'\(operand.name)' holds a tensor whose meaning is unknown",
                place: tensor.name,
                hint: "ignore: [\"\(tensor.name)\"] leaves it out")
        }
    }

    private mutating func add(_ module: LoRAModule, _ base: Checkpoint) throws {
        let name = names.inBase(module.name)
        let weight = [name + ".weight", name].first { base.view($0) != nil }
        guard let weight else {
            throw Failure(
                .mergeModuleMismatch, "the base has no tensor '\(name).weight' for this module of '\(operand.name)'",
                place: module.name, hint: "is this the adapter's base model?")
        }
        all.append((weight, .update(module)))
        guard module.bias != nil else { return }
        guard base.view(name + ".bias") != nil else {
            throw Failure(
                .mergeModuleMismatch, "'\(operand.name)' adds a bias to this module and the base has none",
                place: module.name)
        }
        all.append((name + ".bias", .bias(module)))
    }

    private mutating func add(_ saved: SavedTensor, _ base: Checkpoint) throws {
        guard saved.role != .tokens else {
            throw Failure(
                .configFeatureUnsupported, "'\(operand.name)' replaces rows of an embedding (trainable tokens)",
                place: saved.name, hint: "only whole tensors and low-rank updates can be added to a base")
        }
        all.append((names.inBase(saved.name), .replacement(saved)))
    }
}
