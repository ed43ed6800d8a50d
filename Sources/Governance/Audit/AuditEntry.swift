import Digests
import WeightFiles

/// One row of the audit log.
///
/// `hash = SHA-256(prev ‖ canonical JSON of {seq, at, actor, action, subject, details})`; `prev` is the hash of the row
/// before, for row 1 the SHA-256 of the bank's id.
public struct AuditEntry: Sendable, Hashable {
    /// 1, 2, 3, … without gaps.
    public var sequence: Int
    /// RFC 3339, UTC.
    public var at: String
    /// User name of the process.
    public var actor: String
    /// `import`, `tag`, `approve`, …
    public var action: String
    /// What was changed, e.g. `vit-cifar@3`; empty for the bank itself.
    public var subject: String
    /// Canonical JSON.
    public var details: String
    /// 32 bytes.
    public var previous: [UInt8]
    /// 32 bytes.
    public var hash: [UInt8]

    public init(
        sequence: Int, at: String, actor: String, action: String, subject: String, details: String,
        previous: [UInt8], hash: [UInt8]
    ) {
        self.sequence = sequence
        self.at = at
        self.actor = actor
        self.action = action
        self.subject = subject
        self.details = details
        self.previous = previous
        self.hash = hash
    }
}
