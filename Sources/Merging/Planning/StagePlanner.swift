import Adapters
import Diagnostics

/// Plans one stage.
struct StagePlanner {
    let stage: RecipeStage
    let folder: String
    let isResult: Bool
    let registry: MethodRegistry
    let options: PlanOptions

    func plan(library: any AdapterLibrary, earlier: [StagePlan]) throws -> StagePlan {
        let resolution = try OperandResolution(stage, folder: folder, library: library, earlier: earlier)
        let operands = resolution.operands
        var notes = resolution.notes
        let checkpoint = try checkpointPlan(resolution)
        let decompositionBase = checkpoint == nil ? try weightsOfBase(for: operands) : nil
        // A path says little about whose weights stand there: adapters are compared with one another only.
        notes += try BaseAgreement.check(
            operands.enumerated().filter { resolution.checkpoints[$0.offset] == nil }.map(\.element),
            declared: checkpoint == nil && decompositionBase == nil ? stage.baseModel : nil,
            allowed: stage.allowBaseMismatch || options.allowBaseMismatch)
        try checkCount(operands, hasBase: checkpoint?.base != nil)
        let (modules, names) =
            try checkpoint.map { try plannedTensors($0, resolution, &notes) }
            ?? plannedModules(resolution, hasBase: decompositionBase != nil, &notes)
        let planned = Set(modules.map(\.module))
        guard !modules.isEmpty || names.isEmpty || checkpoint != nil else {
            throw Failure(
                .recipeBadParameter, "no module is left: 'filters' and weights exclude all \(names.count)",
                place: stage.place.description, hint: "modules are named like '\(names[0])'")
        }
        notes += unusedPatterns(names)
        try checkSeed(modules)
        return StagePlan(
            name: stage.name, compatibility: stage.compatibility, operands: operands, modules: modules,
            missing: stage.missing, others: stage.others ?? .error, zeroNonFinite: stage.zeroNonFinite,
            allowBaseMismatch: stage.allowBaseMismatch || options.allowBaseMismatch, seed: stage.seed,
            memoryLimitBytes: stage.limits.memoryBytes ?? options.memoryLimitBytes,
            threads: stage.limits.threads ?? options.threads, output: try output(isCheckpoint: checkpoint != nil),
            baseModel: stage.baseModel?.value,
            operandEntries: resolution.entries, pendingOperands: resolution.pending, padRanks: stage.padRanks,
            post: try post(),
            omittedModules: checkpoint == nil ? names.filter { !planned.contains($0) } : [], notes: notes,
            checkpoint: checkpoint, decompositionBase: decompositionBase)
    }

    /// The weights at `base_model`, where DoRA adapters need them; nil where it names no weights.
    private func weightsOfBase(for operands: [NamedAdapter]) throws -> Checkpoint? {
        guard let written = stage.baseModel,
            operands.contains(where: { $0.adapter.modules.contains { $0.magnitude != nil } })
        else { return nil }
        return try Checkpoint.open(path: OperandResolution.path(written.value, in: folder))
    }

    // MARK: Modules

    private func plannedModules(
        _ resolution: OperandResolution, hasBase: Bool, _ notes: inout [PlanNote]
    ) throws -> (modules: [ModulePlan], names: [String]) {
        let union = try ModuleUnion(resolution.operands)
        let layers = LayerPositions(
            modules: union.names, index: LayerIndex(pattern: stage.layerPattern),
            overWholeModel: stage.compatibility == .mergekit)
        var planner = ModulePlanner(
            stage: stage, registry: registry, resolution: resolution,
            parameters: ParameterResolution(stage: stage, layers: layers, folder: folder))
        let modules = try union.names.compactMap { name -> ModulePlan? in
            guard stage.filters.admit(name) else { return nil }
            return try planner.plan(
                name, holders: union.holders[name] ?? [], decomposed: hasBase ? nil : union.decomposed[name])
        }
        notes += planner.notes
        return (modules, union.names)
    }

    private func unusedPatterns(_ names: [String]) -> [PlanNote] {
        let patterns =
            stage.filters.include.map { ($0, "filters.include") }
            + stage.filters.exclude.map { ($0, "filters.exclude") }
            + stage.overrides.map { ($0.match, "overrides") }
        return patterns.filter { pattern, _ in !names.contains { pattern.matches(tensor: $0) } }.map { pattern, place in
            PlanNote(
                code: "recipe.unused_pattern", message: "the pattern '\(pattern.text)' matches no module", place: place)
        }
    }

    // MARK: Checks

