import Bank
import ContinualLearning
import Diagnostics
import Foundation

/// Enters the adapters of a run into the bank, with lineage, tags and metrics.
struct CilAdapters {
    let session: Session
    let configuration: RunConfiguration

    /// - Returns: `name@version` of each, in the order of tasks; none without a bank.
    func enter(_ outcome: RunOutcome) throws -> [String] {
        let bank: Bank
        do { bank = try session.bank(writing: true) } catch let failure as Failure
            where failure.code == .bankMissing && session.settings.bank.value == nil
        { return [] }
        let run = identifier(outcome)
        var entered: [String] = []
        var previousSlow: LineageParent?
        for task in 0..<outcome.matrix.taskCount {
            let root = outcome.folder + "/checkpoints/task-\(task)/adapters"
            var parents = previousSlow.map { [$0] } ?? []
            for role in ["fast", "mid", "slow"] {
                let source = "\(root)/\(role)-\(task)"
                guard FileManager.default.fileExists(atPath: source) else { continue }
                let name = "\(run)-\(role)-\(task)"
                let result = try store(
                    bank, source, name: name, role: role, task: task, run: run, parents: role == "fast" ? [] : parents)
                entered.append(result.reference)
                let parent = LineageParent(object: result.object, reference: result.reference, role: role)
                if role == "slow" { previousSlow = parent } else { parents.append(parent) }
                let metric = outcome.matrix[after: task, on: task]
                try bank.record(
                    [
                        metric.map {
                            Metric(dataset: "cil \(run)", split: "test", name: "acc_task_\(task)", value: $0, n: 1)
                        }
                    ]
                    .compactMap { $0 }, for: result.reference)
            }
        }
        return entered
    }

    private func store(
        _ bank: Bank, _ source: String, name: String, role: String, task: Int, run: String, parents: [LineageParent]
    ) throws -> AdapterRow {
        let workspace = try bank.workspace()
        for file in try FileManager.default.contentsOfDirectory(atPath: source).sorted() {
            try FileManager.default.copyItem(atPath: source + "/" + file, toPath: workspace.folder + "/" + file)
        }
        let tags = [
            Tag(key: "cil", value: ""), Tag(key: "role", value: role), Tag(key: "task", value: "\(task)"),
            Tag(key: "run", value: run),
        ]
        return try workspace.commit(
            BankProduct(
                name: name, source: .trainedHere, tags: tags, parents: parents,
                title: "\(configuration.structure.rawValue) \(role) after task \(task)")
        ).row
    }

    /// Letters, digits and dashes of the run's folder, with the seed when there are several.
    private func identifier(_ outcome: RunOutcome) -> String {
        var folder = URL(fileURLWithPath: outcome.folder).standardizedFileURL
        if folder.lastPathComponent == "seed-\(outcome.seed)" { folder = folder.deletingLastPathComponent() }
        return AdapterName.proposal(from: folder.lastPathComponent + "-s\(outcome.seed)")
    }
}
