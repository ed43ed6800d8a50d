import Diagnostics
import Foundation
import Tensors
import Testing

@Suite struct MappedFileTests {
    /// A folder that is gone when the object is.
    final class Folder {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("mapped-\(UUID().uuidString)")
        init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(at: url) }
        func path(_ name: String) -> String { url.appendingPathComponent(name).path }
    }

    @Test func bytesSurviveReleaseAndDeletion() throws {
        let folder = try Folder()
        let content = Data((0..<20000).map { UInt8($0 % 251) })
        try content.write(to: URL(fileURLWithPath: folder.path("f")))
        let file = try MappedFile(path: folder.path("f"))
        try FileManager.default.removeItem(atPath: folder.path("f"))
        #expect(Data(file.bytes) == content)
        file.release(0..<20000)
        file.release(5..<6)
        #expect(Data(file.bytes) == content)
    }

    @Test func anEmptyFileIsEmpty() throws {
        let folder = try Folder()
        try Data().write(to: URL(fileURLWithPath: folder.path("f")))
        #expect(try MappedFile(path: folder.path("f")).bytes.isEmpty)
    }

    @Test func refusesWhatIsNoRegularFile() throws {
        let folder = try Folder()
        try Data([1]).write(to: URL(fileURLWithPath: folder.path("f")))
        try FileManager.default.createSymbolicLink(atPath: folder.path("link"), withDestinationPath: folder.path("f"))
        #expect(try MappedFile(path: folder.path("link")).bytes.count == 1)
        let link = try #require(throws: Failure.self) { try MappedFile(path: folder.path("link"), followLinks: false) }
        #expect(link.code == .pathSymlink)
        let directory = try #require(throws: Failure.self) { try MappedFile(path: folder.url.path) }
        #expect(directory.code == .pathSpecialFile)
        let missing = try #require(throws: Failure.self) { try MappedFile(path: folder.path("none")) }
        #expect(missing.code == .ioNotFound && missing.path == folder.path("none"))
    }
}
