import Foundation
import Testing

@testable import WeightFiles

/// What killed processes left beside a target.
@Suite struct AbandonedOutputTests {
    private func names(_ scratch: Scratch) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: scratch("")).sorted()
    }

    @Test func `the next output for the same target removes it and nothing else`() throws {
        let scratch = try Scratch()
        let (first, second) = (UUID().uuidString.lowercased(), UUID().uuidString.lowercased())
        let files = FileManager.default
        for name in [".out.lorabank-\(first)", "..out.lorabank-\(first).lorabank-\(second)"] {
            try files.createDirectory(atPath: scratch(name), withIntermediateDirectories: true)
            try Data([1]).write(to: URL(filePath: scratch(name + "/weights")))
        }
        try Data([1]).write(to: URL(filePath: scratch(".out.lorabank-\(second)")))
        let kept = [
            ".other.lorabank-\(first)", ".out.lorabank-notes", ".out.lorabank-0123456789abcdef",
            "out.lorabank-\(first)",
        ]
        for name in kept { try Data([2]).write(to: URL(filePath: scratch(name))) }
        try AtomicFolder(path: scratch("out")).commit()
        #expect(try names(scratch) == (kept + ["out"]).sorted())
    }

    @Test func `what somebody works on stays`() throws {
        let scratch = try Scratch()
        let folder = try AtomicFolder(path: scratch("out"))
        let inner = try AtomicFolder(path: folder.temporaryPath)
        let file = try AtomicFile(path: scratch("out"))
        // Another process would do the same; locks belong to open files, not to processes.
        AbandonedOutput.remove(for: scratch("out"))
        #expect(try names(scratch).count == 3)
        // The inner folder takes the place of the outer one, and with it its lock.
        try inner.commit()
        AbandonedOutput.remove(for: scratch("out"))
        #expect(try names(scratch).count == 2)
        file.abandon()
        try folder.commit()
        #expect(try names(scratch) == ["out"])
    }

    @Test func `names of other targets are no temporary names of this one`() {
        let id = UUID().uuidString
        #expect(AbandonedOutput.isTemporary(".a.lorabank-\(id)", of: "a"))
        #expect(AbandonedOutput.isTemporary("..a.lorabank-\(id).lorabank-\(id)", of: "a"))
        for name in [".b.lorabank-\(id)", "a.lorabank-\(id)", ".a.lorabank-", ".a.lorabank-\(id)x", "a", "."] {
            #expect(!AbandonedOutput.isTemporary(name, of: "a"), "\(name)")
        }
    }
}
