import Diagnostics
import Foundation
import Governance
import Testing

@testable import Bank

@Suite struct CheckTests {
    func sampleBank(_ folder: TemporaryFolder) throws -> (Bank, AdapterRow) {
        let bank = try folder.newBank()
        let row = try bank.importSample("a", seed: 1, in: folder).row
        try bank.importSample("b", seed: 2, in: folder)
        return (bank, row)
    }

    func problems(_ bank: Bank, readData: Bool = false) throws -> [ErrorCode] {
        try bank.check(readData: readData).problems.map(\.code)
    }

    @Test func `a sound bank has no problems`() throws {
        let folder = try TemporaryFolder()
        let (bank, _) = try sampleBank(folder)
        let report = try bank.check(readData: true)
        #expect(report.isSound && report.notes.isEmpty)
        #expect(report.adapters == 2 && report.objects == 2 && report.auditRows == 3)
        #expect(report.bytesRead > 2_000)
        let status = try bank.status()
        #expect(status.adapters == 2 && status.names == 2 && status.objects == 2)
        #expect(status.adaptersByState == [.pending: 2])
        #expect(status.objectBytes == report.bytesRead)
        #expect(status.policy.mode == .open && status.version == 1)
    }

    @Test func `a missing, a shortened and a lengthened object are found without reading data`() throws {
        let folder = try TemporaryFolder()
        let (bank, row) = try sampleBank(folder)
        let path = bank.layout.objectFile(row.object)
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        try FileManager.default.removeItem(atPath: path)
        #expect(try problems(bank) == [.bankObjectMissing])
        #expect(try bank.check().problems[0].place == "a@1")
        #expect(code { _ = try BankLibrary(bank).adapters(for: "a", relativeTo: "") } == .bankObjectMissing)
        for changed in [data.dropLast(), data + [0], Data()] {
            try changed.write(to: URL(fileURLWithPath: path))
            #expect(try problems(bank) == [.bankObjectDigest])
            #expect(code { _ = try BankLibrary(bank).adapters(for: "a", relativeTo: "") } == .bankObjectDigest)
        }
    }

    @Test func `every flipped bit and every truncation is found, and the object is never used`() throws {
        let folder = try TemporaryFolder()
        let (bank, row) = try sampleBank(folder)
        let path = bank.layout.objectFile(row.object)
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        var state: UInt64 = 42
        for _ in 0..<150 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var changed = data
            changed[Int(state >> 33) % data.count] ^= 1 << UInt8(state >> 29 & 7)
            try changed.write(to: URL(fileURLWithPath: path))
            #expect(try problems(bank, readData: true) == [.bankObjectDigest])
            #expect(code { _ = try BankLibrary(bank).adapters(for: "a", relativeTo: "") } == .bankObjectDigest)
        }
        for _ in 0..<50 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            try data.prefix(Int(state >> 33) % data.count).write(to: URL(fileURLWithPath: path))
            #expect(try problems(bank) == [.bankObjectDigest])
        }
        try data.write(to: URL(fileURLWithPath: path))
        #expect(try problems(bank, readData: true).isEmpty)
        #expect(try BankLibrary(bank).adapters(for: "a", relativeTo: "").count == 1)
    }

    @Test func `an object that changes after its first use is noticed at the next`() throws {
        let folder = try TemporaryFolder()
        let (bank, row) = try sampleBank(folder)
        #expect(try BankLibrary(bank).adapters(for: "a", relativeTo: "").count == 1)
        let path = bank.layout.objectFile(row.object)
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        data[data.count / 2] ^= 4
        try data.write(to: URL(fileURLWithPath: path))
        #expect(code { _ = try BankLibrary(bank).adapters(for: "a", relativeTo: "") } == .bankObjectDigest)
    }

    @Test func `a tampered audit log is found`() throws {
        let folder = try TemporaryFolder()
        let (bank, _) = try sampleBank(folder)
        let head = try bank.auditHead()
        try bank.tag("a", [Tag(key: "k")])
        #expect(try bank.verifyAudit(expecting: head).sequence == 4)
        #expect(throws: (any Error).self) {
            try bank.catalogue.write { try $0.execute(sql: "UPDATE audit SET actor = 'eve' WHERE seq = 2") }
        }
        #expect(throws: (any Error).self) {
            try bank.catalogue.write { try $0.execute(sql: "DELETE FROM audit WHERE seq = 4") }
        }
        #expect(try problems(bank).isEmpty)
        try bank.catalogue.write { db in
            try db.execute(sql: "DROP TRIGGER audit_no_update")
            try db.execute(sql: "UPDATE audit SET actor = 'eve' WHERE seq = 2")
        }
        let failures = try bank.check().problems
        #expect(failures.map(\.code) == [.bankCorrupt, .bankAuditChain])
        #expect(failures[1].place == "row 2")
        #expect(code { try bank.verifyAudit() } == .bankAuditChain)
    }

    @Test func `a cut audit log is found with the noted head`() throws {
        let folder = try TemporaryFolder()
        let (bank, _) = try sampleBank(folder)
        let head = try bank.auditHead()
        try bank.catalogue.write { db in
            try db.execute(sql: "DROP TRIGGER audit_no_delete")
            try db.execute(sql: "PRAGMA defer_foreign_keys = ON")
            try db.execute(sql: "DELETE FROM operation WHERE audit_seq = 3")
            try db.execute(sql: "DELETE FROM audit WHERE seq = 3")
        }
        try bank.verifyAudit()
        #expect(code { try bank.verifyAudit(expecting: head) } == .bankAuditChain)
    }

    @Test func `a search index that lost adapters is found`() throws {
        let folder = try TemporaryFolder()
        let (bank, _) = try sampleBank(folder)
        try bank.catalogue.write { try $0.execute(sql: "DELETE FROM adapter_fts") }
        #expect(try problems(bank) == [.bankCorrupt])
    }

    @Test func `a damaged catalogue is reported, not fatal`() throws {
        let folder = try TemporaryFolder()
        let (bank, _) = try sampleBank(folder)
        try bank.close()
        let path = bank.layout.catalogue
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        for index in stride(from: 4096, to: data.count, by: 4096) {
            data.replaceSubrange(
                index..<min(index + 2000, data.count), with: repeatElement(0xAA, count: min(2000, data.count - index)))
        }
        try data.write(to: URL(fileURLWithPath: path))
        #expect(throws: Failure.self) {
            let damaged = try Bank.open(folder.file("bank"))
            let report = try damaged.check()
            if let first = report.problems.first { throw first }
        }
    }
}

