import Diagnostics
import GRDB
import Governance

/// An operation that `undo` reverted.
public struct UndoneOperation: Sendable, Hashable {
    /// `tag`, `rm`, `approve`, ….
    public var action: String
    /// `name@version`.
    public var subject: String
    /// When it was done; RFC 3339, UTC.
    public var at: String
}

extension Bank {
    /// Reverts the newest batch of changes that was not reverted yet: tags, notes, aliases, removals, decisions,
    /// imports. Called again, it goes one batch further back.
    ///
    /// - Returns: what was reverted, newest first; empty when there is nothing to revert.
    /// - Throws: `state.not_allowed` when the newest change cannot be reverted (a revocation, a pruned object).
    public func undo() throws -> [UndoneOperation] {
        let lock = try FileLock.acquire(layout.lock, .shared, timeout: lockTimeout)
        defer { lock.release() }
        var dropped: [String] = []
        let undone = try change { change in
            let batch = try JournalEntry.newestBatch(change.db)
            for entry in batch { dropped += try revert(entry, in: change) }
            guard let newest = batch.first else { return [UndoneOperation]() }
            let subjects = Set(batch.map(\.subject))
            let sequence = try change.record(
                "undo", subject: subjects.count == 1 ? newest.subject : "",
                details: ["rows": batch.map { String($0.auditRow) }.joined(separator: " ")])
            for entry in batch {
                try change.db.execute(
                    sql: "UPDATE operation SET undone_by = ? WHERE id = ?", arguments: [sequence, entry.id])
            }
            return batch.map { UndoneOperation(action: $0.action, subject: $0.subject, at: $0.at) }
        }
        try discardObjects(dropped)
        return undone
    }

    /// What `undo` would revert, newest first.
    public func undoable() throws -> [UndoneOperation] {
        try catalogue.read { db in
            try JournalEntry.newestBatch(db).map { UndoneOperation(action: $0.action, subject: $0.subject, at: $0.at) }
        }
    }

    /// Takes the steps back; returns the objects that may have come out of use.
    private func revert(_ entry: JournalEntry, in change: CatalogueChange) throws -> [String] {
        guard let inverse = entry.inverse else {
            throw Failure(
                .stateNotAllowed, "the last change cannot be undone: \(entry.action) of '\(entry.subject)'",
                hint: "a revocation is final; import the adapter again as a new version")
        }
        var dropped: [String] = []
        for step in try InverseStep.steps(from: inverse) {
            if case .restore(let adapter) = step { try bringBackObject(of: adapter, change.db) }
            if let object = try change.revert(step) { dropped.append(object) }
        }
        return dropped
    }

    /// - Throws: `state.not_allowed` when the object was pruned.
    private func bringBackObject(of adapter: Int64, _ db: Database) throws {
        guard let row = try AdapterRow.fetch(db, id: adapter) else { return }
        guard try store.bringBack(row.object) else {
            throw Failure(
                .stateNotAllowed, "the removal of '\(row.reference)' cannot be undone: its object was pruned",
                hint: "import the adapter again")
        }
    }
}

/// An operation that was not undone yet.
private struct JournalEntry {
    var id: Int64
    var action: String
    var subject: String
    var inverse: String?
    var at: String
    var auditRow: Int

    /// Newest first.
    static func newestBatch(_ db: Database) throws -> [JournalEntry] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT id, action, subject, inverse, at, audit_seq FROM operation
                WHERE undone_by IS NULL AND batch =
                  (SELECT batch FROM operation WHERE undone_by IS NULL ORDER BY id DESC LIMIT 1)
                ORDER BY id DESC
                """)
        return rows.map {
            JournalEntry(id: $0[0], action: $0[1], subject: $0[2], inverse: $0[3], at: $0[4], auditRow: $0[5])
        }
    }
}

extension CatalogueChange {
    /// Takes one step back; returns an object that may have come out of use.
    fileprivate func revert(_ step: InverseStep) throws -> String? {
        switch step {
        case .removeTag(let adapter, let key, let value):
            try db.execute(
                sql: "DELETE FROM tag WHERE adapter_id = ? AND key = ? AND value = ?", arguments: [adapter, key, value])
            try SearchIndex.refresh(adapter, in: db)
        case .addTag(let adapter, let key, let value):
            try db.execute(
                sql: "INSERT OR IGNORE INTO tag (adapter_id, key, value) VALUES (?,?,?)",
                arguments: [adapter, key, value])
            try SearchIndex.refresh(adapter, in: db)
        case .removeNote(let adapter, let note):
            try db.execute(sql: "DELETE FROM note WHERE id = ?", arguments: [note])
            try SearchIndex.refresh(adapter, in: db)
        case .setAlias(let namespace, let name, let alias, let adapter):
            try putAlias(namespace: namespace, name: name, alias: alias, adapter: adapter)
        case .restore(let adapter):
            try db.execute(sql: "UPDATE adapter SET removed_at = NULL WHERE id = ?", arguments: [adapter])
        case .remove(let adapter):
            let object = try AdapterRow.fetch(db, id: adapter)?.object
            try db.execute(sql: "DELETE FROM alias WHERE adapter_id = ?", arguments: [adapter])
            try db.execute(sql: "UPDATE adapter SET removed_at = ? WHERE id = ?", arguments: [at, adapter])
            return object
        case .setState(let adapter, let state, let approval):
            try db.execute(
                sql: "UPDATE adapter SET state = ? WHERE id = ?", arguments: [state.rawValue, adapter])
            try db.execute(sql: "UPDATE approval SET undone = 1 WHERE id = ?", arguments: [approval])
        }
        return nil
    }
}
