import GRDB

/// Keeps the full-text tables in step with an adapter's row, tags, notes and modules. Called inside the transaction
/// that changes any of them.
enum SearchIndex {
    /// Writes the entry of one adapter anew.
    static func refresh(_ adapter: Int64, in db: Database) throws {
        for table in ["adapter_fts", "adapter_trigram"] {
            try db.cachedStatement(sql: "DELETE FROM \(table) WHERE rowid = ?").execute(arguments: [adapter])
        }
        let words = try moduleWords(of: adapter, in: db)
        let texts = """
            SELECT id, CASE namespace WHEN 'local' THEN name ELSE namespace || '/' || name END,
              coalesce(title, ''), coalesce(description, ''),
              coalesce((SELECT group_concat(key || ' ' || value, ' ') FROM tag WHERE adapter_id = adapter.id), ''),
              coalesce((SELECT group_concat(text, ' ') FROM note WHERE adapter_id = adapter.id), '')
            """
        try db.cachedStatement(
            sql: """
                INSERT INTO adapter_fts (rowid, name, title, description, tags, notes, modules)
                \(texts), ? FROM adapter WHERE id = ?
                """
        ).execute(arguments: [words, adapter])
        try db.cachedStatement(
            sql: """
                INSERT INTO adapter_trigram (rowid, name, title, description, tags, notes)
                \(texts) FROM adapter WHERE id = ?
                """
        ).execute(arguments: [adapter])
    }

    /// The different parts of the module names: `layers.0.q_proj`, `layers.1.q_proj` → `0 1 layers q_proj`. Keeps the
    /// index small for adapters with hundreds of modules.
    private static func moduleWords(of adapter: Int64, in db: Database) throws -> String {
        var words: Set<Substring> = []
        let statement = try db.cachedStatement(sql: "SELECT name FROM module WHERE adapter_id = ?")
        for name in try String.fetchAll(statement, arguments: [adapter]) {
            words.formUnion(name.split(separator: ".").map { Substring(String($0)) })
        }
        return words.sorted().joined(separator: " ")
    }
}
