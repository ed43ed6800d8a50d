import Governance

/// One adapter version as lists show it: facts of the catalogue, no weights.
public struct AdapterRow: Sendable, Hashable, Identifiable {
    public var id: Int64
    /// `local` unless the name was given as `namespace/name`.
    public var namespace: String
    public var shortName: String
    public var version: Int
    /// SHA-256 of the archive (64 hexadecimal digits).
    public var object: String
    public var deltaID: String
    /// `lora`, or `dora` when magnitudes make the update more than a plain delta.
    public var kind: String
    /// Layout of the files as they came: `peft`, ….
    public var format: String
    /// `import`, `merge` or `trained-here`.
    public var source: String
    /// Path that the user named at import.
    public var origin: String?
    public var state: ApprovalState
    public var baseModel: String
    public var baseRevision: String
    public var rankMin: Int
    public var rankMax: Int
    /// Number of adapted modules.
    public var modules: Int
    /// Numbers stored in the factors.
    public var parameters: Int
    /// Size of the adapter's files together.
    public var bytes: Int
    /// Element type of the factors as safetensors names it (`F32`); `mixed` when they differ.
    public var dtype: String
    /// Key → values, both sorted; a key alone has the value "".
    public var tags: [String: [String]]
    /// RFC 3339, UTC.
    public var createdAt: String
    /// User who brought it in.
    public var createdBy: String
    public var title: String?
    public var description: String?
    public var licence: String?
    public var author: String?

    /// `name`, or `namespace/name` outside the namespace `local`.
    public var name: String { namespace == AdapterName.localNamespace ? shortName : namespace + "/" + shortName }

    /// `name@version`: names this row and no other.
    public var reference: String { "\(name)@\(version)" }
}

/// A tag: a key with a value, or a key alone (empty value).
public struct Tag: Sendable, Hashable, Comparable {
    public var key: String
    public var value: String

    public init(key: String, value: String = "") {
        self.key = key
        self.value = value
    }

    public static func < (a: Tag, b: Tag) -> Bool { (a.key, a.value) < (b.key, b.value) }

    /// `K=V`, or `K` for an empty value.
    public var text: String { value.isEmpty ? key : key + "=" + value }
}

/// A condition on tags: this key with this value, or (nil) with any value.
public struct TagFilter: Sendable, Hashable {
    public var key: String
    public var value: String?

    public init(key: String, value: String? = nil) {
        self.key = key
        self.value = value
    }

    /// `K=V`, or `K` for any value.
    public var text: String { value.map { key + "=" + $0 } ?? key }

    /// Reads `K=V`, or `K` for any value.
    ///
    /// - Throws: `usage.bad_argument`.
    public init(parsing text: String) throws {
        let tag = try Tag(parsing: text)
        self.init(key: tag.key, value: text.contains("=") ? tag.value : nil)
    }
}
