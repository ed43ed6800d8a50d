import Diagnostics
import Foundation
import Governance
import Testing

@testable import Bank

@Suite struct EditTests {
    func sampleBank(_ folder: TemporaryFolder) throws -> Bank {
        let bank = try folder.newBank()
        try bank.importSample("a", seed: 1, tags: ["set=x"], in: folder)
        try bank.importSample("b", seed: 2, tags: ["set=x"], in: folder)
        return bank
    }

    @Test func `tags are set and removed, one audit row for each adapter that changes`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        let rows = try bank.tag("tag:set=x", [Tag(parsing: "k=v"), Tag(parsing: "k=w"), Tag(parsing: "alone")])
        #expect(
            rows.map(\.tags) == [
                ["set": ["x"], "k": ["v", "w"], "alone": [""]], ["set": ["x"], "k": ["v", "w"], "alone": [""]],
            ])
        let count = try bank.auditLog().count
        try bank.tag("a", [Tag(parsing: "k=v")])
        #expect(try bank.auditLog().count == count)
        #expect(try bank.untag("a", [TagFilter(parsing: "k")])[0].tags == ["set": ["x"], "alone": [""]])
        #expect(try bank.untag("b", [TagFilter(parsing: "k=v")])[0].tags["k"] == ["w"])
        #expect(code { try bank.untag("a", [TagFilter(parsing: "k")]) } == .referenceNotFound)
        #expect(try bank.auditLog().count == count + 2)
        #expect(try bank.verifyAudit().sequence == count + 2)
    }

    @Test(arguments: ["", "=v", "a b=c", "k=\u{1B}", "k\u{202E}=v", "k=" + String(repeating: "v", count: 1001)])
    func `bad tags are refused`(_ text: String) {
        #expect(code { _ = try Tag(parsing: text) } == .usageBadArgument)
    }

    @Test func `notes and aliases are kept and moved`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        try bank.importSample("a", seed: 3, in: folder)
        try bank.note("a@1", "first")
        try bank.note("a@1", "二番目")
        #expect(try bank.show("a@1").notes.map(\.text) == ["first", "二番目"])
        #expect(code { try bank.note("a", "") } == .usageBadArgument)
        try bank.alias("a@1", "prod")
        #expect(try bank.row(for: "a:prod").version == 1)
        try bank.alias("a@2", "prod")
        #expect(try bank.row(for: "a:prod").version == 2)
        #expect(try bank.show("a@2").aliases == ["prod"])
        try bank.unalias("a:prod")
        #expect(code { _ = try bank.row(for: "a:prod") } == .referenceNotFound)
        #expect(code { try bank.alias("a", "x y") } == .usageBadArgument)
        #expect(code { try bank.unalias("a") } == .usageBadArgument)
    }

    @Test func `a removed adapter is gone, and its object is in the trash when nobody else uses it`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        let twin = try bank.importSample("twin", seed: 1, in: folder)
        try bank.remove("a")
        #expect(bank.store.contains(twin.object))
        try bank.remove("twin")
        #expect(!bank.store.contains(twin.object))
        #expect(FileManager.default.fileExists(atPath: bank.layout.trashFile(twin.object)))
        #expect(try bank.list().map(\.name) == ["b"])
        #expect(code { _ = try bank.row(for: "a") } == .referenceNotFound)
        #expect(try bank.check(readData: true).isSound)
    }

    @Test func `everything is undone step by step, back to the empty bank`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        try bank.tag("a", [Tag(parsing: "k=v")])
        try bank.untag("a", [TagFilter(parsing: "set")])
        try bank.note("a", "text")
        try bank.alias("a", "best")
        try bank.approve("a", reason: "fine")
        try bank.reject("b", reason: "no")
        try bank.reopen("b", reason: "yes")
        try bank.remove("a")

        #expect(try bank.undo().map(\.action) == ["rm"])
        #expect(try bank.row(for: "a:best").state == .approved)
        #expect(try bank.store.contains(bank.row(for: "a").object))
        #expect(try bank.undo().map(\.action) == ["reopen"])
        #expect(try bank.row(for: "b").state == .rejected)
        #expect(try bank.undo().map(\.subject) == ["b@1"])
        #expect(try bank.row(for: "b").state == .pending)
        #expect(try bank.undo().map(\.action) == ["approve"])
        #expect(try bank.row(for: "a").state == .pending)
        #expect(try bank.show("a").decisions.isEmpty)
        #expect(try bank.undo().map(\.action) == ["alias"])
        #expect(try bank.show("a").aliases.isEmpty)
        #expect(try bank.undo().map(\.action) == ["note"])
        #expect(try bank.show("a").notes.isEmpty)
        #expect(try bank.undo().map(\.action) == ["untag"])
        #expect(try bank.undo().map(\.action) == ["tag"])
        #expect(try bank.row(for: "a").tags == ["set": ["x"]])
        #expect(try bank.undo().map(\.subject) == ["b@1"])
        #expect(try bank.undo().map(\.subject) == ["a@1"])
        #expect(try bank.list().isEmpty)
        #expect(try bank.undo().isEmpty)
        #expect(bank.objectFiles.isEmpty)
        #expect(try bank.check(readData: true).isSound)
        #expect(try bank.auditLog().count { $0.action == "undo" } == 10)
    }

    @Test func `a batch is undone as a whole, with one audit row`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        try bank.tag("a", [Tag(parsing: "k")], batch: "one")
        try bank.tag("tag:set=x", [Tag(parsing: "l=1"), Tag(parsing: "l=2")], batch: "one")
        let rows = try bank.auditLog().count
        #expect(try bank.undo().count == 3)
        #expect(try bank.list().map(\.tags) == [["set": ["x"]], ["set": ["x"]]])
        #expect(try bank.auditLog().count == rows + 1)
    }

    @Test func `a pruned removal and a revocation cannot be undone`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        try bank.remove("a")
        #expect(try bank.collectGarbage(prune: true).pruned == 1)
        #expect(code { _ = try bank.undo() } == .stateNotAllowed)
        #expect(try bank.list().map(\.name) == ["b"])
        try bank.approve("b", reason: "fine")
        try bank.revoke("b", reason: "not fine")
        #expect(code { _ = try bank.undo() } == .stateNotAllowed)
        #expect(try bank.row(for: "b").state == .revoked)
    }

    @Test func `an undone move of an alias points back`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        try bank.importSample("a", seed: 3, in: folder)
        try bank.alias("a@1", "prod")
        try bank.alias("a@2", "prod")
        _ = try bank.undo()
        #expect(try bank.row(for: "a:prod").version == 1)
    }
}

