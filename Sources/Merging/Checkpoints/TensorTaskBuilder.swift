import Adapters
import Diagnostics
import Digests
import Foundation
import Synchronization
import Tensors

/// Turns the plan of a stage over full weights into tasks, one for every tensor of the result.
struct TensorTaskBuilder {
    let plan: StagePlan
    let checkpoint: CheckpointPlan
    private let methods: [String: MergeMethod]
    private let union: TensorUnion
    private let modules: [String: ModulePlan]
    private let declaredRanks: [Int]
    private let files = InputFiles()

    /// - Throws: what `TensorUnion` throws.
    init(_ plan: StagePlan, _ checkpoint: CheckpointPlan) throws {
        self.plan = plan
        self.checkpoint = checkpoint
        var methods: [String: MergeMethod] = [:]
        for method in MergeMethod.standard where method.description.compatibilities.contains(plan.compatibility) {
            methods[method.description.id] = method
        }
        self.methods = methods
        union = try TensorUnion(checkpoint, operands: plan.operands)
        modules = Dictionary(plan.modules.map { ($0.module, $0) }) { first, _ in first }
        // Full weights declare no rank; a rule that cuts to the largest one must not cut them.
        declaredRanks = plan.operands.indices.map {
            checkpoint.operands[$0] == nil ? max(1, plan.operands[$0].adapter.rankMax) : 1 << 30
        }
    }

    /// Tasks for all tensors of the result, sorted by name.
    ///
    /// - Throws: `recipe.unknown_method`, `merge.module_mismatch`, `merge.unsupported_kind`,
    ///   `recipe.zero_weight_sum`, and what methods throw about their parameters.
    func tasks() throws -> [TensorTask] {
        try union.sites.compactMap { site in
            if let module = modules[site.name] { return try merged(site, module) }
            return try other(site)
        }
    }

    // MARK: Tensors that a method merges

    private func merged(_ site: TensorSite, _ module: ModulePlan) throws -> TensorTask {
        guard let method = methods[module.method] else {
            throw Failure(
                .recipeUnknownMethod, "no merge method '\(module.method)' with compat: \(plan.compatibility.rawValue)",
                place: site.name)
        }
        let use = method.description.baseUse
        let base = use == .operand ? nil : site.base
        var operands = module.operands.map { operand(site, $0.operand) }
        if use == .operand, let tensor = site.base {
            operands.insert(TensorOperand(content: .weights(tensor), name: checkpoint.base?.name ?? "base"), at: 0)
        }
        let context = context(site, module, method, operands, hasBase: base != nil)
        let takesOthers = method.description.exactness == .spectral || method.description.exactness == .coordinates
        let work: TensorTask.Work
        if takesOthers, site.shape.count < 2 {
            work = .combination(try vectorCoefficients(context))
        } else {
            work = try self.work(try method.rule(context), context)
        }
        // base + (W − base) would round twice: a single model, or a whole tensor of an adapter, is taken as it is.
        if case .combination([1]) = work, operands.count == 1, case .weights(let tensor) = operands[0].content {
            return copy(site, tensor)
        }
        return TensorTask(
            name: site.name, shape: site.shape, dtype: outputType(site), base: base, operands: operands, work: work,
            output: try method.output(context),
            post: site.shape.count < 2 ? [] : try plan.post.map { try BoundPostStep($0, context) }, context: context,
            method: method.description.id, coverage: Double(site.holders.count) / Double(max(1, plan.operands.count)))
    }

    /// A rule whose coefficients need no weights is applied here.
    private func work(_ rule: MergeRule, _ context: MethodContext) throws -> TensorTask.Work {
        guard case .combination(let make) = rule else { return .rule(rule) }
        return .combination(try make(context))
    }

    private func operand(_ site: TensorSite, _ index: Int) -> TensorOperand {
        let name = plan.operands[index].name
        if let tensor = site.weights[index] { return TensorOperand(content: .weights(tensor), name: name) }
        switch site.parts[index] {
        case .update(let module): return TensorOperand(content: .module(module), name: name)
        case .bias(let module):
            guard let bias = module.bias else { break }
            return TensorOperand(content: .vector(bias, scale: module.scale), name: name)
        case .replacement(let saved): return TensorOperand(content: .weights(saved.tensor), name: name)
        case nil: break
        }
        return TensorOperand(content: .zero, name: name)
    }

    private func context(
        _ site: TensorSite, _ module: ModulePlan, _ method: MergeMethod, _ operands: [TensorOperand], hasBase: Bool
    ) -> MethodContext {
        let grid = TensorGrid(shape: site.shape)
        let extra = operands.count - module.operands.count
        let ranks = operands.map { operand -> Int in
            if case .zero = operand.content { return 0 }
            return operand.lowRank?.rank ?? min(grid.rows, grid.columns)
        }
        var context = MethodContext(
            module: site.name, rows: grid.rows, columns: grid.columns, ranks: ranks, declaredRanks: declaredRanks,
            weights: [Double](repeating: 1, count: extra) + module.operands.map(\.weight),
            scales: operands.map { $0.lowRank?.scale ?? 1 },
            operandIndices: [Int](repeating: -1, count: extra) + module.operands.map(\.operand),
            adapterNames: operands.map(\.name), compatibility: plan.compatibility, padsRanks: plan.padRanks,
            seed: plan.seed, remarks: Remarks(), method: method.description, parameters: module.parameters,
            operandParameters: [[String: ParameterValue]](repeating: [:], count: extra)
                + module.operands.map(\.parameters),
            contentID: identity(site), files: files)
        context.form = hasBase ? .updates : .weights
        context.shape = site.shape
        if method.description.baseUse == .beside, hasBase { context.baseOperand = operands.count }
        return context
    }

