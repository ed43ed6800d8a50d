import Diagnostics
import GRDB
import Governance

/// What a bank holds.
public struct BankStatus: Sendable {
    public var folder: String
    public var id: String
    public var version: Int
    public var policy: Policy
    public var isReadOnly: Bool
    public var adapters: Int
    /// Different names.
    public var names: Int
    public var adaptersByState: [ApprovalState: Int]
    public var objects: Int
    public var objectBytes: Int
    public var trashBytes: Int
    public var catalogueBytes: Int
    public var auditRows: Int
}

extension Bank {
    /// Counts and sizes. Looks at names and sizes of objects, not at their content.
    public func status() throws -> BankStatus {
        let objects = try store.inventory().objects
        let trash = try FileCalls.names(in: layout.trash)
        let trashBytes = trash.reduce(0) { $0 + (FileCalls.facts(layout.trash + "/" + $1)?.size ?? 0) }
        return try catalogue.read { db in
            var byState: [ApprovalState: Int] = [:]
            let counts = try Row.fetchAll(
                db, sql: "SELECT state, count(*) FROM adapter WHERE removed_at IS NULL GROUP BY state")
            for row in counts { byState[ApprovalState(rawValue: row[0] as String) ?? .pending] = row[1] }
            let names = try Int.fetchOne(
                db, sql: "SELECT count(*) FROM (SELECT DISTINCT namespace, name FROM adapter WHERE removed_at IS NULL)")
            return BankStatus(
                folder: folder, id: id, version: settings.version, policy: policy, isReadOnly: isReadOnly,
                adapters: byState.values.reduce(0, +), names: names ?? 0, adaptersByState: byState,
                objects: objects.count, objectBytes: objects.reduce(0) { $0 + $1.size }, trashBytes: trashBytes,
                catalogueBytes: FileCalls.facts(layout.catalogue)?.size ?? 0, auditRows: try AuditLog.length(db))
        }
    }
}
