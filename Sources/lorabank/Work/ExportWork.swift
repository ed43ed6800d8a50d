import Bank
import Diagnostics
import Reports
import WeightFiles

/// `export`: the files of an adapter, in a folder that appears complete or not at all.
struct ExportWork {
    let session: Session
    let allowUnapproved: Bool

    struct Outcome {
        var reference: String
        var path: String
        var files: [BankExport.File]
        var dryRun: Bool

        var document: JSONValue {
            .document(
                "export",
                [
                    .init("adapter", .string(reference)), .init("path", .string(path)),
                    .init("format", .string("peft")),
                    .init(
                        "files",
                        .array(
                            files.map {
                                .object([
                                    .init("name", .string($0.name)), .init("size", .integer($0.size)),
                                    .init("original", .bool($0.isOriginal)),
                                ])
                            })),
                    .init("dry_run", .bool(dryRun)),
                ])
        }

        func text(_ session: Session) -> String {
            let size = Quantities.bytes(files.reduce(0) { $0 + $1.size })
            let verb = dryRun ? "would export" : "exported"
            return "\(verb) \(session.shown(reference)) to \(session.shown(path)): \(files.count) files, \(size)\n"
        }
    }

    func export(_ reference: String, to path: String, replacing: Bool, dryRun: Bool) throws -> Outcome {
        let bank = try session.bank()
        let row = try bank.row(for: reference)
        if row.state == .pending { session.note("'\(row.reference)' is pending: nobody has approved it yet") }
        let export = try BankExport(bank, row, allowUnapproved: allowUnapproved)
        if !dryRun { try export.write(to: path, overwrite: replacing) }
        return Outcome(reference: row.reference, path: path, files: export.files, dryRun: dryRun)
    }
}
