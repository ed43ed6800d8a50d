import Diagnostics
import Foundation
import GRDB
import Governance

/// One term of a query as an SQL condition over `a` (adapter) and `b` (base_model). Values are always arguments, never
/// part of the SQL.
struct FindCondition {
    var sql: String
    var arguments: StatementArguments

    /// - Throws: `usage.bad_query`.
    init(term: FindQuery.Term, vocabulary: FindVocabulary) throws {
        self =
            if let name = term.field {
                try FindCondition.field(name, term, vocabulary)
            } else {
                FindCondition.words(term.value, isPhrase: term.isPhrase)
            }
        if term.isNegated { sql = "NOT (\(sql))" }
    }

    private init(_ sql: String, _ arguments: StatementArguments) {
        self.sql = sql
        self.arguments = arguments
    }

    /// Fields of the catalogue first, then keys of tags, then metrics.
    private static func field(
        _ name: String, _ term: FindQuery.Term, _ vocabulary: FindVocabulary
    ) throws -> FindCondition {
        if let field = FindField(rawValue: name) { return try known(field, term) }
        if vocabulary.tagKeys.contains(name) { return try tag(name, term) }
        if vocabulary.isMetric(name) { return try metric(name, term) }
        throw Failure(
            .usageBadQuery, "unknown field '\(name)'", place: term.text,
            hint: Spelling.hint(for: name, among: vocabulary.words)
                ?? "fields are \(FindField.allCases.map(\.rawValue).joined(separator: ", ")), tags and metrics")
    }

    private static func known(_ field: FindField, _ term: FindQuery.Term) throws -> FindCondition {
        switch field {
        case .name: try contained(AdapterRow.nameExpression, term)
        case .base: try contained("b.name", term)
        case .title: try contained("coalesce(a.title, '')", term)
        case .description: try contained("coalesce(a.description, '')", term)
        case .origin: try contained("coalesce(a.origin, '')", term)
        case .note: try among("note x WHERE x.adapter_id = a.id", "x.text", term)
        case .module: try among("module x WHERE x.adapter_id = a.id", "x.name", term)
        case .state: try state(term)
        case .format: try exact("a.format", term)
        case .kind: try exact("a.kind", term)
        case .dtype: try exact("a.dtype", term)
        case .source: try exact("a.source", term)
        case .author: try exact("coalesce(a.author, '')", term)
        case .licence: try exact("coalesce(a.licence, '')", term)
        case .tag: try tagTerm(term)
        case .alias: try exactAmong("alias x WHERE x.adapter_id = a.id", "x.alias", term)
        case .finding: try finding(term)
        case .object, .id: try prefix("a.object", term)
        case .parent: try relative("l.child_id = a.id AND p.id = l.parent_id", term)
        case .child: try relative("l.parent_id = a.id AND p.id = l.child_id", term)
        case .rank: try rank(term)
        case .modules: try number("a.modules", term)
        case .parameters: try number("a.parameters", term)
        case .bytes: try number("a.bytes", term)
        case .version: try number("a.version", term)
        case .created: time("a.created_at", term)
        }
    }
}

// MARK: Kinds of fields

extension FindCondition {
    /// Part of a text, without regard to case (ASCII letters).
    private static func contained(_ column: String, _ term: FindQuery.Term) throws -> FindCondition {
        let condition = FindCondition("\(column) LIKE ? ESCAPE '\\'", [likePattern(term.value)])
        switch term.comparison {
        case .has, .equal: return condition
        case .notEqual: return FindCondition("NOT (\(condition.sql))", condition.arguments)
        default: throw noOrder(term)
        }
    }

    private static func exact(_ column: String, _ term: FindQuery.Term) throws -> FindCondition {
        switch term.comparison {
        case .has, .equal: FindCondition("\(column) = ? COLLATE NOCASE", [term.value])
        case .notEqual: FindCondition("\(column) <> ? COLLATE NOCASE", [term.value])
        default: throw noOrder(term)
        }
    }