@Suite struct GarbageTests {
    func age(_ path: String) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -7_200)], ofItemAtPath: path)
    }

    @Test func `unused objects leave after an hour, used ones stay`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let used = try bank.importSample("a", seed: 1, in: folder)
        let unused = try bank.importSample("b", seed: 2, in: folder)
        // As after a crash between placing the object and entering it.
        try bank.catalogue.write { db in
            try db.execute(sql: "UPDATE adapter SET removed_at = created_at WHERE name = 'b'")
        }
        for outcome in [used, unused] { try age(bank.layout.objectFile(outcome.object)) }
        #expect(try bank.check().notes.count == 1)
        #expect(try bank.collectGarbage(dryRun: true).objects == 1)
        #expect(bank.store.contains(unused.object))
        let report = try bank.collectGarbage()
        #expect(report.objects == 1 && report.pruned == 0 && report.bytes > 1_000)
        #expect(bank.store.contains(used.object) && !bank.store.contains(unused.object))
        #expect(FileManager.default.fileExists(atPath: bank.layout.trashFile(unused.object)))
        #expect(try bank.collectGarbage(prune: true).pruned == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: bank.layout.trash).isEmpty)
        #expect(try bank.auditLog(last: 1)[0].action == "gc")
    }

    @Test func `a young unused object stays`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let outcome = try bank.importSample("a", in: folder)
        try bank.catalogue.write { db in try db.execute(sql: "UPDATE adapter SET removed_at = created_at") }
        #expect(try bank.collectGarbage().objects == 0)
        #expect(bank.store.contains(outcome.object))
    }

    @Test func `workspaces of the dead go, those of the living stay`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let living = try bank.workspace()
        let dead = bank.layout.temporary + "/11111111-dead"
        try FileManager.default.createDirectory(atPath: dead + "/files", withIntermediateDirectories: true)
        try Data("x".utf8).write(to: URL(fileURLWithPath: dead + "/owner"))
        try Data("half".utf8).write(to: URL(fileURLWithPath: dead + "/files/adapter_model.safetensors"))
        try FileManager.default.createDirectory(
            atPath: bank.layout.temporary + "/no-owner", withIntermediateDirectories: true)
        try Data("stray".utf8).write(to: URL(fileURLWithPath: bank.layout.temporary + "/stray"))
        #expect(try bank.collectGarbage().workspaces == 3)
        #expect(FileManager.default.fileExists(atPath: living.folder))
        #expect(!FileManager.default.fileExists(atPath: dead))
        try SampleAdapter().write(to: living.folder)
        _ = try living.commit(BankProduct(name: "m", source: .merge))
    }

    @Test func `collecting waits for importers, and names the one who holds the bank`() throws {
        let folder = try TemporaryFolder()
        _ = try folder.newBank()
        let bank = try Bank.open(folder.file("bank"), lockTimeout: 0.2)
        let lock = try FileLock.acquire(bank.layout.lock, .shared, timeout: 1)
        let failure = try #require(throws: Failure.self) { try bank.collectGarbage() }
        #expect(failure.code == .bankLocked && failure.code.exitStatus == 12)
        #expect(failure.message.contains("pid \(getpid())"))
        #expect(try bank.importSample("a", in: folder).version == 1)
        lock.release()
        #expect(try bank.collectGarbage().objects == 0)
        let exclusive = try FileLock.acquire(bank.layout.lock, .exclusive, timeout: 1)
        #expect(code { try bank.importSample("b", seed: 2, in: folder) } == .bankLocked)
        exclusive.release()
        try bank.importSample("b", seed: 2, in: folder)
    }
}
