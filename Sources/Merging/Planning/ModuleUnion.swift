import Adapters
import Diagnostics

/// The modules of all operands together, with who has them.
struct ModuleUnion {
    /// Sorted by name (byte order).
    let names: [String]
    /// For each name the operands that have it, ascending.
    let holders: [String: [Int]]
    /// The first operand whose module carries DoRA magnitudes, by name.
    let decomposed: [String: Int]

    /// - Throws: `merge.shape_mismatch` when two operands have a module with different shapes.
    init(_ operands: [NamedAdapter]) throws {
        var holders: [String: [Int]] = [:]
        var decomposed: [String: Int] = [:]
        var first: [String: (operand: Int, module: LoRAModule)] = [:]
        for (index, operand) in operands.enumerated() {
            for module in operand.adapter.modules {
                if let earlier = first[module.name] {
                    try ModuleUnion.checkShape(
                        module, operand.name, earlier.module, operands[earlier.operand].name)
                } else {
                    first[module.name] = (index, module)
                }
                holders[module.name, default: []].append(index)
                if module.magnitude != nil, decomposed[module.name] == nil { decomposed[module.name] = index }
            }
        }
        self.holders = holders
        self.decomposed = decomposed
        names = holders.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
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
