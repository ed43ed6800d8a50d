import Bank
import ContinualLearning
import Diagnostics
import Foundation

/// Enters the adapters of a run into the bank, with lineage, tags and metrics.
struct CilAdapters {
    let session: Session

    /// - Returns: `name@version` of each, in the order of tasks; none without a bank.
    func enter(_ adapters: [ExportedAdapter], _ outcome: RunOutcome) throws -> [String] {
        let bank: Bank
        do { bank = try session.bank(writing: true) } catch let failure as Failure
            where failure.code == .bankMissing && session.settings.bank.value == nil
        { return [] }
        var entered: [String] = []
        var parents: [String: LineageParent] = [:]
        for adapter in adapters {
            let row = try store(adapter, outcome, bank, parents: adapter.parents.compactMap { parents[$0] })
            entered.append(row.reference)
            let role = adapter.role == "slow" ? "previous" : adapter.role
            parents[adapter.key] = LineageParent(object: row.object, reference: row.reference, role: role)
            try bank.record(metrics(adapter, outcome), for: row.reference)
        }
        return entered
    }

    private func metrics(_ adapter: ExportedAdapter, _ outcome: RunOutcome) -> [Metric] {
        let matrix = outcome.main?.matrix
        let values: [(String, String, Double?)] = [
            ("val", "acc_task_mean", adapter.valAccuracy),
            ("test", "acc_seen", adapter.role == "fast" ? nil : matrix?.accuracySeen(after: adapter.task)),
        ]
        return values.compactMap { split, name, value in
            value.map {
                Metric(
                    dataset: "cil-\(outcome.runID)", split: split, name: name, value: $0, step: adapter.task,
                    run: outcome.runID)
            }
        }
    }

    private func store(
        _ adapter: ExportedAdapter, _ outcome: RunOutcome, _ bank: Bank, parents: [LineageParent]
    ) throws -> AdapterRow {
        let workspace = try bank.workspace()
        for file in try FileManager.default.contentsOfDirectory(atPath: adapter.folder).sorted()
        where !file.hasPrefix(".") {
            try FileManager.default.copyItem(
                atPath: adapter.folder + "/" + file, toPath: workspace.folder + "/" + file)
        }
        let tags = [
            Tag(key: "cil"), Tag(key: "role", value: adapter.role), Tag(key: "task", value: "\(adapter.task)"),
            Tag(key: "run", value: outcome.runID),
        ]
        return try workspace.commit(
            BankProduct(
                name: "cil-\(outcome.runID)-\(adapter.key)", source: .trainedHere, tags: tags, parents: parents,
                title: adapter.description)
        ).row
    }
}
