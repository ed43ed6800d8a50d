import Diagnostics
import Foundation
import Governance
import Testing

@testable import Bank

@Suite struct BankFolderTests {
    @Test func `a new bank has its folders, settings and an empty catalogue`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank(policy: .strict)
        for name in ["objects", "tmp", "locks", "keys", "trash", "quarantine", "catalogue.sqlite", "lorabank.toml"] {
            #expect(FileManager.default.fileExists(atPath: folder.file("bank/" + name)), "\(name)")
        }
        let again = try Bank.open(folder.file("bank"))
        #expect(again.id == bank.id)
        #expect(again.policy.mode == .strict)
        #expect(try again.list().isEmpty)
        #expect(try again.auditLog().map(\.action) == ["init"])
        #expect(try again.check().isSound)
    }

    @Test func `a bank is not made twice, and not where there is none`() throws {
        let folder = try TemporaryFolder()
        _ = try folder.newBank()
        #expect(code { _ = try folder.newBank() } == .outputExists)
        #expect(code { _ = try Bank.open(folder.path) } == .bankMissing)
        #expect(code { _ = try Bank.open(folder.file("nowhere")) } == .bankMissing)
    }

    @Test func `a bank may be made among other files, and over one that was left unfinished`() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.file("bank/data"), withIntermediateDirectories: true)
        try Data("no catalogue".utf8).write(to: URL(fileURLWithPath: folder.file("bank/catalogue.sqlite")))
        let bank = try folder.newBank()
        #expect(try bank.check().isSound)
        #expect(FileManager.default.fileExists(atPath: folder.file("bank/data")))
    }

    @Test func `the bank is named, or set, or the next one going up`() throws {
        let folder = try TemporaryFolder()
        _ = try folder.newBank()
        try FileManager.default.createDirectory(atPath: folder.file("a/b/bank"), withIntermediateDirectories: true)
        func locate(_ explicit: String?, _ environment: [String: String], _ path: String) throws -> String {
            try Bank.locate(explicit: explicit, environment: environment, workingFolder: folder.path + path)
        }
        #expect(try locate("x", ["LORABANK_BANK": "y"], "") == "x")
        #expect(try locate(nil, ["LORABANK_BANK": "y"], "") == "y")
        #expect(try locate(nil, [:], "") == folder.file("bank"))
        #expect(try locate(nil, [:], "/a/b") == folder.file("bank"))
        #expect(try locate(nil, [:], "/bank/objects") == folder.file("bank"))
        let none = try #require(throws: Failure.self) {
            try Bank.locate(explicit: nil, environment: [:], workingFolder: "/proc/self")
        }
        #expect(none.code == .bankMissing)
        #expect(none.hint?.contains("init") == true)
    }

    @Test func `a newer bank is refused, a catalogue of something else too`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let path = folder.file("bank/lorabank.toml")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try ("future = { a = 1 }\n" + text).replacing("version = 1", with: "version = 2")
            .write(toFile: path, atomically: true, encoding: .utf8)
        #expect(code { _ = try Bank.open(folder.file("bank")) } == .usageBadArgument)
        try text.replacing("version = 1", with: "version = 2\nfuture = 1")
            .write(toFile: path, atomically: true, encoding: .utf8)
        #expect(code { _ = try Bank.open(folder.file("bank")) } == .bankVersion)
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try bank.catalogue.write { try $0.execute(sql: "PRAGMA user_version = 99") }
        #expect(code { _ = try Bank.open(folder.file("bank")) } == .bankVersion)
        try bank.catalogue.write { try $0.execute(sql: "PRAGMA application_id = 1") }
        #expect(code { _ = try Bank.open(folder.file("bank")) } == .bankCorrupt)
    }

    @Test func `a damaged or missing catalogue is called by its name`() throws {
        let folder = try TemporaryFolder()
        try folder.newBank().catalogue.close()
        let path = folder.file("bank/catalogue.sqlite")
        try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: path))
        #expect(code { _ = try Bank.open(folder.file("bank")) } == .bankCorrupt)
        try FileManager.default.removeItem(atPath: path)
        #expect(code { _ = try Bank.open(folder.file("bank")) } == .bankCorrupt)
    }

    @Test func `reading leaves a bank untouched that is opened read-only`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("a", tags: ["set=digits"], in: folder)
        try bank.close()
        let before = try FileManager.default.subpathsOfDirectory(atPath: folder.file("bank")).sorted()
        let reader = try Bank.open(folder.file("bank"), access: .readOnly)
        #expect(reader.isReadOnly)
        #expect(try reader.list().map(\.reference) == ["a@1"])
        #expect(try reader.find("set:digits").count == 1)
        #expect(try reader.show("a").modules.count == 2)
        #expect(try BankLibrary(reader).adapters(for: "a", relativeTo: "").count == 1)
        #expect(try reader.check(readData: true).isSound)
        #expect(code { try reader.tag("a", [Tag(key: "x")]) } == .bankReadOnly)
        #expect(code { try reader.importSample("b", seed: 2, in: folder) } == .bankReadOnly)
        #expect(code { _ = try reader.collectGarbage() } == .bankReadOnly)
        try reader.close()
        let after = try FileManager.default.subpathsOfDirectory(atPath: folder.file("bank")).sorted()
        #expect(before == after.filter { !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") })
    }

    @Test func `a closed bank has no log beside its catalogue`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("a", in: folder)
        #expect(FileManager.default.fileExists(atPath: bank.layout.catalogue + "-wal"))
        try bank.close()
        #expect(!FileManager.default.fileExists(atPath: bank.layout.catalogue + "-wal"))
        #expect(try Bank.open(folder.file("bank")).list().count == 1)
    }
}

