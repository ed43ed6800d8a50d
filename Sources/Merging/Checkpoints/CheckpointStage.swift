import Adapters
import Diagnostics
import Foundation
import Tensors

extension StagePlanner {
    /// The base of a stage over full weights; nil for a stage of adapters whose result is an adapter.
    ///
    /// - Throws: `io.not_found`, `reference.not_found` when the stage needs weights and `base_model` names none.
    func checkpointPlan(_ resolution: OperandResolution) throws -> CheckpointPlan? {
        let isDense = stage.output.sink?.value == "dense"
        guard isDense || !resolution.checkpoints.isEmpty else { return nil }
        if let sink = stage.output.sink, stage.baseModel == nil, resolution.checkpoints.isEmpty {
            throw Failure(
                .recipeBadParameter, "'sink: dense' writes base + update and needs 'base_model'",
                place: sink.place.description, hint: "base_model names a folder or a file with the weights of the base")
        }
        let base = try stage.baseModel.map { written -> Checkpoint in
            do {
                return try Checkpoint.require(path: OperandResolution.path(written.value, in: folder))
            } catch let failure as Failure {
                var copy = failure
                copy.hint = "with full weights, base_model names a folder or a file (safetensors)"
                copy.place = copy.place ?? written.place.description
                throw copy
            }
        }
        var plan = CheckpointPlan(
            base: base, operands: resolution.checkpoints, others: stage.others, ignore: stage.ignore)
        if let base, let adapter = resolution.operands.first(where: { !$0.adapter.modules.isEmpty }) {
            plan.modulePrefix = ModuleNames.matching(adapter.adapter, base).prefix
        }
        return plan
    }

    /// The modules of a stage over full weights: every tensor of numbers that an operand has.
    func plannedTensors(
        _ checkpoint: CheckpointPlan, _ resolution: OperandResolution, _ notes: inout [PlanNote]
    ) throws -> (modules: [ModulePlan], names: [String]) {
        let union = try TensorUnion(checkpoint, operands: resolution.operands)
        let layers = LayerPositions(
            modules: union.sites.map(\.name), index: LayerIndex(pattern: stage.layerPattern),
            overWholeModel: stage.compatibility == .mergekit)
        var planner = ModulePlanner(
            stage: stage, registry: registry, resolution: resolution,
            parameters: ParameterResolution(stage: stage, layers: layers, folder: folder))
        var modules: [ModulePlan] = []
        for site in union.sites where isPlanned(site, checkpoint) {
            let use = try planner.baseUse(at: site.name)
            try checkBase(use, checkpoint, site)
            planner.extraOperands = use == .operand && checkpoint.base != nil ? 1 : 0
            var holders = site.holders
            if use == .operand, let base = checkpoint.base {
                // The base takes part by itself: naming it among the models too says the same again.
                holders = holders.filter { !(checkpoint.operands[$0]?.isSame(as: base) ?? false) }
            }
            if let module = try planner.plan(site.name, present: holders) { modules.append(module) }
        }
        notes += planner.notes
        return (modules, union.sites.map(\.name))
    }

    private func isPlanned(_ site: TensorSite, _ checkpoint: CheckpointPlan) -> Bool {
        guard site.isNumeric, stage.filters.admits(tensor: site.name) else { return false }
        return checkpoint.base == nil || site.base != nil
    }

    private func checkBase(_ use: BaseUse, _ checkpoint: CheckpointPlan, _ site: TensorSite) throws {
        guard checkpoint.base == nil, use == .required || use == .beside else { return }
        throw Failure(
            .recipeBadParameter, "'\(stage.method.value)' works on updates: full weights need 'base_model'",
            place: stage.method.place.description,
            hint: "add base_model: the folder or file that the models were tuned from")
    }
}

extension OperandResolution {
    /// A path as a recipe writes it.
    static func path(_ reference: String, in folder: String) -> String {
        let written = reference.hasPrefix("path:") ? String(reference.dropFirst("path:".count)) : reference
        return written.hasPrefix("/") || folder.isEmpty ? written : folder + "/" + written
    }

    /// True where a name of the catalogue cannot be meant.
    static func isPath(_ reference: String) -> Bool {
        ["/", "./", "../", "path:"].contains(where: reference.hasPrefix)
    }
}

extension ModuleFilters {
    /// A pattern for modules admits their tensors too: `*.q_proj` means `….q_proj.weight`.
    func admits(tensor name: String) -> Bool {
        (include.isEmpty || include.contains { $0.matches(tensor: name) })
            && !exclude.contains { $0.matches(tensor: name) }
    }
}

extension ModulePattern {
    /// Matches the tensor's name, or that of its module.
    func matches(tensor name: String) -> Bool {
        if matches(name) { return true }
        for ending in [".weight", ".bias"] where name.hasSuffix(ending) {
            return matches(String(name.dropLast(ending.count)))
        }
        return false
    }
}
