import Adapters
import Diagnostics
import Tensors

/// Everything that the engine needs to merge one module: the plan's entry with its operands and method looked up.
struct ModuleTask: Sendable {
    let name: String
    let method: MergeMethod
    let context: MethodContext
    let operands: [DeltaOperand]
    let rule: MergeRule
    let output: OutputPreference
    /// Steps after the method, in order.
    let post: [BoundPostStep]
    /// d_out and d_in of the flattened update.
    let rows: Int
    let columns: Int
    let kind: ModuleKind
    let deltaShape: [Int]
    let fanInFanOut: Bool
    /// Number of adapters of the stage that have the module.
    let carriers: Int

    var totalRank: Int { context.totalRank }
    var hasBias: Bool { operands.contains { $0.bias != nil } }
}

/// Turns the modules of a plan into tasks and refuses what cannot be merged.
struct TaskBuilder {
    let plan: StagePlan
    private let methods: [String: MergeMethod]
    private let modules: [[String: LoRAModule]]
    private let declaredRanks: [Int]
    private let files = InputFiles()
    private let identities: OperandIdentities

    init(_ plan: StagePlan) {
        self.plan = plan
        var methods: [String: MergeMethod] = [:]
        for method in MergeMethod.standard
        where method.description.compatibilities.contains(plan.compatibility) {
            methods[method.description.id] = method
        }
        self.methods = methods
        modules = plan.operands.map { operand in
            Dictionary(operand.adapter.modules.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        }
        identities = OperandIdentities(plan.operands.map(\.adapter))
        declaredRanks = plan.operands.map { TaskBuilder.declaredRank(of: $0.adapter) }
    }

    /// Tasks for all modules, sorted by name.
    ///
    /// - Throws: `recipe.unknown_method`, `merge.shape_mismatch`, `merge.dora_needs_base`, `merge.module_mismatch`,
    ///   and what the methods throw about their parameters.
    func tasks() throws -> [ModuleTask] {
        try plan.modules.sorted { $0.module.utf8.lexicographicallyPrecedes($1.module.utf8) }
            .filter { !$0.operands.isEmpty }
            .map(task)
    }

    private func task(_ module: ModulePlan) throws -> ModuleTask {
        guard let method = methods[module.method] else {
            throw Failure(
                .recipeUnknownMethod, "no merge method '\(module.method)' with compat: \(plan.compatibility.rawValue)",
                place: module.module)
        }
        let carried = module.operands.map { modules[$0.operand][module.module] }
        guard let model = carried.lazy.compactMap({ $0 }).first else {
            throw Failure(.mergeModuleMismatch, "no adapter of the stage has this module", place: module.module)
        }
        let names = module.operands.map { plan.operands[$0.operand].name }
        for (name, other) in zip(names, carried) {
            guard let other else {
                try checkMayBeMissing(name, module.module)
                continue
            }
            try check(other, of: name, against: model, of: names[carried.firstIndex { $0 != nil } ?? 0])
        }
        let operands = zip(names, carried).map { name, module in
            module.map { DeltaOperand($0, adapter: name) } ?? DeltaOperand.zero(adapter: name)
        }
        let context = context(module, method, operands, model)
        try checkBaseWeights(method, module.module)
        return ModuleTask(
            name: module.module, method: method, context: context, operands: operands,
            rule: try method.rule(context), output: try method.output(context),
            post: try plan.post.map { try BoundPostStep($0, context) }, rows: model.flatRows,
            columns: model.flatColumns, kind: model.kind, deltaShape: model.deltaShape,
            fanInFanOut: model.fanInFanOut, carriers: modules.count { $0[module.module] != nil })
    }

    private func context(
        _ module: ModulePlan, _ method: MergeMethod, _ operands: [DeltaOperand], _ model: LoRAModule
    ) -> MethodContext {
        MethodContext(
            module: module.module, rows: model.flatRows, columns: model.flatColumns, ranks: operands.map(\.rank),
            declaredRanks: declaredRanks, weights: module.operands.map(\.weight), scales: operands.map(\.scale),
            operandIndices: module.operands.map(\.operand), adapterNames: operands.map(\.adapter),
            compatibility: plan.compatibility, padsRanks: plan.padRanks, seed: plan.seed, remarks: Remarks(),
            method: method.description, parameters: module.parameters,
            operandParameters: module.operands.map(\.parameters), contentID: identities.identity, files: files)
    }

    private func checkBaseWeights(_ method: MergeMethod, _ module: String) throws {
        guard method.description.baseUse == .beside else { return }
        throw Failure(
            .mergeUnsupportedKind, "\(method.description.id) looks at the base weights, which adapters do not hold",
            place: module, hint: "merge full checkpoints with it")
    }

    private func checkMayBeMissing(_ adapter: String, _ module: String) throws {
        guard plan.missing == .zero else {
            throw Failure(
                .mergeModuleMismatch, "adapter '\(adapter)' lacks this module", place: module,
                hint: "missing: skip leaves it out, missing: zero counts it as a zero update")
        }
    }

    private func check(
        _ module: LoRAModule, of adapter: String, against model: LoRAModule, of first: String
    ) throws {
        guard module.magnitude == nil else {
            throw Failure(
                .mergeDoraNeedsBase, "adapter '\(adapter)' is a DoRA adapter: its update depends on the base weights",
                place: module.name, hint: "base_model: the folder or file with the weights of the base converts it")
        }
        let same =
            module.kind == model.kind && module.deltaShape == model.deltaShape
            && module.flatRows == model.flatRows && module.flatColumns == model.flatColumns
            && module.fanInFanOut == model.fanInFanOut
        guard same else {
            throw Failure(
                .mergeShapeMismatch,
                "the update of '\(adapter)' is \(module.kind.rawValue) \(module.deltaShape), that of '\(first)' is "
                    + "\(model.kind.rawValue) \(model.deltaShape)",
                place: module.name, details: ["expected": "\(model.deltaShape)", "found": "\(module.deltaShape)"])
        }
    }

    /// PEFT's "maximum rank" of an adapter: the largest of `r` and the values of `rank_pattern`, at least the largest
    /// rank that occurs.
    private static func declaredRank(of adapter: Adapter) -> Int {
        let pattern = adapter.configuration["rank_pattern"]?.members?.compactMap(\.value.integer) ?? []
        let declared = pattern + [adapter.configuration["r"]?.integer ?? 0]
        return max(declared.max() ?? 0, adapter.rankMax)
    }
}

extension LoRAModule {
    /// Rows of B·A as the factors are stored: d_out, for an embedding its width.
    var flatRows: Int { rank > 0 ? b.count / rank : 0 }
    /// Columns of B·A as the factors are stored: d_in, for an embedding the vocabulary.
    var flatColumns: Int { rank > 0 ? a.count / rank : 0 }
}
