import Diagnostics
import GRDB
import Governance

/// How a list is ordered; equal rows stand by (name, version).
public struct SortOrder: Sendable, Hashable {
    public enum Key: String, Sendable, CaseIterable {
        case name, version, state, base, rank, modules, parameters, bytes, created
    }

    public var key: Key
    public var descending: Bool

    public init(key: Key, descending: Bool = false) {
        self.key = key
        self.descending = descending
    }

    /// Reads `created` or `-created` (falling).
    ///
    /// - Throws: `usage.bad_argument`.
    public init(parsing text: String) throws {
        let descending = text.hasPrefix("-")
        let word = descending ? String(text.dropFirst()) : text
        guard let key = Key(rawValue: word) else {
            let names = Key.allCases.map(\.rawValue)
            throw Failure(
                .usageBadArgument, "unknown sort key '\(word)'",
                hint: Spelling.hint(for: word, among: names) ?? "use one of " + names.joined(separator: ", "))
        }
        self.init(key: key, descending: descending)
    }

    /// The ORDER BY clause over `a` and `b`.
    var clause: String {
        let direction = descending ? " DESC" : ""
        let name = AdapterRow.nameExpression
        switch key {
        case .name: return "\(name)\(direction), a.version\(direction)"
        case .created: return "a.created_at\(direction), a.id\(direction)"
        default: return "\(column)\(direction), \(name), a.version"
        }
    }

    private var column: String {
        switch key {
        case .name: AdapterRow.nameExpression
        case .version: "a.version"
        case .state: "a.state"
        case .base: "b.name"
        case .rank: "a.rank_max"
        case .modules: "a.modules"
        case .parameters: "a.parameters"
        case .bytes: "a.bytes"
        case .created: "a.created_at"
        }
    }
}

/// Which adapters a list shows.
public struct ListFilter: Sendable {
    /// All of them must hold.
    public var tags: [TagFilter]
    /// Empty: any.
    public var states: [ApprovalState]
    public var sort: SortOrder

    public init(tags: [TagFilter] = [], states: [ApprovalState] = [], sort: SortOrder = SortOrder(key: .name)) {
        self.tags = tags
        self.states = states
        self.sort = sort
    }
}

extension Bank {
    /// The adapters of the bank, all versions, without removed ones.
    public func list(_ filter: ListFilter = ListFilter()) throws -> [AdapterRow] {
        var conditions = filter.tags.map(\.condition)
        var arguments = filter.tags.map(\.arguments).reduce(StatementArguments(), +)
        if !filter.states.isEmpty {
            conditions.append("a.state IN (\(filter.states.map { _ in "?" }.joined(separator: ",")))")
            arguments += StatementArguments(filter.states.map(\.rawValue))
        }
        let condition = conditions.isEmpty ? "1" : conditions.joined(separator: " AND ")
        return try catalogue.read { db in
            try AdapterRow.fetch(db, where: condition, arguments, order: filter.sort.clause)
        }
    }

    /// Adapters that fit a query such as `task:cifar state:approved rank<=8 acc>0.7 "class incremental"`.
    ///
    /// Every term must hold; `-` before a term turns it round. The fields are those of ``FindField``, the keys of tags
    /// and the names of metrics. Words are looked for in names, titles, descriptions, tags, notes and module names.
    /// - Throws: `usage.bad_query` with a suggestion for an unknown field.
    public func find(_ query: String, sort: SortOrder = SortOrder(key: .name)) throws -> [AdapterRow] {
        let terms = try FindQuery(parsing: query).terms
        return try catalogue.read { db in
            let vocabulary = try FindVocabulary(db)
            let conditions = try terms.map { try FindCondition(term: $0, vocabulary: vocabulary) }
            let condition = conditions.isEmpty ? "1" : conditions.map(\.sql).joined(separator: " AND ")
            let arguments = conditions.map(\.arguments).reduce(StatementArguments(), +)
            return try AdapterRow.fetch(db, where: condition, arguments, order: sort.clause)
        }
    }

    /// Everything about the one adapter that a reference names.
    ///
    /// The facts come from the catalogue; when the object is missing or damaged, only `files` is empty.
    /// - Throws: `reference.not_found`, `reference.ambiguous`.
    public func show(_ reference: String) throws -> AdapterDetail {
        try catalogue.read { db in
            let row = try ReferenceResolver(db: db).row(for: reference)
            return AdapterDetail(
                row: row, modules: try ModuleFacts.of(row.id, db), lineage: try Lineage.edges(of: row.id, db),
                metrics: try Metric.of(row.id, db), findings: try Findings.of(row.id, db),
                notes: try Note.of(row.id, db), aliases: try aliases(of: row.id, db),
                decisions: try DecisionRecord.of(row.id, db), recipe: try RecipeRecord.of(row.id, db),
                files: (try? store.manifest(of: row.object).files) ?? [])
        }
    }

    private func aliases(of adapter: Int64, _ db: Database) throws -> [String] {
        try String.fetchAll(
            db, sql: "SELECT alias FROM alias WHERE adapter_id = ? ORDER BY alias", arguments: [adapter])
    }
}
