import Diagnostics
import Foundation
import GRDB
import Governance

extension Bank {
    /// The audit log from its first row, or its last `limit` rows; oldest first.
    public func auditLog(last limit: Int? = nil) throws -> [AuditEntry] {
        try catalogue.read { db in
            var entries: [AuditEntry] = []
            try AuditLog.forEach(db, after: limit.map { try AuditLog.length(db) - $0 } ?? 0) { entries.append($0) }
            return entries
        }
    }

    /// The newest row, to be noted outside the bank.
    public func auditHead() throws -> AuditHead {
        try catalogue.read { db in
            let row = try Row.fetchOne(db, sql: "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
            guard let row else { return AuditVerifier(bankID: id).head }
            return AuditHead(sequence: row[0], hash: Hexadecimal.text([UInt8](row[1] as Data)))
        }
    }

    /// Recomputes the whole chain.
    ///
    /// - Parameter expected: a head that was noted earlier.
    /// - Returns: the head.
    /// - Throws: `bank.audit_chain`.
    @discardableResult
    public func verifyAudit(expecting expected: AuditHead? = nil) throws -> AuditHead {
        try catalogue.read { db in
            var verifier = AuditVerifier(bankID: id, expecting: expected)
            try AuditLog.forEach(db, after: 0) { try verifier.check($0) }
            try verifier.finish()
            return verifier.head
        }
    }
}

/// The table `audit`.
enum AuditLog {
    static func length(_ db: Database) throws -> Int {
        try Int.fetchOne(db, sql: "SELECT coalesce(max(seq), 0) FROM audit") ?? 0
    }

    /// Rows behind number `sequence`, in order.
    static func forEach(_ db: Database, after sequence: Int, _ body: (AuditEntry) throws -> Void) throws {
        let cursor = try Row.fetchCursor(
            db,
            sql: """
                SELECT seq, at, actor, action, subject, details, prev, hash FROM audit WHERE seq > ? ORDER BY seq
                """, arguments: [sequence])
        while let row = try cursor.next() {
            try body(
                AuditEntry(
                    sequence: row[0], at: row[1], actor: row[2], action: row[3], subject: row[4], details: row[5],
                    previous: [UInt8](row[6] as Data), hash: [UInt8](row[7] as Data)))
        }
    }
}
