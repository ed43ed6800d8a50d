import Diagnostics
import Governance

/// How an adapter is brought into a bank.
public struct ImportOptions: Sendable {
    /// `[namespace/]name`; nil: made from the folder or file name. Other content under an existing name becomes the
    /// next version.
    public var name: String?
    public var tags: [Tag] = []
    /// Name of the base model: replaces the configured one.
    public var base: String?
    /// `alpha` of weights without a configuration.
    public var alpha: Double?
    /// Scale of weights without a configuration; wins over `alpha`.
    public var scale: Double?
    /// Take ranks from the tensors where the configuration says another.
    public var trustTensors = false
    /// Which adapter of an archive that holds several.
    public var select: String?
    /// Changes with the same batch are undone together; nil: a batch of its own.
    public var batch: String?
    /// Workers of the inspection.
    public var threads = 2

    public init() {}
}

/// What an import (or a stored result) came to.
public struct ImportOutcome: Sendable {
    public var row: AdapterRow
    public var findings: [Finding]
    /// The same content was in the bank already: no new object was stored.
    public var alreadyPresent: Bool
    /// The same update is in the bank under another object, e.g. in another format (`name@version`s).
    public var sameDelta: [String]

    public var name: String { row.name }
    public var version: Int { row.version }
    public var object: String { row.object }
    public var deltaID: String { row.deltaID }
    public var state: ApprovalState { row.state }
    public var baseModel: String { row.baseModel }
    public var format: String { row.format }
}
