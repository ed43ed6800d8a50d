/// An adapter with the name under which a recipe or a command found it.
public struct NamedAdapter: Sendable {
    /// Name in the bank, or the last path component without extension.
    public var name: String
    /// Version in the bank; nil for a path.
    public var version: Int?
    /// SHA-256 of the bank's object (64 hex digits); nil for a path.
    public var object: String?
    /// The reference as the user wrote it.
    public var reference: String
    public var adapter: Adapter

    public init(name: String, version: Int?, object: String?, reference: String, adapter: Adapter) {
        self.name = name
        self.version = version
        self.object = object
        self.reference = reference
        self.adapter = adapter
    }
}

/// Where merging gets its operands: a bank, or plain folders and files.
public protocol AdapterLibrary: Sendable {
    /// The adapters that a reference names, in a fixed order: one for `name`, `name@3`, `name:alias`, `id:<hex>`,
    /// `path:<folder or file>` and plain paths; any number, sorted by (name, version), for `tag:key=value`.
    ///
    /// - Parameter folder: where relative paths start.
    /// - Throws: `reference.not_found`, `reference.ambiguous`, `policy.*`, and whatever reading the adapter throws.
    func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter]
}