    /// What the random streams of an operand are named by: its content at this tensor.
    private func identity(_ site: TensorSite) -> @Sendable (Int) -> String {
        let operands = plan.operands
        return { index in
            if let tensor = site.weights[index] { return SHA256Digest.of(tensor.bytes).hex }
            return operands.indices.contains(index) ? operands[index].adapter.deltaID().hex : "base"
        }
    }

    /// Tensors without two axes under methods of singular vectors (merge-methods 3.13, 4.4).
    private func vectorCoefficients(_ context: MethodContext) throws -> [Double] {
        let lambda = context.value("lambda")?.number ?? 1
        switch checkpoint.others ?? .mean {
        case .mean: return context.weights.map { _ in lambda / Double(context.operandCount) }
        case .weighted:
            let sum = try context.weightDivisor(normalize: true)
            return context.weights.map { lambda * $0 / sum }
        case .first: return context.weights.indices.map { $0 == 0 ? lambda : 0 }
        case .error:
            throw Failure(
                .mergeModuleMismatch, "'\(context.method.id)' merges matrices, and this tensor has fewer than two axes",
                place: context.module, hint: "others: mean, weighted or first decides what becomes of it")
        }
    }

    // MARK: All other tensors

    private func copy(_ site: TensorSite, _ tensor: TensorView) -> TensorTask {
        TensorTask(
            name: site.name, shape: tensor.shape, dtype: tensor.dtype.isNumber ? outputType(site) : tensor.dtype,
            base: nil, operands: [], work: .copy(tensor), context: nil, method: nil, coverage: 0)
    }

    /// Left out by filters, of a type without numbers, or without a counterpart in the base.
    private func other(_ site: TensorSite) throws -> TensorTask? {
        let isExcluded = site.isNumeric && (checkpoint.base == nil || site.base != nil)
        if isExcluded || site.holders.isEmpty { return site.base.map { copy(site, $0) } }
        let carriers = site.holders.compactMap { index -> (index: Int, tensor: TensorView)? in
            if let tensor = site.weights[index] { return (index, tensor) }
            if case .replacement(let saved)? = site.parts[index] { return (index, saved.tensor) }
            return nil
        }
        guard let first = carriers.first?.tensor else { return site.base.map { copy(site, $0) } }
        let all = [site.base].compactMap { $0 } + carriers.map(\.tensor)
        if checkpoint.others == .first || all.dropFirst().allSatisfy({ same($0, all[0]) }) {
            return copy(site, first)
        }
        guard let rule = checkpoint.others, rule != .error, site.isNumeric else {
            throw disagreement(site, carriers.map { plan.operands[$0.index].name })
        }
        let weights = carriers.map { rule == .weighted ? weight(of: $0.index) : 1 }
        let sum = weights.reduce(0, +)
        guard abs(sum) >= 1e-8 else {
            throw Failure(.recipeZeroWeightSum, "the weights of the models add up to \(sum)", place: site.name)
        }
        return TensorTask(
            name: site.name, shape: site.shape, dtype: outputType(site), base: nil,
            operands: carriers.map { TensorOperand(content: .weights($0.tensor), name: plan.operands[$0.index].name) },
            work: .combination(weights.map { $0 / sum }), context: nil, method: "others",
            coverage: Double(carriers.count) / Double(max(1, plan.operands.count)))
    }

    private func disagreement(_ site: TensorSite, _ names: [String]) -> Failure {
        let who = names.map { "'\($0)'" }.joined(separator: ", ")
        guard site.isNumeric else {
            let types = ([site.base].compactMap { $0 } + site.weights.values).map(\.dtype.rawValue)
            return Failure(
                .mergeModuleMismatch,
                "\(who) \(names.count == 1 ? "differs" : "differ") in this tensor of type "
                    + "\(types.first { $0 == "BOOL" || $0.hasPrefix("I") || $0.hasPrefix("U") } ?? types[0]), which has no mean",
                place: site.name,
                hint: "others: first takes that of the first model; ignore: [\"\(site.name)\"] keeps the base's")
        }
        return Failure(
            .mergeModuleMismatch, "\(who) carry this tensor, they differ, and the base lacks it", place: site.name,
            hint: "others: mean, weighted or first decides what becomes of it")
    }

    private func same(_ a: TensorView, _ b: TensorView) -> Bool {
        guard a.dtype == b.dtype, a.shape == b.shape else { return false }
        guard let left = a.bytes.baseAddress, let right = b.bytes.baseAddress else { return true }
        return memcmp(left, right, a.bytes.count) == 0
    }

    /// The operand's weight at the first tensor in which it takes part.
    private func weight(of operand: Int) -> Double {
        for module in plan.modules {
            if let entry = module.operands.first(where: { $0.operand == operand }) { return entry.weight }
        }
        return 1
    }

    // MARK: Types

    /// As the recipe says, else the base's, else the widest among the operands.
    private func outputType(_ site: TensorSite) -> DType {
        switch plan.output.precision {
        case .f32: return .f32
        case .f16: return .f16
        case .bf16: return .bf16
        case .keep: break
        }
        if let base = site.base, base.dtype.isWeight { return base.dtype }
        return DType.widest(of: Set(([site.base].compactMap { $0 } + site.weights.values).map(\.dtype)))
    }
}
