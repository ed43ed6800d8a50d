import Adapters
import Bank
import Diagnostics
import Foundation
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
        guard let rows = try session.catalogued(reference) else {
            return try exportFile(reference, to: path, replacing: replacing, dryRun: dryRun)
        }
        let bank = try session.bank()
        let row = rows.count == 1 ? rows[0] : try bank.row(for: reference)
        if row.state == .pending { session.note("'\(row.reference)' is pending: nobody has approved it yet") }
        let export = try BankExport(bank, row, allowUnapproved: allowUnapproved)
        if dryRun {
            try refuseExisting(path, replacing: replacing)
        } else {
            try export.write(to: path, overwrite: replacing)
        }
        return Outcome(reference: row.reference, path: path, files: export.files, dryRun: dryRun)
    }

    /// Writes an adapter outside the bank in the standard form of PEFT, whatever form it has.
    private func exportFile(_ reference: String, to path: String, replacing: Bool, dryRun: Bool) throws -> Outcome {
        let found = try PathLibrary().adapters(for: reference, relativeTo: FileManager.default.currentDirectoryPath)
        if dryRun {
            try refuseExisting(path, replacing: replacing)
            return Outcome(reference: reference, path: path, files: [], dryRun: true)
        }
        let folder = try AtomicFolder(path: path, overwrite: replacing)
        for adapter in found { _ = try PEFTWriter.write(adapter.adapter, into: folder.temporaryPath) }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.temporaryPath).sorted()
        let files = names.map { name in
            let facts = try? FileManager.default.attributesOfItem(atPath: folder.file(name))
            return BankExport.File(name: name, size: (facts?[.size] as? Int) ?? 0, isOriginal: false)
        }
        try folder.commit()
        return Outcome(reference: reference, path: path, files: files, dryRun: false)
    }

    /// A dry run fails where the export itself would.
    private func refuseExisting(_ path: String, replacing: Bool) throws {
        let isEmpty = (try? FileManager.default.contentsOfDirectory(atPath: path).isEmpty) ?? false
        guard replacing || isEmpty || !FileManager.default.fileExists(atPath: path) else {
            throw Failure(.outputExists, "it exists already", path: path, hint: "choose another path, or add --force")
        }
    }
}
