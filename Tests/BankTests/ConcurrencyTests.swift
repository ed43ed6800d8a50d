import Adapters
import Diagnostics
import Foundation
import Testing

@testable import Bank

@Suite struct ConcurrencyTests {
    @Test func `threads with one bank neither lose nor double anything`() async throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for step in 0..<5 {
                        let name = "w\(worker)-\(step)"
                        try bank.importSample(name, seed: worker * 100 + step, in: folder)
                        try bank.tag(name, [Tag(key: "step", value: String(step))])
                        _ = try bank.find("step:\(step)")
                        if step == 4 { try bank.remove("w\(worker)-0") }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try bank.list().count == 16)
        #expect(try bank.find("step:4").count == 4)
        let changes = 4 * (5 + 5 + 1)
        #expect(try bank.auditLog().count == changes + 1)
        #expect(try bank.check(readData: true).isSound)
    }

    @Test func `processes at once get versions without gaps, and one log`() async throws {
        let folder = try TemporaryFolder()
        _ = try folder.newBank()
        let path = folder.path
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    await #expect(processExitsWith: .success) {
                        [path = path as String, worker = worker as Int] in
                        let bank = try Bank.open(path + "/bank", actor: "worker\(worker)")
                        for step in 0..<4 {
                            let source = path + "/src-\(worker)-\(step)"
                            let location = try SampleAdapter(seed: worker * 100 + step).write(to: source)
                            var options = ImportOptions()
                            options.name = "shared"
                            let outcome = try bank.importAdapter(location, options: options)
                            try bank.tag(outcome.row.reference, [Tag(key: "worker", value: String(worker))])
                            if step == 3 { try bank.remove(outcome.row.reference) }
                        }
                    }
                }
            }
        }
        let bank = try Bank.open(folder.file("bank"))
        let log = try bank.auditLog()
        let changes = 4 * (4 + 4 + 1)
        #expect(log.count == changes + 1)
        let imported = Set(log.filter { $0.action == "import" }.map(\.subject))
        let expected = Set((1...16).map { "shared@\($0)" })
        #expect(imported == expected)
        #expect(try bank.list().count == 12)
        for worker in 0..<4 { #expect(try bank.find("worker:\(worker)").count == 3) }
        #expect(try bank.check(readData: true).isSound)
    }

    @Test func `the same content from many sides becomes one object`() async throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let fresh = try await withThrowingTaskGroup(of: Bool.self) { group in
            for worker in 0..<6 {
                group.addTask { try !bank.importSample("n\(worker % 3)", seed: 1, in: folder).alreadyPresent }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(fresh == 1)
        #expect(bank.objectFiles.count == 1)
        #expect(try bank.list().map(\.reference) == ["n0@1", "n1@1", "n2@1"])
    }

    @Test func `an import that takes a discarded object into use brings it back`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        let outcome = try bank.importSample("a", in: folder)
        // The object vanishes between its placing and the transaction, as when another process removes its last user.
        let workspace = try bank.workspace()
        try SampleAdapter().write(to: workspace.folder)
        try bank.remove("a")
        #expect(!bank.store.contains(outcome.object))
        let again = try workspace.commit(BankProduct(name: "b", source: .merge))
        #expect(bank.store.contains(again.object))
        #expect(try bank.check(readData: true).isSound)
    }

    @Test func `a hundred readers see whole states while one writes`() async throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("a", in: folder)
        let reader = try Bank.open(folder.file("bank"), access: .readOnly)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for step in 0..<20 { try bank.tag("a", [Tag(key: "x\(step)"), Tag(key: "y\(step)")]) }
            }
            for _ in 0..<100 {
                group.addTask {
                    let tags = try reader.row(for: "a").tags.count
                    #expect(tags % 2 == 0)
                }
            }
            try await group.waitForAll()
        }
        #expect(try reader.row(for: "a").tags.count == 40)
    }
}
