import Diagnostics
import GRDB

/// Finds the catalogue rows that a reference names.
struct ReferenceResolver {
    let db: Database

    /// - Throws: `reference.not_found`, `reference.ambiguous`, `usage.bad_argument` for a path.
    func rows(for text: String) throws -> [AdapterRow] { try rows(for: AdapterReference(parsing: text), written: text) }

    /// The one row that a reference names.
    func row(for text: String) throws -> AdapterRow {
        let rows = try rows(for: text)
        guard rows.count == 1, let row = rows.first else { throw ReferenceResolver.ambiguous(text, rows) }
        return row
    }

    func rows(for reference: AdapterReference, written text: String) throws -> [AdapterRow] {
        switch reference {
        case .name(let namespace, let name, let version):
            return [try named(namespace, name, version, text)]
        case .alias(let namespace, let name, let alias):
            return [try aliased(namespace, name, alias, text)]
        case .object(let prefix):
            return [try object(prefix, text)]
        case .tag(let filter):
            let rows = try AdapterRow.fetch(db, where: filter.condition, filter.arguments)
            guard rows.isEmpty else { return rows }
            throw notFound(text, "no adapter has this tag", hint: try tagHint(filter))
        case .path:
            throw Failure(
                .usageBadArgument, "'\(text)' is a path; this command works on adapters of the bank",
                hint: "bring it in with 'lorabank import'")
        }
    }

    private func named(_ namespace: String, _ name: String, _ version: Int?, _ text: String) throws -> AdapterRow {
        let versions = try AdapterRow.fetch(
            db, where: "a.namespace = ? AND a.name = ?", [namespace, name], order: "a.version DESC")
        guard let newest = versions.first else { throw notFound(text, "no such adapter", hint: try nameHint(text)) }
        guard let version else { return newest }
        guard let row = versions.first(where: { $0.version == version }) else {
            let known = versions.map { String($0.version) }.reversed().joined(separator: ", ")
            throw notFound(text, "there is no version \(version)", hint: "'\(newest.name)' has version \(known)")
        }
        return row
    }

    private func aliased(_ namespace: String, _ name: String, _ alias: String, _ text: String) throws -> AdapterRow {
        let row = try AdapterRow.fetch(
            db,
            where: """
                a.id = (SELECT adapter_id FROM alias WHERE namespace = ? AND name = ? AND alias = ?)
                """, [namespace, name, alias]
        ).first
        if let row { return row }
        let aliases = try String.fetchAll(
            db, sql: "SELECT alias FROM alias WHERE namespace = ? AND name = ? ORDER BY alias",
            arguments: [namespace, name])
        let exists = try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM adapter WHERE namespace = ? AND name = ? AND removed_at IS NULL)",
            arguments: [namespace, name])
        guard exists == true else { throw notFound(text, "no such adapter", hint: try nameHint(text)) }
        let hint = Spelling.hint(for: alias, among: aliases)
        let known = aliases.isEmpty ? "it has no aliases" : "its aliases are \(aliases.joined(separator: ", "))"
        throw notFound(text, "it has no alias '\(alias)'", hint: hint ?? known)
    }

    /// Several names of one object count as one: the first that came.
    private func object(_ prefix: String, _ text: String) throws -> AdapterRow {
        let rows = try AdapterRow.fetch(
            db, where: "a.object >= ? AND a.object < ?", [prefix, prefix + "g"], order: "a.id")
        guard let first = rows.first else { throw notFound(text, "no adapter has this content id", hint: nil) }
        guard rows.allSatisfy({ $0.object == first.object }) else { throw ReferenceResolver.ambiguous(text, rows) }
        return first
    }

    static func ambiguous(_ text: String, _ rows: [AdapterRow]) -> Failure {
        let candidates = rows.map(\.reference).sorted()
        let shown = candidates.prefix(8).joined(separator: ", ") + (candidates.count > 8 ? ", …" : "")
        return Failure(
            .referenceAmbiguous, "'\(text)' names \(rows.count) adapters, one is needed", hint: "name one of \(shown)",
            details: ["candidates": candidates.joined(separator: " ")])
    }

    private func notFound(_ text: String, _ reason: String, hint: String?) -> Failure {
        Failure(.referenceNotFound, "no adapter '\(text)': \(reason)", hint: hint ?? "'lorabank list' shows all")
    }

    private func nameHint(_ text: String) throws -> String? {
        let word = String(text.prefix { $0 != "@" && $0 != ":" })
        let names = try String.fetchAll(
            db, sql: "SELECT DISTINCT \(AdapterRow.nameExpression) FROM adapter a WHERE a.removed_at IS NULL")
        return Spelling.hint(for: word, among: names)
    }

    private func tagHint(_ filter: TagFilter) throws -> String? {
        let live = "adapter_id IN (SELECT id FROM adapter WHERE removed_at IS NULL)"
        if let value = filter.value {
            let values = try String.fetchAll(
                db, sql: "SELECT DISTINCT value FROM tag WHERE key = ? AND \(live) ORDER BY value",
                arguments: [filter.key])
            if let hint = Spelling.hint(for: value, among: values) { return hint }
            if !values.isEmpty {
                return "values of '\(filter.key)' are " + values.prefix(8).joined(separator: ", ")
            }
        }
        let keys = try String.fetchAll(db, sql: "SELECT DISTINCT key FROM tag WHERE \(live)")
        return Spelling.hint(for: filter.key, among: keys)
    }
}

extension TagFilter {
    /// An SQL expression over `a` with its arguments.
    var condition: String {
        "EXISTS (SELECT 1 FROM tag t WHERE t.adapter_id = a.id AND t.key = ?"
            + (value == nil ? ")" : " AND t.value = ?)")
    }

    var arguments: StatementArguments { value.map { [key, $0] } ?? [key] }
}
