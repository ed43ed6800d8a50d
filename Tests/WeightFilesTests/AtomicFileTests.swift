import Diagnostics
import Digests
import Foundation
import Testing

@testable import WeightFiles

@Suite struct AtomicFileTests {
    @Test func `nothing shows before the commit, everything after it`() throws {
        let scratch = try Scratch()
        let file = try AtomicFile(path: scratch("out"), expectedSize: 6)
        try file.append([1, 2, 3])
        #expect(!scratch.names.contains("out"))
        #expect(scratch.names.allSatisfy { $0.hasPrefix(".out.lorabank-") })
        try file.append([4, 5, 6])
        #expect(try file.digest() == SHA256Digest.of([1, 2, 3, 4, 5, 6]))
        try file.commit()
        #expect(try scratch.read("out") == [1, 2, 3, 4, 5, 6])
        #expect(scratch.names == ["out"])
    }

    @Test func `a file that is given up leaves nothing`() throws {
        let scratch = try Scratch()
        do {
            let file = try AtomicFile(path: scratch("a"))
            try file.append([1])
            let other = try AtomicFile(path: scratch("b"))
            other.abandon()
            other.abandon()
        }
        #expect(scratch.names.isEmpty)
    }

    @Test func `an existing file is refused at once and at the end`() throws {
        let scratch = try Scratch()
        let late = try AtomicFile(path: scratch("out"))
        try AtomicFile.write([1], to: scratch("out"))
        #expect(code { _ = try AtomicFile(path: scratch("out")) } == "output.exists")
        #expect(code { try late.commit() } == "output.exists")
        #expect(try scratch.read("out") == [1])
        try AtomicFile.write([2], to: scratch("out"), overwrite: true)
        #expect(try scratch.read("out") == [2])
        #expect(scratch.names == ["out"])
    }

    @Test func `a link at the target counts as existing and is not followed`() throws {
        let scratch = try Scratch()
        try scratch.write([7], as: "target")
        symlink("target", scratch("out"))
        symlink("nowhere", scratch("dangling"))
        #expect(code { _ = try AtomicFile(path: scratch("out")) } == "output.exists")
        #expect(code { _ = try AtomicFile(path: scratch("dangling")) } == "output.exists")
        try AtomicFile.write([1], to: scratch("out"), overwrite: true)
        #expect(try scratch.read("target") == [7])
        #expect(try scratch.read("out") == [1])
    }

    @Test func `a missing folder is named`() throws {
        let scratch = try Scratch()
        #expect(code { _ = try AtomicFile(path: scratch("none/out")) } == "io.not_found")
    }

    @Test func `long names and bare names work`() throws {
        let scratch = try Scratch()
        let name = String(repeating: "é", count: 125)
        try AtomicFile.write([1], to: scratch(name))
        #expect(scratch.names == [name])
        #expect(PathParts("out").folder == ".")
        #expect(PathParts("/out").folder == "/")
        #expect(PathParts("a/b/").name == "b")
        #expect(PathParts("a/b/").folder == "a")
    }

    @Test func `a disk that is too small is an error with figures`() throws {
        let scratch = try Scratch()
        do {
            _ = try AtomicFile(path: scratch("out"), expectedSize: 1 << 60)
            Issue.record("there is no such disk")
        } catch let failure as Failure {
            #expect(failure.code == .ioNoSpace)
            #expect(failure.details["needed_bytes"] == "\(1 << 60)")
            #expect(Int(failure.details["free_bytes"] ?? "") ?? -1 >= 0)
        }
        #expect(scratch.names.isEmpty)
    }

    /// `ulimit -f` ends a process by a signal unless the program takes care.
    @Test func `a limit on file sizes is an error, not a signal`() async {
        await #expect(processExitsWith: .success) {
            let scratch = try Scratch()
            let file = try AtomicFile(path: scratch("out"))
            var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let result = code { try file.append([UInt8](repeating: 1, count: 10_000)) }
            file.abandon()
            guard result == "io.no_space", scratch.names.isEmpty else { exit(1) }
        }
    }

    @Test func `renaming never replaces unless told to`() throws {
        let scratch = try Scratch()
        try scratch.write([1], as: "a")
        try scratch.write([2], as: "b")
        #expect(code { try DurableFiles.move(from: scratch("a"), toNew: scratch("b")) } == "output.exists")
        #expect(scratch.names == ["a", "b"])
        try DurableFiles.move(from: scratch("a"), toNew: scratch("c"))
        try DurableFiles.move(from: scratch("c"), replacing: scratch("b"))
        #expect(scratch.names == ["b"])
        #expect(try scratch.read("b") == [1])
    }

    @Test func `folders are created with all above them`() throws {
        let scratch = try Scratch()
        try DurableFiles.createFolders(scratch("x/y/z"))
        try DurableFiles.createFolders(scratch("x/y/z"))
        #expect(FileManager.default.fileExists(atPath: scratch("x/y/z")))
        try scratch.write([1], as: "file")
        #expect(code { try DurableFiles.createFolders(scratch("file")) } == "output.exists")
    }
}
