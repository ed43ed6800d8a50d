import Adapters
import Diagnostics

/// The modules of all operands together, with who has them.
struct ModuleUnion {
    /// Sorted by name (byte order).
    let names: [String]
    /// For each name: operand → its module.
    let holders: [String: [Int: LoRAModule]]

    /// - Throws: `merge.shape_mismatch` when two operands have a module with different shapes.
    init(_ operands: [NamedAdapter]) throws {
        var holders: [String: [Int: LoRAModule]] = [:]
        var first: [String: Int] = [:]
        for (index, operand) in operands.enumerated() {
            for module in operand.adapter.modules {
                if let earlier = first[module.name], let other = holders[module.name]?[earlier] {
                    try ModuleUnion.checkShape(module, operand.name, other, operands[earlier].name)
                } else {
                    first[module.name] = index
                }
                holders[module.name, default: [:]][index] = module
            }
        }
        self.holders = holders
        names = holders.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }

    private static func checkShape(
        _ module: LoRAModule, _ name: String, _ other: LoRAModule, _ otherName: String
    ) throws {
        let same =
            module.dOut == other.dOut && module.dIn == other.dIn && module.kind == other.kind
            && module.deltaShape == other.deltaShape && module.fanInFanOut == other.fanInFanOut
        guard !same else { return }
        let found = text(module)
        let expected = text(other)
        throw Failure(
            .mergeShapeMismatch, "the update of '\(name)' is \(found), that of '\(otherName)' is \(expected)",
            place: module.name,
            hint:
                "these adapters belong to different models; filters: { exclude: [\"\(module.name)\"] } leaves it out",
            details: ["module": module.name, "adapter": name, "expected": expected, "found": found])
    }

    private static func text(_ module: LoRAModule) -> String {
        let shape = "[" + module.deltaShape.map(String.init).joined(separator: ", ") + "]"
        let layout = module.fanInFanOut ? ", stored transposed" : ""
        return module.kind == .linear ? shape + layout : "\(shape) (\(module.kind.rawValue))\(layout)"
    }
}