    private static func prefix(_ column: String, _ term: FindQuery.Term) throws -> FindCondition {
        guard term.comparison == .has || term.comparison == .equal else { throw noOrder(term) }
        return FindCondition("substr(\(column), 1, ?) = ?", [term.value.count, term.value.lowercased()])
    }

    private static func among(_ source: String, _ column: String, _ term: FindQuery.Term) throws -> FindCondition {
        let inner = try contained(column, term)
        return FindCondition("EXISTS (SELECT 1 FROM \(source) AND \(inner.sql))", inner.arguments)
    }

    private static func exactAmong(_ source: String, _ column: String, _ term: FindQuery.Term) throws -> FindCondition {
        let inner = try exact(column, term)
        return FindCondition("EXISTS (SELECT 1 FROM \(source) AND \(inner.sql))", inner.arguments)
    }

    private static func number(_ column: String, _ term: FindQuery.Term) throws -> FindCondition {
        FindCondition("\(column) \(operatorText(term)) ?", [try value(of: term)])
    }

    /// Times are texts of one form, so that they compare as text; `:` means "begins with".
    private static func time(_ column: String, _ term: FindQuery.Term) -> FindCondition {
        if term.comparison == .has || term.comparison == .equal {
            return FindCondition("substr(\(column), 1, ?) = ?", [term.value.count, term.value])
        }
        return FindCondition("\(column) \(operatorText(term)) ?", [term.value])
    }

    /// "At most 8" must hold for the largest rank of the adapter, "at least 8" for the smallest.
    private static func rank(_ term: FindQuery.Term) throws -> FindCondition {
        let number = try value(of: term)
        switch term.comparison {
        case .has, .equal: return FindCondition("(a.rank_min = ? AND a.rank_max = ?)", [number, number])
        case .notEqual: return FindCondition("NOT (a.rank_min = ? AND a.rank_max = ?)", [number, number])
        case .less, .lessOrEqual: return FindCondition("a.rank_max \(operatorText(term)) ?", [number])
        case .greater, .greaterOrEqual: return FindCondition("a.rank_min \(operatorText(term)) ?", [number])
        }
    }

    private static func state(_ term: FindQuery.Term) throws -> FindCondition {
        let names = ApprovalState.allCases.map(\.rawValue)
        guard names.contains(term.value.lowercased()) else {
            throw Failure(
                .usageBadQuery, "unknown state '\(term.value)'", place: term.text,
                hint: Spelling.hint(for: term.value, among: names) ?? "states are \(names.joined(separator: ", "))")
        }
        return try exact("a.state", term)
    }

    private static func finding(_ term: FindQuery.Term) throws -> FindCondition {
        guard term.comparison == .has || term.comparison == .equal else { throw noOrder(term) }
        return FindCondition(
            """
            EXISTS (SELECT 1 FROM finding x WHERE x.adapter_id = a.id
              AND (x.code = ? OR substr(x.code, 1, instr(x.code, '.') - 1) = ?))
            """, [term.value, term.value])
    }

    private static func relative(_ join: String, _ term: FindQuery.Term) throws -> FindCondition {
        guard term.comparison == .has || term.comparison == .equal else { throw noOrder(term) }
        let name = AdapterRow.nameExpression.replacingOccurrences(of: "a.", with: "p.")
        return FindCondition(
            """
            EXISTS (SELECT 1 FROM lineage l JOIN adapter p ON \(join)
              WHERE \(name) = ? OR \(name) || '@' || p.version = ?)
            """, [term.value, term.value])
    }

    private static func tagTerm(_ term: FindQuery.Term) throws -> FindCondition {
        guard term.comparison == .has || term.comparison == .equal else { throw noOrder(term) }
        do {
            let filter = try TagFilter(parsing: term.value)
            return FindCondition(filter.condition, filter.arguments)
        } catch let failure as Failure {
            throw Failure(.usageBadQuery, failure.message, place: term.text, hint: "write tag:key or tag:key=value")
        }
    }

