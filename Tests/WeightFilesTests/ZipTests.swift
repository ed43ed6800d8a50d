import Diagnostics
import Digests
import Foundation
import Testing

@testable import WeightFiles

@Suite struct ZipTests {
    typealias Entry = ZipBytes.Entry

    private func outcome(_ bytes: [UInt8], limits: ArchiveLimits = ArchiveLimits()) throws -> String? {
        let scratch = try Scratch()
        let path = try scratch.write(bytes, as: "x.zip")
        return code { _ = try ArchiveReader(path: path, limits: limits).list() }
    }

    @Test func `entries are read, folders and comments allowed`() throws {
        let scratch = try Scratch()
        let zip = ZipBytes.archive(
            [Entry("d/").with { $0.mode = 0o040755 }, Entry("d/a.json", [1, 2, 3]), Entry("é", [4])],
            comment: Array("PK\u{5}\u{6}!".utf8))
        let listing = try ArchiveReader(path: try scratch.write(zip, as: "x.zip")).list()
        #expect(listing.members.map(\.name) == ["d/a.json", "é"])
        #expect(listing.members.first?.digest == SHA256Digest.of([1, 2, 3]))
    }

    @Test func `names follow the same rules as in tar`() throws {
        for (name, expected) in [
            ("../x", "path.dotdot"), ("/x", "path.absolute"), ("..\\x", "path.bad_name"), ("a\u{0}b", "path.bad_name"),
            ("", "path.bad_name"), ("c:/x", "path.bad_name"),
        ] {
            #expect(try outcome(ZipBytes.archive([Entry("a", [1]), Entry(name, [2])])) == expected)
        }
        #expect(try outcome(ZipBytes.archive([Entry("a", [1]), Entry("a", [2])])) == "path.duplicate")
        #expect(try outcome(ZipBytes.archive([Entry("a", [1]), Entry("A", [2])])) == "path.case_collision")
        #expect(
            try outcome(ZipBytes.archive([Entry("l", Array("..".utf8)).with { $0.mode = 0o120777 }])) == "path.symlink")
        #expect(try outcome(ZipBytes.archive([Entry("l").with { $0.mode = 0o010644 }])) == "path.special_file")
    }

    @Test func `directory and local headers must agree`() throws {
        func with(_ change: (inout Entry) -> Void) throws -> String? {
            try outcome(ZipBytes.archive([Entry("a", [1, 2, 3]).with(change), Entry("b", [4])]))
        }
        #expect(try with { $0.localName = Array("z".utf8) } == "archive.corrupt")
        #expect(try with { $0.localSize = 4 } == "archive.corrupt")
        #expect(try with { $0.size = 2 } == "archive.corrupt")
        #expect(try with { $0.size = 4 } == "archive.corrupt")
        #expect(try with { $0.crc = 7 } == "archive.corrupt")
        #expect(try with { _ in } == nil)
    }

    @Test func `a name beyond the limit is refused whole`() throws {
        let name = String(repeating: "a/", count: 15) + String(repeating: "b", count: 3000)
        #expect(try outcome(ZipBytes.archive([Entry("a", [1]), Entry(name, [2])])) == "path.too_long")
    }

    @Test func `encrypted entries are refused`() throws {
        #expect(try outcome(ZipBytes.archive([Entry("a", [1]).with { $0.flags = 1 }])) == "archive.encrypted")
        #expect(try outcome(ZipBytes.archive([Entry("a", [1]).with { $0.method = 99 }])) == "archive.encrypted")
        // An unsafe name in the directory comes first.
        #expect(try outcome(ZipBytes.archive([Entry("a", [1]).with { $0.flags = 1 }, Entry("../b")])) == "path.dotdot")
    }

    @Test func `entries that share bytes are a bomb`() throws {
        let shared = (1...5).map { i in Entry("a\(i)", [1, 2, 3]).with { $0.sharesEntry = 0 } }
        #expect(try outcome(ZipBytes.archive([Entry("a", [1, 2, 3])] + shared)) == "archive.bomb")
    }

    @Test func `sizes are judged by the directory alone`() throws {
        var limits = ArchiveLimits()
        limits.members = 2
        #expect(
            try outcome(ZipBytes.archive((0..<3).map { Entry("\($0)", [1]) }), limits: limits)
                == "archive.too_many_entries")
        #expect(try outcome(ZipBytes.archive([Entry("a", [1]).with { $0.size = 1 << 30 }])) == "archive.bomb")
        limits.unpackedBytes = 10
        #expect(
            try outcome(ZipBytes.archive([Entry("a", SafetensorsBytes.zeros(11))]), limits: limits)
                == "archive.too_large")
    }

    @Test func `every truncation and every flipped bit of the directory is noticed or harmless`() throws {
        let good = ZipBytes.archive([Entry("a", [1, 2, 3]), Entry("b", [4])])
        for count in 4..<good.count { #expect(try outcome(Array(good.prefix(count))) != nil) }
        #expect(try outcome(Array(good.prefix(60))) == "archive.truncated")
        #expect(try outcome(good + [0]) == "archive.truncated")
        #expect(try outcome(ZipBytes.archive([])) == "archive.empty")
        let scratch = try Scratch()
        for byte in good.indices {
            var bad = good
            bad[byte] ^= 0x10
            let path = try scratch.write(bad, as: "x.zip")
            // Time stamps, versions and attributes may change; names and contents may not.
            if let listing = try? ArchiveReader(path: path).list() {
                #expect(listing.members.map(\.digest) == [SHA256Digest.of([1, 2, 3]), SHA256Digest.of([4])])
                #expect(listing.members.map(\.name) == ["a", "b"])
            }
        }
    }
}
