import Adapters
import Diagnostics
import Settings
import Tensors

/// The operands of a stage: references resolved, tags expanded, results of earlier stages as outlines.
struct OperandResolution {
    private(set) var operands: [NamedAdapter] = []
    /// For each operand the entry of `models` that names it.
    private(set) var entries: [Int] = []
    private(set) var pending: [Int: String] = [:]
    /// Operands that are full weights, not adapters.
    private(set) var checkpoints: [Int: Checkpoint] = [:]
    private(set) var notes: [PlanNote] = []

    init(_ stage: RecipeStage, folder: String, library: any AdapterLibrary, earlier: [StagePlan]) throws {
        for (index, model) in stage.models.enumerated() {
            if model.isStage {
                guard let plan = earlier.first(where: { $0.name == model.reference.value }) else {
                    throw Failure(
                        .recipeBadParameter, "there is no stage '\(model.reference.value)'",
                        place: model.reference.place.description)
                }
                pending[operands.count] = plan.name
                if plan.checkpoint == nil {
                    add(AdapterOutline.operand(of: plan), entry: index)
                } else {
                    let outline = try CheckpointOutline.checkpoint(of: plan)
                    add(outline, reference: "stage:" + plan.name, entry: index)
                }
                continue
            }
            if let checkpoint = try checkpoint(model.reference, folder, library) {
                add(checkpoint, reference: model.reference.value, entry: index)
                continue
            }
            for found in try resolve(model.reference, folder, library) { add(found, entry: index) }
        }
        for index in operands.indices { leaveOut(stage.ignore, from: index) }
        noteDuplicates(stage)
    }

    private mutating func add(_ operand: NamedAdapter, entry: Int) {
        operands.append(operand)
        entries.append(entry)
    }

    private mutating func add(_ checkpoint: Checkpoint, reference: String, entry: Int) {
        checkpoints[operands.count] = checkpoint
        add(checkpoint.operand(reference: reference), entry: entry)
    }

    /// Full weights at a path. A name of the catalogue wins over a path of the same spelling.
    private func checkpoint(
        _ reference: Located<String>, _ folder: String, _ library: any AdapterLibrary
    ) throws -> Checkpoint? {
        let path = OperandResolution.path(reference.value, in: folder)
        do {
            guard let found = try Checkpoint.open(path: path) else { return nil }
            guard OperandResolution.isPath(reference.value) || library is PathLibrary else {
                let named = try? library.adapters(for: reference.value, relativeTo: folder)
                return named?.isEmpty ?? true ? found : nil
            }
            return found
        } catch let failure as Failure {
            var copy = failure
            copy.place = copy.place ?? reference.place.description
            throw copy
        }
    }

    private func resolve(
        _ reference: Located<String>, _ folder: String, _ library: any AdapterLibrary
    ) throws -> [NamedAdapter] {
        do {
            let found = try library.adapters(for: reference.value, relativeTo: folder)
            guard !found.isEmpty else {
                throw Failure(
                    .referenceNotFound, "'\(reference.value)' names no adapter",
                    hint: "`lorabank list --tag K=V` shows what a tag matches")
            }
            return found
        } catch let failure as Failure {
            var copy = failure
            copy.place = copy.place ?? reference.place.description
            throw copy
        }
    }

    private mutating func leaveOut(_ patterns: [ModulePattern], from index: Int) {
        guard !patterns.isEmpty else { return }
        operands[index].adapter.modules.removeAll { module in patterns.contains { $0.matches(module.name) } }
        operands[index].adapter.saved.removeAll { tensor in patterns.contains { $0.matches(tensor.name) } }
    }

    /// Allowed (weights add up for weighted sums), but rarely meant.
    private mutating func noteDuplicates(_ stage: RecipeStage) {
        var seen: [String: Int] = [:]
        for (index, operand) in operands.enumerated() {
            let identity = pending[index].map { "stage:" + $0 } ?? OperandResolution.identity(operand)
            if seen.updateValue(index, forKey: identity) != nil {
                notes.append(
                    PlanNote(
                        code: "recipe.duplicate_adapter", message: "'\(operand.name)' takes part more than once",
                        place: stage.models[entries[index]].reference.place.description))
            }
        }
    }

    private static func identity(_ operand: NamedAdapter) -> String {
        if let object = operand.object { return "object:" + object }
        let digests = operand.adapter.fileDigests.sorted { $0.key < $1.key }.map { $0.value.hex }
        return digests.isEmpty ? "reference:" + operand.reference : "files:" + digests.joined()
    }
}

/// Stands for the result of a stage that has not run yet: modules with shapes, rank 0, no weights.
enum AdapterOutline {
    private final class NoMemory: Sendable {}

    static func operand(of plan: StagePlan) -> NamedAdapter {
        let modules = plan.modules.compactMap { module -> LoRAModule? in
            for operand in module.operands {
                let adapter = plan.operands[operand.operand].adapter
                if let source = adapter.modules.first(where: { $0.name == module.module }) { return outline(source) }
            }
            return nil
        }
        let first = plan.operands.first?.adapter
        let adapter = Adapter(
            modules: modules, saved: [], base: first?.base ?? BaseIdentity(name: ""), format: "peft",
            configuration: .null, findings: [])
        return NamedAdapter(
            name: plan.name, version: nil, object: nil, reference: "stage:" + plan.name, adapter: adapter)
    }

    private static func outline(_ module: LoRAModule) -> LoRAModule {
        var copy = module
        copy.rank = 0
        copy.scale = 1
        copy.a = nothing(module.a.name, [0, module.dIn])
        copy.b = nothing(module.b.name, [module.dOut, 0])
        copy.bias = nil
        return copy
    }

    private static func nothing(_ name: String, _ shape: [Int]) -> TensorView {
        TensorView(
            name: name, dtype: .f32, shape: shape, bytes: UnsafeRawBufferPointer(start: nil, count: 0),
            owner: NoMemory())
    }
}
