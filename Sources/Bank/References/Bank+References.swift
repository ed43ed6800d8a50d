import Adapters
import Diagnostics
import Foundation
import Governance

extension Bank {
    /// The catalogue rows that a reference names: one for `name` (newest version), `name@3`, `name:alias`,
    /// `id:<hex>`; any number, sorted by (name, version), for `tag:key=value` and `tag:key`. Reads no weights and applies no policy.
    ///
    /// - Throws: `reference.not_found` with the nearest names, `reference.ambiguous` with the candidates,
    ///   `usage.bad_argument` for `path:` references.
    public func rows(for reference: String) throws -> [AdapterRow] {
        try catalogue.read { db in try ReferenceResolver(db: db).rows(for: reference) }
    }

    /// The one catalogue row that a reference names.
    ///
    /// - Throws: as ``rows(for:)``; `reference.ambiguous` when a tag names several.
    public func row(for reference: String) throws -> AdapterRow {
        try catalogue.read { db in try ReferenceResolver(db: db).row(for: reference) }
    }

    /// The adapter of a row with its weights in place, whatever its state: for looking at it.
    ///
    /// - Throws: `bank.object_missing`, `bank.object_digest`, `bank.corrupt`, and what reading throws.
    public func adapter(of row: AdapterRow) throws -> Adapter { try store.open(row.object).adapter() }
}

/// The bank as a source of operands: opens weights in place in the object store and applies the bank's policy.
public struct BankLibrary: AdapterLibrary {
    public let bank: Bank
    /// Lets pending adapters pass under the policy `strict`, which is recorded in the audit log.
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
        let rows: [AdapterRow]
        do {
            if case .path = try AdapterReference(parsing: reference) {
                return try paths.adapters(for: reference, relativeTo: folder)
            }
            rows = try bank.rows(for: reference)
        } catch let failure as Failure where [.referenceNotFound, .usageBadArgument].contains(failure.code) {
            guard BankLibrary.mayBePath(reference), exists(reference, relativeTo: folder) else { throw failure }
            return try paths.adapters(for: reference, relativeTo: folder)
        }
        try bank.authoriseUse(of: rows, for: "operand", allowUnapproved: allowUnapproved)
        return try rows.map { row in
            NamedAdapter(
                name: row.name, version: row.version, object: row.object, reference: reference,
                adapter: try bank.adapter(of: row))
        }
    }

    private var paths: PathLibrary { PathLibrary(options: reading) }

    private static func mayBePath(_ reference: String) -> Bool {
        !reference.hasPrefix("id:") && !reference.hasPrefix("tag:")
    }

    private func exists(_ path: String, relativeTo folder: String) -> Bool {
        FileCalls.facts(path.hasPrefix("/") || folder.isEmpty ? path : folder + "/" + path) != nil
    }
}
