import Diagnostics
import GRDB

extension Bank {
    /// Takes adapters out of the catalogue; an object that no other adapter uses moves to `trash/` until `gc --prune`.
    ///
    /// Their lineage and decisions stay on record, and their version numbers are not used again.
    /// - Returns: the rows as they were.
    /// - Throws: `reference.*`, `bank.read_only`, `bank.locked`.
    @discardableResult
    public func remove(_ reference: String, batch: String? = nil) throws -> [AdapterRow] {
        let lock = try FileLock.acquire(layout.lock, .shared, timeout: lockTimeout)
        defer { lock.release() }
        let rows = try change(batch: batch) { change in
            let rows = try ReferenceResolver(db: change.db).rows(for: reference)
            for row in rows { try change.remove(row, action: "rm") }
            return rows
        }
        try discardObjects(rows.map(\.object))
        return rows
    }

    /// Moves objects that no adapter uses any more to the trash.
    ///
    /// The move happens inside a write transaction of its own: an import that takes an object into use does so under
    /// the same lock, and looks whether the object is still there.
    func discardObjects(_ objects: [String]) throws {
        for object in Set(objects).sorted() {
            try catalogue.write { db in
                guard try !CatalogueChange.isInUse(object, db) else { return }
                try store.discard(object)
            }
        }
    }
}

extension CatalogueChange {
    /// Marks one adapter as removed, together with its aliases.
    func remove(_ row: AdapterRow, action: String) throws {
        let aliases = try Row.fetchAll(
            db, sql: "SELECT namespace, name, alias FROM alias WHERE adapter_id = ? ORDER BY alias",
            arguments: [row.id])
        try db.execute(sql: "DELETE FROM alias WHERE adapter_id = ?", arguments: [row.id])
        try db.execute(sql: "UPDATE adapter SET removed_at = ? WHERE id = ?", arguments: [at, row.id])
        let steps: [InverseStep] =
            [.restore(adapter: row.id)]
            + aliases.map { .setAlias(namespace: $0[0], name: $0[1], alias: $0[2], adapter: row.id) }
        try record(action, subject: row.reference, details: ["object": row.object], undo: steps)
    }

    /// Whether an adapter that is not removed uses the object.
    static func isInUse(_ object: String, _ db: Database) throws -> Bool {
        try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM adapter WHERE object = ? AND removed_at IS NULL)",
            arguments: [object]) ?? false
    }
}
