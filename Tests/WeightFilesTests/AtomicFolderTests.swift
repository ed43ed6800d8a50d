import Diagnostics
import Foundation
import Testing

@testable import WeightFiles

@Suite struct AtomicFolderTests {
    private func fill(_ folder: AtomicFolder, _ names: [String], _ byte: UInt8 = 1) throws {
        for name in names {
            let path = folder.file(name)
            try DurableFiles.createFolders((path as NSString).deletingLastPathComponent)
            try Data([byte]).write(to: URL(fileURLWithPath: path))
        }
    }

    @Test func `the folder appears with everything in it`() throws {
        let scratch = try Scratch()
        let folder = try AtomicFolder(path: scratch("deep/er/out/"))
        try fill(folder, ["a", "sub/b"])
        #expect(!FileManager.default.fileExists(atPath: scratch("deep/er/out")))
        try folder.commit()
        #expect(try scratch.read("deep/er/out/a") == [1])
        #expect(try scratch.read("deep/er/out/sub/b") == [1])
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch("deep/er")) == ["out"])
    }

    @Test func `an abandoned folder leaves nothing`() throws {
        let scratch = try Scratch()
        do {
            let folder = try AtomicFolder(path: scratch("out"))
            try fill(folder, ["a", "sub/b"])
        }
        #expect(scratch.names.isEmpty)
    }

    @Test func `an empty folder counts as nothing there`() throws {
        let scratch = try Scratch()
        try DurableFiles.createFolders(scratch("out"))
        let folder = try AtomicFolder(path: scratch("out"))
        try fill(folder, ["a"])
        try folder.commit()
        #expect(try scratch.read("out/a") == [1])
        #expect(scratch.names == ["out"])
    }

    @Test func `a folder with content is refused, early and late`() throws {
        let scratch = try Scratch()
        let late = try AtomicFolder(path: scratch("out"))
        try scratch.write([9], as: "out/theirs")
        #expect(code { _ = try AtomicFolder(path: scratch("out")) } == "output.exists")
        #expect(code { try late.commit() } == "output.exists")
        #expect(scratch.names == ["out"])
        try scratch.write([9], as: "file")
        #expect(code { _ = try AtomicFolder(path: scratch("file")) } == "output.exists")
    }

    @Test func `replacing keeps the user's other files`() throws {
        let scratch = try Scratch()
        try scratch.write([1], as: "out/a")
        try scratch.write([1], as: "out/notes/theirs.txt")
        let refused = try AtomicFolder(path: scratch("out"), overwrite: true)
        try fill(refused, ["a", "b"], 2)
        #expect(code { try refused.commit() } == "output.exists")
        #expect(try scratch.read("out/a") == [1])

        try FileManager.default.removeItem(atPath: scratch("out/notes"))
        let folder = try AtomicFolder(path: scratch("out"), overwrite: true)
        try fill(folder, ["a", "b"], 2)
        try folder.commit()
        #expect(try scratch.read("out/a") == [2])
        #expect(try scratch.read("out/b") == [2])
        #expect(scratch.names == ["out"])
    }

    @Test func `a file in the folder's place is never replaced`() throws {
        let scratch = try Scratch()
        let folder = try AtomicFolder(path: scratch("out"), overwrite: true)
        try fill(folder, ["a"])
        try scratch.write([1], as: "out")
        #expect(code { try folder.commit() } == "output.exists")
        #expect(try scratch.read("out") == [1])
        #expect(scratch.names == ["out"])
    }
}