@Suite struct DecisionTests {
    @Test func `decisions change states, keep reasons, and stand in the log`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("a", in: folder)
        #expect(code { try bank.approve("a", reason: "") } == .usageBadArgument)
        #expect(code { try bank.revoke("a", reason: "x") } == .stateNotAllowed)
        #expect(try bank.approve("a", reason: "measured on test")[0].state == .approved)
        #expect(code { try bank.approve("a", reason: "again") } == .stateNotAllowed)
        let detail = try bank.show("a")
        #expect(detail.decisions.map(\.reason) == ["measured on test"])
        #expect(detail.decisions.map(\.actor) == ["ada"])
        let entry = try #require(try bank.auditLog(last: 1).first)
        #expect(entry.action == "approve" && entry.subject == "a@1" && entry.actor == "ada")
        #expect(entry.details.contains("measured on test"))
        #expect(entry.details.contains(detail.row.object))
    }

    @Test func `a failed decision changes nothing, also for the others of its tag`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("a", seed: 1, tags: ["t"], in: folder)
        try bank.importSample("b", seed: 2, tags: ["t"], in: folder)
        try bank.approve("b", reason: "x")
        let rows = try bank.auditLog().count
        #expect(code { try bank.approve("tag:t", reason: "both") } == .stateNotAllowed)
        #expect(try bank.row(for: "a").state == .pending)
        #expect(try bank.auditLog().count == rows)
    }

    @Test func `revoking names the descendants, and takes them along on request`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        var last = try bank.importSample("p", seed: 1, in: folder).row
        for (number, name) in ["m1", "m2", "m3"].enumerated() {
            let workspace = try bank.workspace()
            try SampleAdapter(seed: 10 + number).write(to: workspace.folder)
            let parent = LineageParent(object: last.object, reference: last.reference)
            last = try workspace.commit(BankProduct(name: name, source: .merge, parents: [parent])).row
        }
        try bank.approve("p", reason: "x")
        try bank.approve("m1", reason: "x")
        try bank.reject("m3", reason: "x")
        let plain = try bank.revoke("p", reason: "poisoned")
        #expect(plain.changed.map(\.reference) == ["p@1"])
        #expect(plain.descendants.map(\.reference) == ["m1@1", "m2@1", "m3@1"])

        let other = try folder.newBank("second")
        var parent = try other.importSample("p", seed: 1, in: folder).row
        for (number, name) in ["m1", "m2"].enumerated() {
            let workspace = try other.workspace()
            try SampleAdapter(seed: 10 + number).write(to: workspace.folder)
            let link = LineageParent(object: parent.object, reference: parent.reference)
            parent = try workspace.commit(BankProduct(name: name, source: .merge, parents: [link])).row
        }
        try other.approve("p", reason: "x")
        try other.approve("m1", reason: "x")
        let cascade = try other.revoke("p", reason: "poisoned", cascade: true)
        #expect(cascade.changed.map(\.state) == [.revoked, .revoked, .rejected])
        #expect(cascade.descendants.isEmpty)
        #expect(try other.show("m1").decisions.last?.reason.contains("p@1") == true)
        try other.verifyAudit()
    }

    @Test func `the policy's approvers, two-person rule and number are kept`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank(policy: .strict)
        try bank.importSample("a", in: folder)
        var settings = bank.settings
        settings.policy.approvers = ["ada", "grace", "hedy"]
        settings.policy.twoPerson = true
        settings.policy.required = 2
        try settings.text.write(toFile: folder.file("bank/lorabank.toml"), atomically: true, encoding: .utf8)
        func bankOf(_ actor: String) throws -> Bank { try Bank.open(folder.file("bank"), actor: actor) }
        #expect(code { try bankOf("eve").approve("a", reason: "x") } == .policyNotApproved)
        #expect(code { try bankOf("ada").approve("a", reason: "x") } == .policyNotApproved)
        #expect(try bankOf("grace").approve("a", reason: "x")[0].state == .pending)
        #expect(try bankOf("grace").approve("a", reason: "again")[0].state == .pending)
        #expect(try bankOf("hedy").approve("a", reason: "x")[0].state == .approved)
        let actions = try bank.auditLog().map(\.action)
        #expect(actions == ["init", "import", "policy", "approve", "approve", "approve"])
        try bank.verifyAudit()
    }
}
