import Diagnostics
import GRDB
import Governance
import WeightFiles

/// What `check` found.
public struct CheckReport: Sendable {
    /// Damage, in the order catalogue, audit log, objects; empty for a sound bank. Codes `bank.*`.
    public var problems: [Failure]
    /// Things that `gc` would clean up.
    public var notes: [String]
    public var adapters: Int
    public var objects: Int
    /// Bytes whose digest was recomputed.
    public var bytesRead: Int
    public var auditRows: Int
    public var readData: Bool

    public var isSound: Bool { problems.isEmpty }
}

extension Bank {
    /// Looks for damage: the catalogue's own structure, every adapter's object (presence, name, size), the audit chain.
    /// Changes nothing.
    ///
    /// - Parameter readData: also recomputes the digests of every object and of every file in it.
    /// - Throws: only what keeps the check itself from running.
    public func check(
        readData: Bool = false, progress: any ProgressReporting = SilentProgress()
    ) throws -> CheckReport {
        var report = CheckReport(
            problems: [], notes: [], adapters: 0, objects: 0, bytesRead: 0, auditRows: 0, readData: readData)
        let expected: [String: ExpectedObject]
        do {
            expected = try catalogue.read { db in
                try checkCatalogue(db, &report)
                return try ExpectedObject.all(db)
            }
            checkAudit(&report)
        } catch let failure as Failure where failure.code == .bankCorrupt {
            report.problems.append(failure)
            return report
        }
        report.adapters = expected.values.reduce(0) { $0 + $1.adapters.count }
        try checkObjects(expected, &report, progress)
        return report
    }

    private func checkCatalogue(_ db: Database, _ report: inout CheckReport) throws {
        func corrupt(_ message: String) -> Failure {
            Failure(.bankCorrupt, message, path: layout.catalogue, hint: "restore catalogue.sqlite from a backup")
        }
        for line in try String.fetchAll(db, sql: "PRAGMA integrity_check") where line != "ok" {
            report.problems.append(corrupt("the catalogue is damaged: \(line)"))
        }
        for row in try Row.fetchAll(db, sql: "PRAGMA foreign_key_check") {
            let table: String = row[0]
            let parent: String = row[2]
            report.problems.append(corrupt("a row of '\(table)' points at a missing row of '\(parent)'"))
        }
        for table in ["adapter_fts", "adapter_trigram"] {
            let missing =
                try Int.fetchOne(
                    db, sql: "SELECT count(*) FROM adapter WHERE id NOT IN (SELECT rowid FROM \(table))") ?? 0
            if missing > 0 { report.problems.append(corrupt("\(missing) adapters are missing in the search index")) }
        }
        let guards = try Int.fetchOne(
            db,
            sql: "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit\\_no\\_%' ESCAPE '\\'")
        if guards != 2 { report.problems.append(corrupt("the triggers that protect the audit log are missing")) }
        report.auditRows = try AuditLog.length(db)
    }

    private func checkAudit(_ report: inout CheckReport) {
        do { try verifyAudit() } catch let failure as Failure { report.problems.append(failure) } catch {
            report.problems.append(Failure(.bankAuditChain, "the audit log cannot be read: \(error)"))
        }
    }

    private func checkObjects(
        _ expected: [String: ExpectedObject], _ report: inout CheckReport, _ progress: any ProgressReporting
    ) throws {
        let (objects, strangers) = try store.inventory()
        report.objects = objects.count
        var found: Set<String> = []
        progress.begin("checking objects", total: Int64(objects.reduce(0) { $0 + $1.size }), unit: "bytes")
        defer { progress.end() }
        for item in objects {
            found.insert(item.object)
            let path = layout.objectFile(item.object)
            if let adapter = expected[item.object] {
                if item.size != adapter.bytes {
                    report.problems.append(
                        ObjectStore.damaged(path).with(
                            "the object has \(item.size) bytes instead of \(adapter.bytes)", adapter.adapters))
                } else if report.readData {
                    if let failure = damage(of: item.object, at: path) {
                        report.problems.append(failure.with(failure.message, adapter.adapters))
                    }
                    report.bytesRead += item.size
                }
            } else {
                report.notes.append("unused object \(item.object.prefix(12))…")
            }
            progress.advance(by: Int64(item.size))
        }
        for (object, adapter) in expected.sorted(by: { $0.key < $1.key }) where !found.contains(object) {
            let missing = ObjectStore.missing(layout.objectFile(object))
            report.problems.append(missing.with(missing.message, adapter.adapters))
        }
        report.notes += strangers.map { "unexpected file \($0)" }
        report.notes += try FileCalls.names(in: layout.temporary).map { "unfinished work in tmp/\($0)" }
    }

    /// What is wrong with the bytes of an object; nil when nothing is.
    private func damage(of object: String, at path: String) -> Failure? {
        do {
            guard try MappedBytes(path: path, followLinks: false).digest().hex == object else {
                return ObjectStore.damaged(path)
            }
            try StoredObject(path: path).verifyMembers()
            return nil
        } catch let failure as Failure { return failure } catch {
            return Failure(.bankObjectDigest, "the object cannot be read: \(error)", path: path)
        }
    }
}

/// What the catalogue says about an object.
private struct ExpectedObject {
    var bytes: Int
    /// `name@version`s that use it.
    var adapters: [String]

    static func all(_ db: Database) throws -> [String: ExpectedObject] {
        var objects: [String: ExpectedObject] = [:]
        let cursor = try Row.fetchCursor(
            db,
            sql: """
                SELECT a.object, a.object_bytes, \(AdapterRow.nameExpression) || '@' || a.version
                FROM adapter a WHERE a.removed_at IS NULL ORDER BY a.id
                """)
        while let row = try cursor.next() {
            objects[row[0], default: ExpectedObject(bytes: row[1], adapters: [])].adapters.append(row[2])
        }
        return objects
    }
}

extension Failure {
    /// The same failure with the adapters that it concerns.
    fileprivate func with(_ message: String, _ adapters: [String]) -> Failure {
        var copy = self
        copy.message = message
        copy.place = adapters.joined(separator: ", ")
        copy.details["adapters"] = adapters.joined(separator: " ")
        return copy
    }
}
