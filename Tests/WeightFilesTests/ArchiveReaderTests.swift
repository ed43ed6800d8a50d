import Diagnostics
import Digests
import Foundation
import Testing

@testable import WeightFiles

@Suite struct ArchiveReaderTests {
    typealias Member = TarBytes.Member

    struct Case: Sendable, CustomTestStringConvertible {
        var code: String?
        var members: [@Sendable () -> Member]
        var why: String
        var testDescription: String { "\(code ?? "accepted"): \(why)" }

        init(_ code: String?, _ why: String, _ members: @escaping @Sendable @autoclosure () -> [Member]) {
            self.code = code
            self.why = why
            self.members = members().indices.map { i in { members()[i] } }
        }
    }

    static let names: [Case] = [
        Case(
            nil, "folders, dots, doubled slashes", [.init("./", type: "5"), .init("./a", [1]), .init("b//c/./d", [2])]),
        Case(nil, "UTF-8 names", [.init("é/日本", [1])]),
        Case(nil, "a folder after its file", [.init("a/b", [1]), .init("a/", type: "5")]),
        Case("path.dotdot", "up", [.init("a", [1]), .init("../x", [1])]),
        Case("path.dotdot", "up and down again", [.init("a/../b", [1])]),
        Case("path.dotdot", "alone", [.init("..", type: "5")]),
        Case(nil, "dots in a name", [.init("a..b/...", [1])]),
        Case("path.absolute", "root", [.init("/tmp/x", [1])]),
        Case("path.absolute", "two slashes", [.init("//x", [1])]),
        Case("path.symlink", "link", [.init("d", type: "2", link: "..")]),
        Case("path.hardlink", "hard link", [.init("copy", type: "1", link: "/etc/passwd")]),
        Case("path.special_file", "character device", [.init("null", type: "3")]),
        Case("path.special_file", "block device", [.init("sda", type: "4")]),
        Case("path.special_file", "pipe", [.init("pipe", type: "6")]),
        Case("path.symlink", "a link with a bad name", [.init("../x", type: "2", link: "y")]),
        Case("path.bad_name", "Latin-1", [.init([0x63, 0x61, 0x66, 0xE9], [1])]),
        Case("path.bad_name", "backslash", [.init("..\\x", [1])]),
        Case("path.bad_name", "drive", [.init("C:x", [1])]),
        Case("path.bad_name", "escape character", [.init("a\u{1B}[2J", [1])]),
        Case("path.bad_name", "C1 control character", [.init("a\u{9B}2J", [1])]),
        Case("path.bad_name", "line end", [.init("a\nb", [1])]),
        Case("path.bad_name", "delete", [.init("a\u{7F}", [1])]),
        Case("path.duplicate", "twice", [.init("a", [1]), .init("a", [2])]),
        Case("path.duplicate", "through a dot", [.init("a", [1]), .init("./a", [2])]),
        Case("path.duplicate", "in two normal forms", [.init("e\u{301}", [1]), .init("é", [2])]),
        Case("path.duplicate", "file and folder", [.init("a", [1]), .init("a/b", [2])]),
        Case("path.duplicate", "folder and file", [.init("a/b", [1]), .init("a", [2])]),
        Case("path.case_collision", "case", [.init("config", [1]), .init("Config", [2])]),
        Case("path.case_collision", "case of a folder", [.init("a/x", [1]), .init("A/y", [2])]),
        Case("path.case_collision", "folded letters", [.init("straße", [1]), .init("STRASSE", [2])]),
        Case("path.case_collision", "long s", [.init("ſ", [1]), .init("s", [2])]),
        Case("path.too_long", "33 parts", [.init(String(repeating: "a/", count: 32) + "b", [1])]),
        Case(nil, "32 parts", [.init(String(repeating: "a/", count: 31) + "b", [1])]),
    ]

