import Adapters
import Diagnostics
import Evaluation
import Foundation
import Networks
import Tensors
import WeightFiles

/// One memory of a run as an adapter in a PEFT folder (cil-engine 17).
public struct ExportedAdapter: Sendable {
    /// `fast`, `mid`, `slow`.
    public var role: String
    public var task: Int
    public var folder: String
    /// `adapters/fast-3` as key of lineage.
    public var key: String
    /// Keys of what it was made from: slow@t ← slow@t−1 + fast@t.
    public var parents: [String]
    /// Accuracy on validation samples of all tasks seen, after the task.
    public var valAccuracy: Double?
    public var description: String
}

extension ContinualRun {
    /// Writes fast@t, mid@t and slow@t of every task as adapters with the head beside them.
    ///
    /// fast@t is what the task trained, before consolidation; slow@t and mid@t are what it left.
    public func exportAdapters() throws -> [ExportedAdapter] {
        var result: [ExportedAdapter] = []
        var previousSlow: String?
        for task in plan.tasks.indices {
            var parents: [String] = []
            let roles = TaskRoles(
                configuration, task: task, slots: max(1, state.memory.fast.count), hasSlow: true)
            if !roles.lanes.isEmpty, FileManager.default.fileExists(atPath: paths.pre(task)) {
                let before = try loadState(paths.pre(task))
                let lane = before.memory.lastTrained ?? roles.lanes[0]
                if let slot = before.memory[.fast(lane)] {
                    result.append(try export(slot, "fast", task, before.head, parents: []))
                    parents.append("fast-\(task)")
                }
            }
            guard configuration.structure.hasSlow, FileManager.default.fileExists(atPath: paths.task(task)) else {
                continue
            }
            let after = try loadState(paths.task(task))
            if let mid = after.memory.mid, try after.memory.norm(of: .mid) > 0 {
                result.append(try export(mid, "mid", task, after.head, parents: parents))
                parents.append("mid-\(task)")
            }
            if let slow = after.memory.slow, try after.memory.norm(of: .slow) > 0 {
                let all = (previousSlow.map { [$0] } ?? []) + parents
                result.append(try export(slow, "slow", task, after.head, parents: all))
                previousSlow = "slow-\(task)"
            }
        }
        return result
    }

    func loadState(_ path: String) throws -> RunState {
        let fresh = try RunState(
            configuration, plan: plan, backbone: loaded.backbone.description, tasks: plan.count)
        var checkpoint = try LoadedCheckpoint(path: path)
        try checkpoint.restore(fresh)
        return fresh
    }

    private func export(
        _ slot: LoRASlot<Float>, _ role: String, _ task: Int, _ head: SharedHead, parents: [String]
    ) throws -> ExportedAdapter {
        let folder = "\(paths.adapters)/\(role)-\(task)"
        var adapter = try Self.adapter(
            slot, backbone: loaded.backbone.description, base: Self.baseName(configuration.suite))
        adapter.head = try adapterHead(head, seen: plan.seen(after: task))
        try DurableFiles.createFolders(paths.adapters)
        try PEFTWriter.write(adapter, to: folder, overwrite: true)
        let row = state.validationRows.indices.contains(task) ? state.validationRows[task] : []
        return ExportedAdapter(
            role: role, task: task, folder: folder, key: "\(role)-\(task)", parents: parents,
            valAccuracy: row.isEmpty ? nil : row.reduce(0, +) / Double(row.count),
            description:
                "\(configuration.structure.rawValue) \(role) after task \(task) (\(plan.names[task])), rule \(rule)")
    }

    /// Last part of the backbone's name or folder.
    static func baseName(_ suite: Suite) -> String {
        suite.backbone.value.split(separator: "/").last.map(String.init) ?? suite.backbone.value
    }

    /// The head in the class order of the data, as suites with `head: {from: adapter}` read it. Classes that were not
    /// seen get a bias that no score reaches.
    private func adapterHead(_ head: SharedHead, seen: Int) throws -> AdapterHead {
        let classes = loaded.dataset.classNames.count
        let width = runner.width
        var weight = [Float](repeating: 0, count: classes * width)
        var bias = [Float](repeating: -10_000, count: classes)
        for row in 0..<seen {
            let label = plan.order[row]
            let values = Array(head.rows.weights(of: row..<row + 1))
            let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let factor = configuration.head.cosine && norm > 0 ? Float(configuration.head.kappa) / norm : 1
            for i in 0..<width { weight[label * width + i] = values[i] * factor }
            bias[label] = head.rows.bias[row]
        }
        return AdapterHead(
            weight: try Checkpoint.tensor("weight", [classes, width], weight),
            bias: try Checkpoint.tensor("bias", [classes], bias))
    }

    /// What task `task` trained, before consolidation, without its head.
    ///
    /// - Returns: nil where no adapter learned.
    func taskAdapter(_ task: Int) throws -> Adapter? {
        let roles = TaskRoles(configuration, task: task, slots: max(1, state.memory.fast.count), hasSlow: true)
        guard !roles.lanes.isEmpty, FileManager.default.fileExists(atPath: paths.pre(task)) else { return nil }
        let before = try loadState(paths.pre(task))
        guard let slot = before.memory[.fast(before.memory.lastTrained ?? roles.lanes[0])] else { return nil }
        return try Self.adapter(
            slot, backbone: loaded.backbone.description, base: Self.baseName(configuration.suite))
    }

    /// A slot under the module names of its backbone.
    static func adapter(
        _ slot: LoRASlot<Float>, backbone: BackboneDescription, base: String
    ) throws -> Adapter {
        let naming = backbone.siteMap.namings.first { naming in
            slot.sites.allSatisfy { backbone.siteMap.module(for: $0, naming: naming.name) != nil }
        }
        guard let naming else {
            throw Failure(.internalDefect, "no naming of the backbone has all adapted sites", place: slot.name)
        }
        let modules = try slot.pairs.map { pair -> LoRAModule in
            let name = backbone.siteMap.module(for: pair.site, naming: naming.name) ?? "\(pair.site)"
            return LoRAModule(
                name: name, kind: .linear, dOut: pair.outputs, dIn: pair.inputs, rank: pair.rank, scale: pair.scale,
                alpha: pair.scale * Double(pair.rank),
                a: try Checkpoint.tensor("\(name).lora_A.weight", [pair.rank, pair.inputs], slot.a(pair)),
                b: try Checkpoint.tensor("\(name).lora_B.weight", [pair.outputs, pair.rank], slot.b(pair)),
                deltaShape: [pair.outputs, pair.inputs])
        }
        return Adapter(
            modules: modules.sorted { Array($0.name.utf8).lexicographicallyPrecedes(Array($1.name.utf8)) },
            saved: [], base: BaseIdentity(name: base), format: "peft", configuration: .null, findings: [])
    }
}
