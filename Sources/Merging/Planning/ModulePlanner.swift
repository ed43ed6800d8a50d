import Adapters
import Diagnostics
import Settings

/// Plans the modules of a stage, one after the other.
struct ModulePlanner {
    let stage: RecipeStage
    let registry: MethodRegistry
    let resolution: OperandResolution
    let parameters: ParameterResolution
    private(set) var notes: [PlanNote] = []
    /// Operands beside those of the recipe: the base of a method that takes it as one of its operands.
    var extraOperands = 0
    private var resolved: [CacheKey: Resolved] = [:]
    private let isConstant: Bool
    private var noted: Set<String> = []

    /// With constant parameters a module's values depend on nothing else.
    private struct CacheKey: Hashable {
        var method: String
        var override: SourcePlace?
        var layer: SourcePlace?
    }

    private struct Resolved {
        var shared: [String: ParameterValue]
        /// By index into the recipe's `models`.
        var adapters: [(weight: Double, parameters: [String: ParameterValue])]
    }

    init(
        stage: RecipeStage, registry: MethodRegistry, resolution: OperandResolution, parameters: ParameterResolution
    ) {
        self.stage = stage
        self.registry = registry
        self.resolution = resolution
        self.parameters = parameters
        isConstant = stage.hasConstantParameters
    }

    /// nil when nobody is left who takes part.
    ///
    /// - Parameters:
    ///   - holders: operands that have the module, ascending.
    ///   - decomposed: one of them whose module carries DoRA magnitudes and cannot be converted.
    mutating func plan(_ module: String, holders: [Int], decomposed: Int?) throws -> ModulePlan? {
        if let decomposed {
            throw Failure(
                .mergeDoraNeedsBase,
                "'\(resolution.operands[decomposed].name)' is a DoRA adapter: its update needs the base weights",
                place: module,
                hint: "base_model: the folder or file with the weights of the base converts it (or leave it out)")
        }
        return try plan(module, present: holders)
    }

    /// What the module's method makes of full checkpoints.
    func baseUse(at module: String) throws -> BaseUse { try chosenMethod(at: parameters.site(module)).baseUse }

    /// - Parameter holders: operands that have the module, ascending.
    mutating func plan(_ module: String, present holders: [Int]) throws -> ModulePlan? {
        let site = parameters.site(module)
        let method = try chosenMethod(at: site)
        let values = try resolve(method, at: site)
        try checkComplete(module, holders)
        let everyone = stage.missing == .zero && !holders.isEmpty
        let taking = everyone ? Array(resolution.operands.indices) : holders
        var operands = taking.map { index in
            let own = values.adapters[resolution.entries[index]]
            return ModuleOperand(operand: index, weight: own.weight, parameters: own.parameters)
        }
        if stage.missing == .renormalize { try renormalize(&operands, values, module) }
        dropZeroWeights(&operands, method, module)
        guard !operands.isEmpty else { return nil }
        try checkWeightSum(operands, method, values.shared, module)
        noteDensity(operands, method)
        return lone(
            ModulePlan(module: module, method: method.id, operands: operands, parameters: values.shared), method)
    }

    private func chosenMethod(at site: ParameterResolution.Site) throws -> MethodDescription {
        let name = site.override?.method ?? stage.method
        let isPeft = stage.compatibility == .peft || stage.compatibility == .peft020
        // PEFT merges a single adapter by `linear`, whatever type was asked for.
        let id = isPeft && resolution.operands.count == 1 ? "linear" : name.value
        guard let method = registry.method(id, compatibility: stage.compatibility) else {
            throw Failure(.recipeUnknownMethod, "there is no merge method '\(id)'", place: name.place.description)
        }
        return method
    }

    private mutating func resolve(
        _ method: MethodDescription, at site: ParameterResolution.Site
    ) throws -> Resolved {
        let key = CacheKey(method: method.id, override: site.override?.place, layer: site.layer?.place)
        if isConstant, let known = resolved[key] { return known }
        let adapters = try stage.models.indices.map { entry in
            var own = try parameters.adapter(method, at: site, entry: entry)
            let weight = own.removeValue(forKey: "weight")?.number ?? 1
            return (weight: weight, parameters: own)
        }
        let values = Resolved(shared: try parameters.shared(method, at: site), adapters: adapters)
        if isConstant { resolved[key] = values }
        return values
    }

