import Diagnostics
import Governance
import Reports
import WeightFiles

/// Rows of the audit log as JSON and as a table.
enum AuditDocument {
    static func entry(_ entry: AuditEntry) -> JSONValue {
        .object([
            .init("seq", .integer(entry.sequence)), .init("at", .string(entry.at)),
            .init("actor", .string(entry.actor)),
            .init("action", .string(entry.action)), .init("subject", .string(entry.subject)),
            .init("details", .string(entry.details)), .init("hash", .string(Hexadecimal.text(entry.hash))),
        ])
    }

    static func table(_ entries: [AuditEntry]) -> TerminalTable {
        var table = TerminalTable([
            .number("SEQ"), .text("WHEN"), .text("WHO", shrinks: true), .text("ACTION"),
            .text("SUBJECT", shrinks: true),
            .text("DETAILS", shrinks: true),
        ])
        for entry in entries {
            table.add(["\(entry.sequence)", entry.at, entry.actor, entry.action, entry.subject, entry.details])
        }
        return table
    }
}
