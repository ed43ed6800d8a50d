import Diagnostics
import Foundation
import GRDB
import Governance
import WeightFiles

extension Bank {
    /// Changes the catalogue in one transaction.
    ///
    /// - Parameter batch: what `undo` reverts together; nil: this change alone.
    /// - Throws: `bank.read_only`, `bank.locked`, and what `body` throws; then nothing was changed.
    func change<T>(batch: String? = nil, _ body: (CatalogueChange) throws -> T) throws -> T {
        try requireWritable()
        let result = try catalogue.write { db in
            let change = try CatalogueChange(
                db: db, bankID: id, actor: actor, at: Timestamp.now(), batch: batch ?? BankIdentifier.random())
            try change.notePolicy(policy)
            return try body(change)
        }
        FaultPoint.pass("commit")
        return result
    }
}

/// An open transaction on the catalogue that knows how to log what it does.
///
/// Whoever changes something calls `record` once: the audit row and the way back (`undo`) stand in the same transaction
/// as the change.
struct CatalogueChange {
    let db: Database
    let bankID: String
    let actor: String
    /// One time for everything in the transaction.
    let at: String
    let batch: String

    init(db: Database, bankID: String, actor: String, at: String, batch: String) throws {
        self.db = db
        self.bankID = bankID
        self.actor = actor
        self.at = at
        self.batch = batch
    }

    /// Appends the audit row of one change; returns its number.
    ///
    /// - Parameters:
    ///   - subject: `name@version`, or empty for the bank itself.
    ///   - undo: how to revert the change; nil: it is no user operation; empty: it cannot be reverted.
    @discardableResult
    func record(
        _ action: String, subject: String, details: [String: String] = [:], undo: [InverseStep]? = nil
    ) throws -> Int {
        let last = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"))
        let members = details.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, .string($0.value)) }
        let entry = AuditChain.next(
            after: last.map { (sequence: $0[0] as Int, hash: [UInt8]($0[1] as Data)) }, bankID: bankID, at: at,
            actor: actor, action: action, subject: subject, details: .object(members))
        try db.cachedStatement(
            sql: "INSERT INTO audit (seq, at, actor, action, subject, details, prev, hash) VALUES (?,?,?,?,?,?,?,?)"
        ).execute(arguments: [
            entry.sequence, entry.at, entry.actor, entry.action, entry.subject, entry.details, Data(entry.previous),
            Data(entry.hash),
        ])
        if let undo {
            try db.cachedStatement(
                sql: "INSERT INTO operation (batch, action, subject, inverse, at, audit_seq) VALUES (?,?,?,?,?,?)"
            ).execute(arguments: [
                batch, action, subject, undo.isEmpty ? nil : try InverseStep.text(undo), at, entry.sequence,
            ])
        }
        return entry.sequence
    }

    /// Logs a change of the policy that somebody made in `lorabank.toml` since the last change.
    func notePolicy(_ policy: Policy) throws {
        let stored = try String.fetchOne(db, sql: "SELECT value FROM setting WHERE key = 'policy'")
        guard let stored, stored != policy.canonicalText else { return }
        try storePolicy(policy)
        try record("policy", subject: "", details: ["from": stored, "to": policy.canonicalText])
    }

    func storePolicy(_ policy: Policy) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO setting (key, value) VALUES ('policy', ?)", arguments: [policy.canonicalText])
    }
}

extension Policy {
    /// One line that is equal for equal policies.
    var canonicalText: String {
        func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
        return CanonicalJSON.text(
            .object([
                .init("mode", .string(mode.rawValue)), .init("approvers", list(approvers)),
                .init("required", .number(String(required))), .init("two_person", .bool(twoPerson)),
                .init("require_signature", .bool(requireSignature)), .init("auto_approve", list(autoApprove)),
                .init("max_level", maxLevel.map { .string($0.rawValue) } ?? .null),
            ]))
    }
}

/// Names of batches and workspaces.
enum BankIdentifier {
    static func random() -> String { UUID().uuidString.lowercased() }
}