    /// `key:value` is equality; `<` and the like compare values that are numbers.
    private static func tag(_ key: String, _ term: FindQuery.Term) throws -> FindCondition {
        let source = "EXISTS (SELECT 1 FROM tag t WHERE t.adapter_id = a.id AND t.key = ? AND "
        switch term.comparison {
        case .has, .equal: return FindCondition(source + "t.value = ?)", [key, term.value])
        case .notEqual: return FindCondition("NOT " + source + "t.value = ?)", [key, term.value])
        default:
            return FindCondition(
                source + "t.value GLOB '*[0-9]*' AND CAST(t.value AS REAL) \(operatorText(term)) ?)",
                [key, try value(of: term)])
        }
    }

    /// `acc` stands for `acc_global` too. Any stored value of the metric may fit.
    private static func metric(_ name: String, _ term: FindQuery.Term) throws -> FindCondition {
        let second = name == "acc" ? "acc_global" : name
        return FindCondition(
            """
            EXISTS (SELECT 1 FROM metric m WHERE m.adapter_id = a.id AND m.name IN (?, ?)
              AND m.value \(operatorText(term)) ?)
            """, [name, second, try value(of: term)])
    }

    // MARK: Words

    /// Words as a whole or by their beginning; any part of three characters or more for scripts without spaces; shorter
    /// ones by looking at every text.
    private static func words(_ text: String, isPhrase: Bool) -> FindCondition {
        let quoted = "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
        let full = "a.id IN (SELECT rowid FROM adapter_fts WHERE adapter_fts MATCH ?)"
        let indexable = text.unicodeScalars.contains { $0.properties.isAlphabetic || $0.properties.numericType != nil }
        var parts: [String] = []
        var arguments = StatementArguments()
        if indexable {
            parts.append(full)
            arguments += [isPhrase ? quoted : quoted + "*"]
        }
        if text.unicodeScalars.count >= 3 {
            parts.append("a.id IN (SELECT rowid FROM adapter_trigram WHERE adapter_trigram MATCH ?)")
            arguments += [quoted]
        } else {
            parts.append(
                """
                \(AdapterRow.nameExpression) LIKE ? ESCAPE '\\' OR coalesce(a.title, '') LIKE ? ESCAPE '\\'
                  OR coalesce(a.description, '') LIKE ? ESCAPE '\\'
                  OR EXISTS (SELECT 1 FROM tag t WHERE t.adapter_id = a.id
                    AND (t.key LIKE ? ESCAPE '\\' OR t.value LIKE ? ESCAPE '\\'))
                  OR EXISTS (SELECT 1 FROM note n WHERE n.adapter_id = a.id AND n.text LIKE ? ESCAPE '\\')
                """)
            arguments += StatementArguments([String](repeating: likePattern(text), count: 6))
        }
        return FindCondition("(" + parts.joined(separator: " OR ") + ")", arguments)
    }

    // MARK: Pieces

    private static func likePattern(_ text: String) -> String {
        "%" + text.map { "%_\\".contains($0) ? "\\\($0)" : String($0) }.joined() + "%"
    }

    private static func operatorText(_ term: FindQuery.Term) -> String {
        switch term.comparison {
        case .has, .equal: "="
        case .notEqual: "<>"
        default: term.comparison.rawValue
        }
    }

    private static func value(of term: FindQuery.Term) throws -> Double {
        let units: [(String, Double)] = [
            ("kib", 1024), ("mib", 1_048_576), ("gib", 1_073_741_824), ("kb", 1e3), ("mb", 1e6), ("gb", 1e9),
            ("k", 1e3), ("m", 1e6), ("g", 1e9), ("%", 0.01),
        ]
        let lower = term.value.lowercased()
        let unit = units.first { lower.hasSuffix($0.0) }
        let digits = lower.dropLast(unit?.0.count ?? 0)
        guard let number = Double(digits), number.isFinite else {
            throw Failure(.usageBadQuery, "'\(term.value)' is no number", place: term.text)
        }
        return number * (unit?.1 ?? 1)
    }

    private static func noOrder(_ term: FindQuery.Term) -> Failure {
        Failure(
            .usageBadQuery, "'\(term.field ?? "")' cannot be compared with '\(term.comparison.rawValue)'",
            place: term.text, hint: "write \(term.field ?? ""):\(term.value)")
    }
}
