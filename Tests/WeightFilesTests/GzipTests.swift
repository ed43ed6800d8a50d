import Diagnostics
import Foundation
import Testing

@testable import WeightFiles

@Suite struct GzipTests {
    private let archive = TarBytes.archive([
        .init("a", (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 5) }), .init("b", [2]),
    ])

    private func outcome(_ bytes: [UInt8], limits: ArchiveLimits = ArchiveLimits()) throws -> String? {
        let scratch = try Scratch()
        let path = try scratch.write(bytes, as: "x.tar.gz")
        return code { _ = try ArchiveReader(path: path, limits: limits).list() }
    }

    @Test(arguments: [
        ("", UInt32(0)), ("123456789", 0xCBF4_3926), ("a", 0xE8B7_BE43),
        ("The quick brown fox jumps over the lazy dog", 0x414F_A339),
    ])
    func `known checksums`(text: String, value: UInt32) {
        var whole = CRC32()
        Array(text.utf8).withUnsafeBytes { whole.update($0) }
        #expect(whole.value == value)
        var pieces = CRC32()
        for byte in text.utf8 { [byte].withUnsafeBytes { pieces.update($0) } }
        #expect(pieces.value == value)
    }

    @Test func `a good file is read`() throws {
        #expect(try outcome(GzipBytes.stored(archive)) == nil)
    }

    @Test func `any bit of the trailer counts`() throws {
        let good = GzipBytes.stored(archive)
        for bit in 0..<64 {
            var bad = good
            bad[good.count - 8 + bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(try outcome(bad) == "archive.corrupt")
        }
    }

    @Test func `a changed byte of the content counts`() throws {
        var bad = GzipBytes.stored(archive)
        bad[70_000] ^= 4
        #expect(try outcome(bad) == "archive.corrupt")
    }

    @Test func `a file that is cut off is told from a damaged one`() throws {
        let good = GzipBytes.stored(archive)
        for count in [11, 15, 600, 100_000, good.count - 20] {
            #expect(try outcome(Array(good.prefix(count))) == "archive.truncated", "\(count)")
        }
        for count in good.count - 8..<good.count {
            let found = try outcome(Array(good.prefix(count)))
            #expect(found == "archive.truncated" || found == "archive.corrupt")
        }
        #expect(try outcome(good + [0]) == "archive.corrupt")
        #expect(try outcome(good + Array("trailing".utf8)) == "archive.corrupt")
    }

    @Test func `several gzip members one after another are one stream`() throws {
        let cuts = [0, 1, 511, 65_536, 70_000, 70_000, archive.count]
        let pieces = zip(cuts, cuts.dropFirst()).map { Array(archive[$0..<$1]) }
        let file = pieces.flatMap(GzipBytes.stored)
        #expect(try outcome(file) == nil)
        #expect(try outcome(file + GzipBytes.stored([])) == nil)
        // A wrong checksum in the middle.
        var bad = file
        bad[GzipBytes.stored(pieces[0]).count + GzipBytes.stored(pieces[1]).count - 6] ^= 1
        #expect(try outcome(bad) == "archive.corrupt")
    }

    @Test func `content that looks like a member is content`() throws {
        let decoys = (0..<50).flatMap { i in GzipBytes.header + [UInt8](repeating: UInt8(i), count: 30) }
        let archive = TarBytes.archive([.init("a", decoys + GzipBytes.stored(decoys))])
        #expect(try outcome(GzipBytes.stored(archive)) == nil)
        #expect(
            try outcome(GzipBytes.stored(Array(archive.prefix(700))) + GzipBytes.stored(Array(archive.dropFirst(700))))
                == nil)
    }

    @Test func `an archive that grows too much stops early`() throws {
        var member = TarBytes.Member("adapter_model.safetensors")
        member.claimedSize = 258 * 40_000 + 1
        var limits = ArchiveLimits()
        limits.bombBytes = 1 << 20
        limits.bombRatio = 100
        let bomb = GzipBytes.storedThenZeros(TarBytes.header(member), runs: 40_000)
        #expect(try outcome(bomb, limits: limits) == "archive.bomb")
        // The ratio alone is no offence, nor is the size.
        limits.bombBytes = 32 << 20
        #expect(try outcome(bomb, limits: limits) == "archive.truncated")
    }

    @Test func `a packed file inside a packed file is refused`() throws {
        #expect(try outcome(GzipBytes.stored(GzipBytes.stored(archive))) == "archive.nested")
        #expect(try outcome(GzipBytes.stored(ZipBytes.archive([.init("a", [1])]))) == "archive.nested")
        #expect(try outcome(GzipBytes.stored([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0, 0, 4])) == "archive.nested")
    }
}