    static let long: [Case] = [
        Case(nil, "255 bytes", [TarBytes.pax([("path", String(repeating: "a", count: 255))]), .init("short", [1])]),
        Case(
            "path.too_long", "256 bytes",
            [TarBytes.pax([("path", String(repeating: "a", count: 256))]), .init("short", [1])]),
        Case(
            "path.too_long", "1,025 bytes",
            [
                TarBytes.pax([
                    (
                        "path",
                        String(repeating: String(repeating: "a", count: 99) + "/", count: 10)
                            + String(repeating: "b", count: 25)
                    )
                ]), .init("s", [1]),
            ]),
        Case("path.dotdot", "in a PAX name", [TarBytes.pax([("path", "../x")]), .init("short", [1])]),
        Case(
            "path.hardlink", "in a PAX link",
            [TarBytes.pax([("linkpath", "/etc/passwd")]), .init("s", type: "1", link: "/etc")]),
    ]

    static let containers: [Case] = [
        Case("archive.empty", "nothing inside", []),
        Case("archive.empty", "folders only", [.init("a/", type: "5")]),
        Case(
            "archive.too_large", "8 TiB claimed",
            [
                {
                    var m = Member("a")
                    m.claimedSize = 8 << 40
                    return m
                }()
            ]),
        Case(
            "archive.truncated", "10 bytes claimed, none there",
            [
                {
                    var m = Member("a")
                    m.claimedSize = 5000
                    return m
                }()
            ]),
        Case(
            "archive.too_large", "a sparse member",
            [
                TarBytes.pax([
                    ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "a"),
                    ("GNU.sparse.realsize", "1048576"),
                ]), .init("GNUSparse/a", Array("1\n0\n1\n".utf8) + [UInt8](repeating: 0, count: 506) + [1]),
            ]),
    ]

    private func read(_ bytes: [UInt8], limits: ArchiveLimits = ArchiveLimits()) throws -> ArchiveListing {
        let scratch = try Scratch()
        return try ArchiveReader(path: try scratch.write(bytes, as: "x"), limits: limits).list()
    }

    @Test(arguments: names + long + containers)
    func `rules of names and members`(_ row: Case) throws {
        let archive = TarBytes.archive(row.members.map { $0() })
        #expect(code { _ = try read(archive) } == row.code)
        // Compression changes nothing.
        #expect(code { _ = try read(GzipBytes.stored(archive)) } == row.code)
    }

    @Test func `members are stored under the names the caller chooses`() throws {
        let scratch = try Scratch()
        let big = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 17 >> 3) }
        let archive = TarBytes.archive([
            .init("top/", type: "5"), .init("top/adapter_config.json", Array("{}".utf8)), .init("top/skipped", [9]),
            .init("top/adapter_model.safetensors", big), .init("top/empty"),
        ])
        let tar = try scratch.write(archive, as: "x.tar")
        try DurableFiles.createFolders(scratch("out"))
        var asked: [String] = []
        let listing = try ArchiveReader(path: tar).unpack(into: scratch("out")) { name, number in
            asked.append("\(number) \(name)")
            return name.hasSuffix("skipped") ? nil : "m\(number)"
        }
        #expect(
            asked == ["0 top/adapter_config.json", "1 top/skipped", "2 top/adapter_model.safetensors", "3 top/empty"])
        #expect(listing.members.map(\.name) == asked.map { String($0.dropFirst(2)) })
        #expect(listing.members.map(\.size) == [2, 1, big.count, 0])
        #expect(listing.members[2].digest == SHA256Digest.of(big))
        #expect(listing.members[1].storedAt == nil)
        #expect(try scratch.read("out/m2") == big)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch("out")).sorted() == ["m0", "m2", "m3"])
        let mode = try FileManager.default.attributesOfItem(atPath: scratch("out/m0"))[.posixPermissions] as? Int
        #expect((mode ?? 0) & 0o133 == 0)
        for bad in ["../x", "a/b", "", "."] {
            #expect(
                code { _ = try ArchiveReader(path: tar).unpack(into: scratch("out")) { _, _ in bad } }
                    == "path.bad_name")
        }
    }

    @Test(arguments: [(0o4755, 1), (0o755, 1), (0o2644, 1), (0o644, 0), (0o600, 0), (0o666, 0)])
    func `modes beyond 0644 are a finding`(mode: Int, findings: Int) throws {
        let listing = try read(TarBytes.archive([.init("a", [1], mode: mode)]))
        #expect(listing.findings.count == findings)
        #expect(listing.findings.allSatisfy { $0.code == "file.mode_dropped" && $0.place == "a" })
    }

    @Test func `the number of members is limited`() throws {
        var limits = ArchiveLimits()
        limits.members = 3
        let members = (0..<4).map { Member("f\($0)", [1]) }
        #expect(code { _ = try read(TarBytes.archive(Array(members.prefix(3))), limits: limits) } == nil)
        #expect(code { _ = try read(TarBytes.archive(members), limits: limits) } == "archive.too_many_entries")
    }

    @Test func `the unpacked size is limited`() throws {
        var limits = ArchiveLimits()
        limits.unpackedBytes = 1000
        #expect(
            code { _ = try read(TarBytes.archive([.init("a", SafetensorsBytes.zeros(1000))]), limits: limits) } == nil)
        let two = TarBytes.archive([.init("a", SafetensorsBytes.zeros(600)), .init("b", SafetensorsBytes.zeros(600))])
        #expect(code { _ = try read(two, limits: limits) } == "archive.too_large")
        #expect(code { _ = try read(GzipBytes.stored(two), limits: limits) } == "archive.too_large")
    }

    @Test func `what comes first decides between unsafe and damaged`() throws {
        let unsafeFirst = TarBytes.archive([.init("../x", [1]), .init("b", [2])])
        #expect(code { _ = try read(Array(unsafeFirst.prefix(1200))) } == "path.dotdot")
        var damagedFirst = TarBytes.archive([.init("a", [1]), .init("../x", [2])])
        damagedFirst[3] ^= 0xFF
        #expect(code { _ = try read(damagedFirst) } != "path.dotdot")
    }

    @Test func `every truncation of a tar file is refused`() throws {
        let archive = TarBytes.archive([.init("a", [UInt8](repeating: 7, count: 700)), .init("b", [1, 2])], end: 512)
        for count in stride(from: 0, to: archive.count, by: 61) {
            #expect(throws: Failure.self) { try read(Array(archive.prefix(count))) }
        }
        #expect(code { _ = try read(Array(archive.dropLast(512))) } == "archive.truncated")
        #expect(code { _ = try read(archive) } == nil)
    }

    @Test func `a damaged header and bytes after the end are refused`() throws {
        let good = TarBytes.archive([.init("a", [1]), .init("b", [2])])
        var damaged = good
        damaged[1024 + 5] ^= 1
        #expect(code { _ = try read(damaged) } == "archive.corrupt")
        #expect(code { _ = try read(good + [UInt8](repeating: 0, count: 9216)) } == nil)
        let glued = good + TarBytes.archive([.init("hidden", [3])])
        #expect(code { _ = try read(glued) } == "archive.corrupt")
        #expect(code { _ = try read(GzipBytes.stored(glued)) } == "archive.corrupt")
    }

    @Test func `what is no archive is refused`() throws {
        for bytes in [[], [1], Array("hello world".utf8), SafetensorsBytes.adapter, [UInt8](repeating: 0, count: 2048)]
        {
            let found = code { _ = try read(bytes) }
            #expect(
                ["archive.unknown_format", "archive.empty", "archive.truncated"].contains(found),
                "\(found ?? "accepted")")
        }
        #expect(code { _ = try read(GzipBytes.stored(Array("hello".utf8))) } == "archive.unknown_format")
    }

    @Test func `a link, a pipe and a missing file are told apart`() throws {
        let scratch = try Scratch()
        try scratch.write(TarBytes.archive([.init("a", [1])]), as: "x.tar")
        symlink("x.tar", scratch("link.tar"))
        mkfifo(scratch("pipe.tar"), 0o600)
        #expect(code { _ = try ArchiveReader(path: scratch("link.tar")) } == "path.symlink")
        #expect(code { _ = try ArchiveReader(path: scratch("pipe.tar")) } == "path.special_file")
        #expect(code { _ = try ArchiveReader(path: scratch("none.tar")) } == "io.not_found")
    }
}
