import Diagnostics
import Foundation
import GRDB

extension Bank {
    private static func key(_ kind: BankResource.Kind, _ name: String) -> String {
        "resource/\(kind.rawValue)/\(name)"
    }

    /// Every backbone or data set of the bank, sorted by name.
    public func resources(_ kind: BankResource.Kind) throws -> [BankResource] {
        let prefix = Bank.key(kind, "")
        let rows = try catalogue.read { db in
            try Row.fetchAll(
                db, sql: "SELECT key, value FROM setting WHERE substr(key, 1, ?) = ? ORDER BY key",
                arguments: [prefix.count, prefix])
        }
        return try rows.map { row in
            let key: String = row[0]
            return try BankResource(
                kind: kind, name: String(key.dropFirst(prefix.count)), text: row[1], layout: layout)
        }
    }

    /// One backbone or data set; nil when the bank does not know the name.
    public func resource(_ kind: BankResource.Kind, named name: String) throws -> BankResource? {
        let text = try catalogue.read { db in
            try String.fetchOne(db, sql: "SELECT value FROM setting WHERE key = ?", arguments: [Bank.key(kind, name)])
        }
        return try text.map { try BankResource(kind: kind, name: name, text: $0, layout: layout) }
    }

    /// Brings a folder into the bank under a name. The caller has made sure that it is what it should be.
    ///
    /// - Parameters:
    ///   - linked: remember where the folder is instead of copying it.
    ///   - parents: adapters of this bank that it needs.
    ///   - replacing: whether the name may pass to other content.
    /// - Throws: `output.exists` when the name stands for other content, `usage.bad_argument` for an impossible name,
    ///   `bank.read_only`, `bank.locked`, `io.*`.
    public func importResource(
        _ kind: BankResource.Kind, from folder: String, named name: String, linked: Bool = false,
        replacing: Bool = false, parents: [BankResource.Parent] = [],
        progress: any Diagnostics.ProgressReporting = SilentProgress()
    ) throws -> BankResource {
        try requireWritable()
        try AdapterName.check(name, in: name)
        let files = try ResourceFiles(folder: folder, kind: kind, progress: progress)
        let source = URL(fileURLWithPath: folder).standardizedFileURL.path
        let place = linked ? source : layout.resourceFolder(kind, files.digest)
        if !linked, FileCalls.facts(place) == nil { try files.copy(to: place, progress: progress) }
        return try change { change in
            let known = try String.fetchOne(
                change.db, sql: "SELECT value FROM setting WHERE key = ?", arguments: [Bank.key(kind, name)])
            if let known {
                let old = try BankResource(kind: kind, name: name, text: known, layout: layout)
                if old.digest == files.digest, old.isLinked == linked, old.folder == place { return old }
                guard replacing else {
                    throw Failure(
                        .outputExists, "the bank has a \(kind.rawValue) '\(name)' already, with other content",
                        hint: "choose another --name, or replace it with --force")
                }
            }
            var resource = BankResource(
                kind: kind, name: name, folder: place, isLinked: linked, digest: files.digest,
                files: files.files.count, bytes: files.bytes, importedAt: change.at, importedBy: change.actor)
            resource.parents = parents
            try change.db.execute(
                sql: "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)",
                arguments: [Bank.key(kind, name), resource.json.text()])
            try change.record(
                "\(kind.rawValue)-import", subject: name,
                details: [
                    "digest": files.digest, "files": String(files.files.count), "linked": String(linked),
                    "parents": parents.map(\.reference).joined(separator: " "),
                ].filter { !$0.value.isEmpty })
            return resource
        }
    }

    /// Routers that need an adapter's object, sorted by name.
    public func routers(using object: String) throws -> [BankResource] {
        try resources(.router).filter { $0.parents.contains { $0.object == object } }
    }
}