    // MARK: Rules of the stage

    private func checkComplete(_ module: String, _ holders: [Int]) throws {
        guard stage.missing == .error, holders.count < resolution.operands.count,
            let lacking = resolution.operands.indices.first(where: { !holders.contains($0) })
        else { return }
        throw Failure(
            .mergeModuleMismatch, "'\(resolution.operands[lacking].name)' has no such module", place: module,
            hint: "missing: skip merges each module from the adapters that have it")
    }

    /// Scales the weights of those present so that they add up to what all together would.
    private func renormalize(_ operands: inout [ModuleOperand], _ values: Resolved, _ module: String) throws {
        guard operands.count < resolution.operands.count else { return }
        let all = resolution.entries.reduce(0.0) { $0 + values.adapters[$1].weight }
        let present = operands.reduce(0.0) { $0 + $1.weight }
        guard abs(present) >= 1e-8 else {
            throw Failure(
                .recipeZeroWeightSum, "the weights of the adapters that have this module add up to 0", place: module,
                hint: "use missing: skip")
        }
        for index in operands.indices { operands[index].weight *= all / present }
    }

    private mutating func dropZeroWeights(
        _ operands: inout [ModuleOperand], _ method: MethodDescription, _ module: String
    ) {
        guard stage.dropZeroWeight, stage.compatibility == .none, method.dropsZeroWeight else { return }
        let kept = operands.filter { $0.weight != 0 }
        guard kept.count < operands.count, kept.isEmpty || kept.count >= method.minimumAdapters else { return }
        for operand in operands where operand.weight == 0 {
            let name = resolution.operands[operand.operand].name
            note(
                "recipe.zero_weight_dropped",
                "'\(name)' has weight 0 and is left out, because '\(method.id)' would still use its directions",
                place: name)
        }
        operands = kept
    }

    /// Natively `normalize` divides by Σw; mergekit's elementwise methods divide entry by entry instead.
    private func checkWeightSum(
        _ operands: [ModuleOperand], _ method: MethodDescription, _ shared: [String: ParameterValue], _ module: String
    ) throws {
        guard shared["normalize"]?.bool == true, method.parameter(named: "weight") != nil else { return }
        if stage.compatibility == .mergekit, method.exactness == .elementwise { return }
        let sum = operands.reduce(0.0) { $0 + $1.weight }
        guard abs(sum) < 1e-8 else { return }
        throw Failure(
            .recipeZeroWeightSum, "the weights add up to 0, and '\(method.id)' divides by their sum", place: module,
            hint: "set normalize: false, or other weights")
    }

    private mutating func noteDensity(_ operands: [ModuleOperand], _ method: MethodDescription) {
        for operand in operands where operand.parameters["density"]?.number == 0 {
            let name = resolution.operands[operand.operand].name
            note("recipe.zero_density", "density 0 removes all of '\(name)'", place: name)
        }
    }

    /// Where only one adapter has a module, methods of two or more leave it as it is.
    private mutating func lone(_ plan: ModulePlan, _ method: MethodDescription) -> ModulePlan {
        guard plan.operands.count + extraOperands < method.minimumAdapters, plan.operands.count == 1,
            let linear = registry.method("linear", compatibility: stage.compatibility)
        else { return plan }
        note(
            "recipe.lone_adapter",
            "'\(method.id)' needs \(method.minimumAdapters) adapters; modules that only one has are taken as they are",
            place: plan.module)
        var copy = plan
        copy.method = linear.id
        copy.operands[0].weight = 1
        copy.operands[0].parameters = [:]
        copy.parameters = [:]
        for declaration in linear.parameters where declaration.name != "weight" {
            guard let value = declaration.defaultValue else { continue }
            if declaration.perAdapter {
                copy.operands[0].parameters[declaration.name] = value
            } else {
                copy.parameters[declaration.name] = value
            }
        }
        return copy
    }

    /// Each remark once, at the first module that it concerns.
    private mutating func note(_ code: String, _ message: String, place: String) {
        guard noted.insert(code + message).inserted else { return }
        notes.append(PlanNote(code: code, message: message, place: place))
    }
}