    private func checkCount(_ operands: [NamedAdapter], hasBase: Bool) throws {
        guard let method = registry.method(stage.method.value, compatibility: stage.compatibility) else { return }
        let count = operands.count + (hasBase && method.baseUse == .operand ? 1 : 0)
        guard count >= method.minimumAdapters || isPeft else {
            throw Failure(
                .recipeBadParameter,
                "'\(method.id)' needs at least \(method.minimumAdapters) adapters, the recipe names \(operands.count)",
                place: stage.method.place.description)
        }
        if let most = method.maximumAdapters, operands.count > most {
            throw Failure(
                .recipeBadParameter,
                "'\(method.id)' takes at most \(most) adapters, the recipe names \(operands.count)",
                place: stage.method.place.description)
        }
    }

    private var isPeft: Bool { stage.compatibility == .peft || stage.compatibility == .peft020 }

    /// With a mask file the draws may all be given; the executor asks for the seed where one is missing.
    private func checkSeed(_ modules: [ModulePlan]) throws {
        guard stage.seed == nil else { return }
        let random = modules.first { $0.parameters["mask_file"] == nil && draws($0) }
        guard let random else { return }
        throw Failure(
            .recipeSeedRequired, "'\(random.method)' draws random numbers and the recipe gives no seed",
            place: stage.method.place.description, hint: "add seed: 42 (any whole number), or --set seed=42")
    }

    /// Densities of 1 keep everything and draw nothing; DELLA's probabilities lie around its density.
    private func draws(_ module: ModulePlan) -> Bool {
        guard let method = registry.method(module.method, compatibility: stage.compatibility), method.random else {
            return false
        }
        guard !method.parameters.contains(where: { $0.name == "epsilon" }) else { return true }
        return module.operands.contains { ($0.parameters["density"]?.number ?? 0) < 1 }
    }

    // MARK: Output

    /// A result that a later stage reads keeps single precision and every rank, unless the recipe says otherwise.
    private func output(isCheckpoint: Bool) throws -> OutputPlan {
        let written = stage.output
        if let sink = written.sink, sink.value == "report-only" {
            throw Failure(
                .recipeBadParameter, "merging writes what it merges, 'sink: report-only' is not available",
                place: sink.place.description, hint: "--dry-run shows the plan and writes nothing")
        }
        if isCheckpoint, let sink = written.sink, sink.value == "adapter" {
            throw Failure(
                .recipeBadParameter, "full weights merge into a checkpoint, not into an adapter",
                place: sink.place.description,
                hint: "leave 'sink' out; `lorabank extract` makes an adapter of a tuned checkpoint")
        }
        return OutputPlan(
            name: written.name ?? (stage.name.isEmpty ? nil : stage.name),
            rank: written.rank ?? (isResult ? nil : .keep),
            precision: written.precision ?? (isResult ? .keep : .f32), split: written.split,
            uniform: written.uniform ?? false, tags: written.tags,
            sink: written.sink?.value ?? (isCheckpoint ? "dense" : "adapter"))
    }

    private func post() throws -> [PostStepPlan] {
        try stage.post.map { step in
            guard let description = registry.postStep(step.id.value) else {
                throw Failure(
                    .recipeUnknownMethod, "there is no post step '\(step.id.value)'", place: step.id.place.description)
            }
            try checkOrder(step, description)
            var values: [String: ParameterValue] = [:]
            for declaration in description.parameters {
                if case .value(let written) = step.parameters[declaration.name]?.setting {
                    values[declaration.name] = try declaration.value(written)
                } else if let value = declaration.defaultValue {
                    values[declaration.name] = value
                } else if declaration.required {
                    throw Failure(
                        .recipeBadParameter, "'\(description.id)' needs '\(declaration.name)'",
                        place: step.id.place.description)
                }
            }
            return PostStepPlan(id: description.id, parameters: values)
        }
    }

    /// A post-step works on the factors of classes it names; elementwise results have none.
    private func checkOrder(_ step: PostStepEntry, _ description: MethodDescription) throws {
        guard case .post(let classes) = description.role else { return }
        let names = [stage.method.value] + stage.overrides.compactMap { $0.method?.value }
        for name in names {
            guard let method = registry.method(name, compatibility: stage.compatibility) else { continue }
            guard classes.contains(method.exactness) else {
                throw Failure(
                    .recipeBadParameter,
                    "'\(description.id)' cannot follow '\(method.id)', a method of class \(method.exactness.rawValue)",
                    place: step.id.place.description,
                    hint: "it follows classes \(classes.map(\.rawValue).sorted().joined(separator: ", "))")
            }
        }
    }
}
