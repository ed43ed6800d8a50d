import Foundation
import Testing

@testable import Diagnostics

@Suite struct UnfinishedPathsTests {
    @Test func `an interruption removes what is registered, and nothing else`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "unfinished-\(UUID().uuidString)")
        let unfinished = UnfinishedPaths()
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["begun/inner", "finished"] {
            try FileManager.default.createDirectory(at: folder.appending(path: name), withIntermediateDirectories: true)
        }
        try Data([1]).write(to: folder.appending(path: "begun/inner/file"))
        unfinished.add(folder.appending(path: "begun").path)
        unfinished.add(folder.appending(path: "finished").path)
        unfinished.add(folder.appending(path: "never-made").path)
        unfinished.remove(folder.appending(path: "finished").path)
        unfinished.removeAll()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["finished"])
    }
}