@Suite struct BankSettingsTests {
    func settings(_ text: String) throws -> BankSettings { try BankSettings(parsing: text, path: "lorabank.toml") }

    @Test func `what is written is read back`() throws {
        let policy = Policy(
            mode: .strict, approvers: ["ada", "o\"neil\\"], required: 2, twoPerson: true, requireSignature: true,
            autoApprove: [], maxLevel: .warning)
        let written = BankSettings(
            id: "abc", policy: policy, limits: BankLimits(maxAdapterBytes: 5, maxArchiveEntries: 7))
        #expect(try settings(written.text) == written)
        let plain = BankSettings(id: "abc")
        #expect(try settings(plain.text) == plain)
    }

    @Test func `comments, single quotes, underscores and the table form of the policy are understood`() throws {
        let read = try settings(
            """
            # a bank
            version = 1   # format
            id = 'x#y'

            [policy]
            mode = "strict"
            approvers = [ "ada", 'grace', ]
            [limits]
            max_adapter_bytes = 1_000_000
            """)
        #expect(read.id == "x#y")
        #expect(read.policy.mode == .strict)
        #expect(read.policy.approvers == ["ada", "grace"])
        #expect(read.limits.maxAdapterBytes == 1_000_000)
    }

    @Test(arguments: [
        ("version = 1", "", "id"),
        ("id = \"x\"", "", "version"),
        ("version = 1\nid = \"x\"\npolcy = \"open\"", "line 3", "polcy"),
        ("version = 1\nid = \"x\"\npolicy = \"closed\"", "line 3", "open"),
        ("version = \"1\"\nid = \"x\"", "line 1", "integer"),
        ("version = 1\nid = \"x", "line 2", "end"),
        ("version = 1\nid = \"x\" y", "line 2", "nothing more"),
        ("version = 1\nid = \"x\"\nid = \"y\"", "line 3", "again"),
        ("version = 1\nid = \"x\"\n[approval\nrequired = 1", "line 3", "']'"),
        ("version = 1\nid = \"x\"\n[approval]\nrequired = 0", "line 4", "at least 1"),
        ("version = 1\nid = \"x\"\n[approval]\nauto_approve = [\"all\"]", "line 4", "all"),
        ("version = 1\nid = \"x\"\n[approval]\ntwo_person = yes", "line 4", "value"),
        ("version = 1\nid = \"x\"\n[limits]\nmax_adapter_bytes = 1_", "line 4", "value"),
        ("version = 1\nid \"x\"", "line 2", "'='"),
    ])
    func `what is not understood is an error with its line`(_ text: String, _ place: String, _ word: String) throws {
        let failure = try #require(throws: Failure.self) { try settings(text) }
        #expect(failure.code == .usageBadArgument)
        #expect((failure.place ?? "") == place)
        #expect(failure.message.contains(word))
    }

    @Test func `a misspelt key is corrected`() throws {
        let failure = try #require(throws: Failure.self) {
            try settings("version = 1\nid = \"x\"\n[approval]\nrequred = 1")
        }
        #expect(failure.hint?.contains("approval.required") == true)
    }
}

@Suite struct SettingsFuzzTests {
    @Test func `mutated settings are understood or refused with a line`() {
        let seed = Array(BankSettings(id: "3f1c9d1e", policy: Policy(approvers: ["ada"], maxLevel: .info)).text.utf8)
        let pieces = Array("\"'[]=#\\\n\r\t _,.0tx\u{0}é".utf8)
        var state: UInt64 = 3
        func draw(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var understood = 0
        for _ in 0..<5_000 {
            var bytes = seed
            for _ in 0...draw(3) {
                let place = draw(bytes.count)
                if draw(2) == 0 { bytes.remove(at: place) } else { bytes[place] = pieces[draw(pieces.count)] }
            }
            do {
                let settings = try BankSettings(parsing: String(decoding: bytes, as: UTF8.self), path: "lorabank.toml")
                #expect(settings.version >= 0)
                understood += 1
            } catch {
                let failure = error as? Failure
                #expect(failure?.code == .usageBadArgument || failure?.code == .bankVersion)
                #expect(failure?.path == "lorabank.toml")
            }
        }
        #expect(understood > 500 && understood < 4_900)
    }
}
