import Adapters
import Diagnostics
import Foundation
import Governance
import Testing

@testable import Bank

@Suite struct ReferenceTests {
    /// a@1, a@2, b@1 (tags set=digits), 数字@1 (set=digits, lang=ja).
    func sampleBank(_ folder: TemporaryFolder, policy: Governance.PolicyMode = .open) throws -> Bank {
        let bank = try folder.newBank(policy: policy)
        try bank.importSample("a", seed: 1, in: folder)
        try bank.importSample("a", seed: 2, tags: ["set=digits"], in: folder)
        try bank.importSample("b", seed: 3, tags: ["set=digits"], in: folder)
        try bank.importSample("数字", seed: 4, tags: ["set=digits", "lang=ja"], in: folder)
        try bank.alias("a@1", "stable")
        return bank
    }

    @Test(arguments: [
        ("a", ["a@2"]), ("a@1", ["a@1"]), ("a:stable", ["a@1"]), ("tag:set=digits", ["a@2", "b@1", "数字@1"]),
        ("tag:lang", ["数字@1"]), ("数字", ["数字@1"]), ("tag:set", ["a@2", "b@1", "数字@1"]),
    ])
    func `every form names its adapters`(_ reference: String, _ expected: [String]) throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        #expect(try bank.rows(for: reference).map(\.reference) == expected)
        let adapters = try BankLibrary(bank).adapters(for: reference, relativeTo: "")
        #expect(adapters.map { "\($0.name)@\($0.version ?? 0)" } == expected)
        #expect(adapters.allSatisfy { $0.object != nil && $0.adapter.modules.count == 2 && $0.reference == reference })
        #expect(adapters.allSatisfy { $0.adapter.fileDigests.count == 1 })
    }

    @Test func `a composed and a decomposed spelling are one name`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("ブランド", in: folder)
        #expect(try bank.row(for: "ブランド".decomposedStringWithCanonicalMapping).name == "ブランド")
    }

    @Test func `content ids need eight digits and may name several names of one object`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        let object = try bank.row(for: "b").object
        #expect(try bank.row(for: "id:" + object.prefix(8)).reference == "b@1")
        #expect(try bank.row(for: "id:" + object.uppercased()).reference == "b@1")
        #expect(code { _ = try bank.row(for: "id:" + object.prefix(7)) } == .usageBadArgument)
        #expect(code { _ = try bank.row(for: "id:zzzzzzzz") } == .usageBadArgument)
        #expect(code { _ = try bank.row(for: "id:00000000") } == .referenceNotFound)
        try bank.importSample("c", seed: 3, in: folder)
        #expect(try bank.row(for: "id:" + object).reference == "b@1")
        let twin = String(object.prefix(10)) + String(repeating: "0", count: 54)
        try bank.catalogue.write {
            try $0.execute(sql: "UPDATE adapter SET object = ? WHERE name = 'c'", arguments: [twin])
        }
        let failure = try #require(throws: Failure.self) { try bank.row(for: "id:" + object.prefix(9)) }
        #expect(failure.code == .referenceAmbiguous)
        #expect(failure.details["candidates"] == "b@1 c@1")
    }

    @Test(arguments: [
        ("aa", "did you mean 'a'"), ("数子", "did you mean '数字'"), ("a@9", "1, 2"), ("a:stabel", "stable"),
        ("tag:set=digit", "digits"), ("tag:sett", "set"), ("zzzzzz", "lorabank list"), ("b:x", "no aliases"),
    ])
    func `what is not there is not found, with the nearest`(_ reference: String, _ hint: String) throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        let failure = try #require(throws: Failure.self) { try bank.rows(for: reference) }
        #expect(failure.code == .referenceNotFound)
        #expect(failure.hint?.contains(hint) == true, "\(failure)")
        #expect(code { _ = try BankLibrary(bank).adapters(for: reference, relativeTo: "") } == .referenceNotFound)
    }

    @Test(arguments: ["a@x", "a@0", "a:", "tag:", "a b", "", "path:x", "./x", "/x"])
    func `what is no reference to the bank is a usage error`(_ reference: String) throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        #expect(code { _ = try bank.rows(for: reference) } == .usageBadArgument)
    }

    @Test func `one adapter is needed where one is needed`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        let failure = try #require(throws: Failure.self) { try bank.row(for: "tag:set=digits") }
        #expect(failure.code == .referenceAmbiguous)
        #expect(failure.details["candidates"] == "a@2 b@1 数字@1")
        #expect(code { _ = try bank.show("tag:set=digits") } == .referenceAmbiguous)
        #expect(code { _ = try bank.alias("tag:set=digits", "x") } == .referenceAmbiguous)
    }

    @Test func `paths are read where they are, relative to the given folder`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        try SampleAdapter(seed: 9).write(to: folder.file("loose/c"))
        try SampleAdapter(seed: 9).write(to: folder.file("loose/b"))
        let library = BankLibrary(bank)
        for reference in [
            "path:loose/c", "loose/c", "./loose/c", "path:" + folder.file("loose/c"), folder.file("loose/c"),
        ] {
            let found = try library.adapters(for: reference, relativeTo: folder.path)
            #expect(found.map(\.name) == ["c"])
            #expect(found[0].object == nil && found[0].version == nil)
        }
        // A name of the catalogue wins over a path.
        #expect(try library.adapters(for: "b", relativeTo: folder.file("loose"))[0].version == 1)
        #expect(try library.adapters(for: "./b", relativeTo: folder.file("loose"))[0].version == nil)
        #expect(try library.adapters(for: "c", relativeTo: folder.file("loose"))[0].version == nil)
    }

    @Test func `weights stand in place in the object`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        let named = try #require(try BankLibrary(bank).adapters(for: "b", relativeTo: "").first)
        let direct = try AdapterReader.read(SampleAdapter(seed: 3).write(to: folder.file("again")))
        for (stored, original) in zip(named.adapter.modules, direct.modules) {
            #expect(stored.name == original.name && stored.scale == original.scale)
            #expect(stored.a.bytes.elementsEqual(original.a.bytes))
            #expect(stored.b.bytes.elementsEqual(original.b.bytes))
        }
        #expect(named.adapter.deltaID() == direct.deltaID())
    }

    @Test func `the policy refuses what may not be used`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder, policy: .strict)
        let library = BankLibrary(bank)
        #expect(code { _ = try library.adapters(for: "b", relativeTo: "") } == .policyNotApproved)
        #expect(code { _ = try library.adapters(for: "tag:set=digits", relativeTo: "") } == .policyNotApproved)
        #expect(try BankLibrary(bank, allowUnapproved: true).adapters(for: "b", relativeTo: "").count == 1)
        try bank.approve("b", reason: "looks right")
        #expect(try library.adapters(for: "b", relativeTo: "").count == 1)
        try bank.revoke("b", reason: "poisoned")
        #expect(code { _ = try library.adapters(for: "b", relativeTo: "") } == .policyRevoked)
        try bank.reject("a@1", reason: "no licence")
        #expect(
            code { _ = try BankLibrary(bank, allowUnapproved: true).adapters(for: "a@1", relativeTo: "") }
                == .policyNotApproved)
    }
}
