import Diagnostics
import GRDB

extension Bank {
    /// Sets tags on every adapter that the reference names. Tags that are set already stay.
    ///
    /// - Parameter batch: changes with the same batch are undone together; nil: a batch of its own.
    /// - Returns: the rows afterwards.
    /// - Throws: `reference.*`, `bank.read_only`, `bank.locked`.
    @discardableResult
    public func tag(_ reference: String, _ tags: [Tag], batch: String? = nil) throws -> [AdapterRow] {
        try edit(reference, batch: batch) { change, row in try change.addTags(tags, to: row) }
    }

    /// Removes tags; a filter without a value removes every value of the key.
    ///
    /// - Throws: as ``tag(_:_:batch:)``, and `reference.not_found` when no adapter had any of them.
    @discardableResult
    public func untag(_ reference: String, _ tags: [TagFilter], batch: String? = nil) throws -> [AdapterRow] {
        var removed = 0
        return try edit(
            reference, batch: batch, { change, row in removed += try change.removeTags(tags, from: row) },
            after: {
                guard removed == 0 else { return }
                let names = tags.map { "'\($0.text)'" }.joined(separator: ", ")
                throw Failure(
                    .referenceNotFound, "'\(reference)' has no tag \(names)",
                    hint: "lorabank show \(reference)")
            })
    }

    /// Adds a remark.
    ///
    /// - Throws: as ``tag(_:_:batch:)``, and `usage.bad_argument` for an empty or over-long text (64 KiB).
    @discardableResult
    public func note(_ reference: String, _ text: String, batch: String? = nil) throws -> [AdapterRow] {
        guard !text.isEmpty, text.utf8.count <= 64 << 10 else {
            throw Failure(.usageBadArgument, "a note has 1 to 65,536 bytes")
        }
        return try edit(reference, batch: batch) { change, row in try change.addNote(text, to: row) }
    }

    /// Lets `name:alias` mean the version that the reference names; moves the alias when it exists.
    ///
    /// - Throws: as ``tag(_:_:batch:)``, `reference.ambiguous`, `usage.bad_argument` for an alias that is no name.
    @discardableResult
    public func alias(_ reference: String, _ alias: String, batch: String? = nil) throws -> AdapterRow {
        let (namespace, alias) = try AdapterName.parse(alias)
        guard namespace == AdapterName.localNamespace else {
            throw Failure(.usageBadArgument, "an alias has no '/'")
        }
        return try change(batch: batch) { change in
            let row = try ReferenceResolver(db: change.db).row(for: reference)
            try change.setAlias(alias, to: row)
            return row
        }
    }

    /// Removes the alias `name:alias`.
    ///
    /// - Returns: the adapter that it meant.
    @discardableResult
    public func unalias(_ reference: String, batch: String? = nil) throws -> AdapterRow {
        guard case .alias(let namespace, let name, let alias) = try AdapterReference(parsing: reference) else {
            throw Failure(.usageBadArgument, "'\(reference)' names no alias", hint: "write name:alias")
        }
        return try change(batch: batch) { change in
            let row = try ReferenceResolver(db: change.db).row(for: reference)
            try change.dropAlias(namespace: namespace, name: name, alias: alias, of: row)
            return row
        }
    }

    /// Resolves a reference inside a transaction and changes each adapter that it names.
    func edit(
        _ reference: String, batch: String?, _ body: (CatalogueChange, AdapterRow) throws -> Void,
        after: () throws -> Void = {}
    ) throws -> [AdapterRow] {
        try change(batch: batch) { change in
            let rows = try ReferenceResolver(db: change.db).rows(for: reference)
            for row in rows { try body(change, row) }
            try after()
            return try rows.compactMap { try AdapterRow.fetch(change.db, id: $0.id) }
        }
    }
}

extension CatalogueChange {
    /// Sets the tags that the adapter lacks; no audit row when it has all.
    func addTags(_ tags: [Tag], to row: AdapterRow) throws {
        let missing = Set(tags).subtracting(row.allTags).sorted()
        guard !missing.isEmpty else { return }
        for tag in missing {
            try db.execute(
                sql: "INSERT INTO tag (adapter_id, key, value) VALUES (?,?,?)", arguments: [row.id, tag.key, tag.value])
        }
        try SearchIndex.refresh(row.id, in: db)
        try record(
            "tag", subject: row.reference, details: ["tags": missing.map(\.text).joined(separator: " ")],
            undo: missing.map { .removeTag(adapter: row.id, key: $0.key, value: $0.value) })
    }

    /// Returns how many tags were removed.
    func removeTags(_ filters: [TagFilter], from row: AdapterRow) throws -> Int {
        let doomed = row.allTags.filter { tag in
            filters.contains { $0.key == tag.key && ($0.value == nil || $0.value == tag.value) }
        }
        guard !doomed.isEmpty else { return 0 }
        for tag in doomed {
            try db.execute(
                sql: "DELETE FROM tag WHERE adapter_id = ? AND key = ? AND value = ?",
                arguments: [row.id, tag.key, tag.value])
        }
        try SearchIndex.refresh(row.id, in: db)
        try record(
            "untag", subject: row.reference, details: ["tags": doomed.map(\.text).joined(separator: " ")],
            undo: doomed.map { .addTag(adapter: row.id, key: $0.key, value: $0.value) })
        return doomed.count
    }

    func addNote(_ text: String, to row: AdapterRow) throws {
        try db.execute(
            sql: "INSERT INTO note (adapter_id, text, actor, at) VALUES (?,?,?,?)",
            arguments: [row.id, text, actor, at])
        let note = db.lastInsertedRowID
        try SearchIndex.refresh(row.id, in: db)
        try record(
            "note", subject: row.reference, details: ["text": text],
            undo: [.removeNote(adapter: row.id, note: note)])
    }

    func setAlias(_ alias: String, to row: AdapterRow) throws {
        let before = try Int64.fetchOne(
            db, sql: "SELECT adapter_id FROM alias WHERE namespace = ? AND name = ? AND alias = ?",
            arguments: [row.namespace, row.shortName, alias])
        guard before != row.id else { return }
        try putAlias(namespace: row.namespace, name: row.shortName, alias: alias, adapter: row.id)
        try record(
            "alias", subject: row.reference, details: ["alias": alias],
            undo: [.setAlias(namespace: row.namespace, name: row.shortName, alias: alias, adapter: before)])
    }

    func dropAlias(namespace: String, name: String, alias: String, of row: AdapterRow) throws {
        try putAlias(namespace: namespace, name: name, alias: alias, adapter: nil)
        try record(
            "unalias", subject: row.reference, details: ["alias": alias],
            undo: [.setAlias(namespace: namespace, name: name, alias: alias, adapter: row.id)])
    }

    /// Points an alias at an adapter; nil: removes it.
    func putAlias(namespace: String, name: String, alias: String, adapter: Int64?) throws {
        guard let adapter else {
            return try db.execute(
                sql: "DELETE FROM alias WHERE namespace = ? AND name = ? AND alias = ?",
                arguments: [namespace, name, alias])
        }
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO alias (namespace, name, alias, adapter_id, set_at) VALUES (?,?,?,?,?)
                """, arguments: [namespace, name, alias, adapter, at])
    }
}

extension AdapterRow {
    /// Sorted by (key, value).
    public var allTags: [Tag] {
        tags.sorted { $0.key < $1.key }.flatMap { key, values in values.map { Tag(key: key, value: $0) } }
    }
}
