import Adapters
import Diagnostics
import Governance

extension Bank {
    /// The catalogue rows that a reference names: one for `name` (newest version), `name@3`, `name:alias`, `id:<hex>`;
    /// any number, sorted by (name, version), for `tag:key=value` and `tag:key`. Reads no weights and applies no policy.
    ///
    /// - Throws: `reference.not_found` with the nearest names, `reference.ambiguous` with the candidates,
    ///   `usage.bad_argument` for `path:` references.
    public func rows(for reference: String) throws -> [AdapterRow] {
        throw Failure(.referenceNotFound, "banks are under construction", path: folder)
    }

    /// The one catalogue row that a reference names.
    ///
    /// - Throws: as ``rows(for:)``; `reference.ambiguous` when a tag names several.
    public func row(for reference: String) throws -> AdapterRow {
        throw Failure(.referenceNotFound, "banks are under construction", path: folder)
    }
}

/// The bank as a source of operands: opens weights in place in the object store and applies the bank's policy.
public struct BankLibrary: AdapterLibrary {
    public let bank: Bank
    /// Lets pending adapters pass under the policy `strict`.
    public var allowUnapproved: Bool
    /// How adapters outside the bank (`path:` and plain paths) are read.
    public var reading: AdapterReader.Options

    public init(
        _ bank: Bank, allowUnapproved: Bool = false, reading: AdapterReader.Options = AdapterReader.Options()
    ) {
        self.bank = bank
        self.allowUnapproved = allowUnapproved
        self.reading = reading
    }

    /// Resolves every reference form. A name of the catalogue wins over a path with the same spelling, unless the
    /// reference begins with `/`, `./` or `../`.
    ///
    /// - Throws: `reference.not_found`, `reference.ambiguous`, `policy.not_approved`, `policy.revoked`,
    ///   `bank.object_missing`, `bank.object_digest`, and what reading an adapter throws.
    public func adapters(for reference: String, relativeTo folder: String) throws -> [NamedAdapter] {
        throw Failure(.referenceNotFound, "banks are under construction", path: folder)
    }
}
