import Bank
import Diagnostics
import Foundation
import Reports
import WeightFiles

extension Session {
    /// Runs one change over several references: goes on after a failure, reports each, and prints what changed. All
    /// changes of one command are undone together.
    func change(
        _ command: String, _ references: [String], dryRun: Bool, verb: String, infinitive: String,
        _ work: (Bank, _ reference: String, _ batch: String) throws -> [AdapterRow]
    ) throws {
        let bank = try bank(writing: !dryRun)
        let batch = UUID().uuidString.lowercased()
        var changed: [AdapterRow] = []
        for reference in references {
            do {
                changed += dryRun ? try bank.rows(for: reference) : try work(bank, reference, batch)
            } catch {
                report(Program.failure(from: error))
            }
        }
        result(
            .document(
                command,
                [
                    .init("adapters", .array(changed.map { .object(AdapterDocument.row($0)) })),
                    .init("dry_run", .bool(dryRun)),
                ])
        ) {
            changed.map { "\(dryRun ? "would \(infinitive)" : verb) \(shown($0.reference)) (\($0.state.rawValue))\n" }
                .joined()
        }
    }

    /// Prints catalogue rows as `list` does.
    func list(_ rows: [AdapterRow], command: String, whenEmpty: String) {
        result(.document(command, [.init("adapters", .array(rows.map { .object(AdapterDocument.row($0)) }))])) {
            rows.isEmpty ? "" : rendered(AdapterTable.of(rows))
        }
        if rows.isEmpty, !options.json { note(whenEmpty) }
    }

    /// Foreign text for people.
    func shown(_ text: String) -> String { ForeignText.escaped(text) }
}
