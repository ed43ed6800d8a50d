import Adapters
import Diagnostics
import Foundation
import Testing

@testable import Bank
@testable import WeightFiles

#if DEBUG
    /// What is killed, or runs out of disk, at every file-system call.
    enum RiskyWork: String, CaseIterable, Codable, Sendable {
        case importing, merging, removing, collecting, undoing

        /// A bank with `old@1` and what the work needs, and a source folder beside it.
        func prepare(_ folder: TemporaryFolder) throws {
            let bank = try folder.newBank()
            try bank.importSample("old", seed: 1, in: folder)
            try SampleAdapter(seed: 2).write(to: folder.file("new"))
            if self == .removing || self == .collecting || self == .undoing {
                _ = try bank.importAdapter(AdapterLocation(path: folder.file("new"), form: .folder))
            }
            if self == .collecting || self == .undoing { try bank.remove("new") }
            try bank.close()
        }

        func run(in folder: String) throws {
            let bank = try Bank.open(folder + "/bank", access: .readWrite)
            switch self {
            case .importing: _ = try bank.importAdapter(AdapterLocation(path: folder + "/new", form: .folder))
            case .merging:
                let workspace = try bank.workspace()
                try SampleAdapter(seed: 2).write(to: workspace.folder)
                let old = try bank.row(for: "old")
                let parent = LineageParent(object: old.object, reference: old.reference)
                _ = try workspace.commit(BankProduct(name: "new", source: .merge, parents: [parent]))
            case .removing: try bank.remove("new")
            case .collecting: _ = try bank.collectGarbage(prune: true)
            case .undoing: _ = try bank.undo()
            }
        }

        /// Adapters before and after.
        var before: [String] { self == .removing ? ["new@1", "old@1"] : ["old@1"] }
        var after: [String] { [.importing, .merging, .undoing].contains(self) ? ["new@1", "old@1"] : ["old@1"] }
    }

    @Suite struct CrashTests {
        func calls(of work: RiskyWork) throws -> Int {
            let folder = try TemporaryFolder()
            try work.prepare(folder)
            let plan = FaultPlan()
            try FaultPoint.$localPlan.withValue(plan) { try work.run(in: folder.path) }
            return plan.trace.count
        }

        @Test(arguments: RiskyWork.allCases)
        func `killed anywhere, the bank shows the state before or after, and goes on`(_ work: RiskyWork) async throws {
            let count = try calls(of: work)
            #expect(count >= 2)
            for number in 1...count {
                let folder = try TemporaryFolder()
                try work.prepare(folder)
                let path = folder.path
                await #expect(processExitsWith: .signal(SIGKILL)) {
                    [path = path as String, number = number as Int, work = work as RiskyWork] in
                    setenv("LORABANK_CRASH_AT", String(number), 1)
                    try work.run(in: path)
                }
                let bank = try Bank.open(folder.file("bank"))
                let report = try bank.check(readData: true)
                #expect(report.problems.isEmpty, "\(work) killed at call \(number)")
                let shown = try bank.list().map(\.reference)
                #expect(shown == work.before || shown == work.after, "\(work) killed at call \(number): \(shown)")
                #expect(try BankLibrary(bank).adapters(for: "old", relativeTo: "").count == 1)
                _ = try bank.collectGarbage()
                #expect(try FileManager.default.contentsOfDirectory(atPath: bank.layout.temporary).isEmpty)
                if shown == work.before {
                    try work.run(in: folder.path)
                    #expect(try bank.list().map(\.reference) == work.after)
                }
                #expect(try bank.check(readData: true).isSound)
            }
        }

        @Test(arguments: [RiskyWork.importing, .merging])
        func `a full disk at any write is an error that leaves nothing behind`(_ work: RiskyWork) throws {
            let folder = try TemporaryFolder()
            try work.prepare(folder)
            let bank = try Bank.open(folder.file("bank"))
            var number = 0
            while true {
                number += 1
                let plan = FaultPlan(failWriteAt: number)
                let failure = code { try FaultPoint.$localPlan.withValue(plan) { try work.run(in: folder.path) } }
                if failure == nil { break }
                #expect(failure == .ioNoSpace, "write \(number)")
                #expect(try bank.list().map(\.reference) == ["old@1"])
                #expect(bank.objectFiles.count == 1)
                #expect(try FileManager.default.contentsOfDirectory(atPath: bank.layout.temporary).isEmpty)
            }
            #expect(number > 3)
            #expect(try bank.list().map(\.reference) == ["new@1", "old@1"])
        }

        @Test func `an import synchronises the archive and the folder before it enters the adapter`() throws {
            let folder = try TemporaryFolder()
            try RiskyWork.importing.prepare(folder)
            let plan = FaultPlan()
            try FaultPoint.$localPlan.withValue(plan) { try RiskyWork.importing.run(in: folder.path) }
            let trace = plan.trace
            let commit = try #require(trace.firstIndex(of: "commit"))
            // …, write and synchronise the archive, name it, name it in objects, synchronise that folder.
            let last = trace[..<commit].suffix(8)
            #expect(last.contains("rename") && last.last == "fsync", "\(trace)")
            #expect(trace[..<commit].contains("pwrite"))
            #expect(trace[commit...].allSatisfy { $0 == "commit" || $0 == "unlink" || $0 == "rmdir" })
        }
    }
#endif
