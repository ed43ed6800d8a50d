import Diagnostics
import Governance

/// How a list is ordered; `name` puts versions of a name behind each other.
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
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Adapters that fit a query such as `task:cifar state:approved rank<=8 acc>0.7 "class incremental"`.
    ///
    /// - Throws: `usage.bad_query` with a suggestion for an unknown field.
    public func find(_ query: String, sort: SortOrder = SortOrder(key: .name)) throws -> [AdapterRow] {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }

    /// Everything about the one adapter that a reference names.
    ///
    /// - Throws: `reference.not_found`, `reference.ambiguous`.
    public func show(_ reference: String) throws -> AdapterDetail {
        throw Failure(.internalDefect, "banks are under construction", path: folder)
    }
}
