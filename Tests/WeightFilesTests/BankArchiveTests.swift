import Diagnostics
import Digests
import Foundation
import Tensors
import Testing

@testable import WeightFiles

@Suite struct BankArchiveTests {
    typealias Member = BankArchiveWriter.Member

    private let members = [
        Member("manifest.json", Array("{}".utf8)), Member("empty", []),
        Member("adapter_model.safetensors", SafetensorsBytes.adapter),
        Member("block", [UInt8](repeating: 5, count: 1024)),
    ]

    @Test func `members are read back in place`() throws {
        let scratch = try Scratch()
        let result = try BankArchiveWriter.write(members, to: scratch("x.tar"))
        #expect(result.size == BankArchiveWriter.size(of: members))
        #expect(result.digest == SHA256Digest.of(try scratch.read("x.tar")))
        let archive = try BankArchiveReader(path: scratch("x.tar"))
        #expect(archive.members.map(\.name) == members.map(\.name))
        #expect(archive.fileNames() == ["adapter_model.safetensors", "block", "empty", "manifest.json"])
        #expect(archive.members.allSatisfy { $0.range.lowerBound % 512 == 0 })
        #expect(Array(try archive.open("manifest.json").bytes) == Array("{}".utf8))
        #expect(try archive.open("empty").count == 0)
        let weights = try SafetensorsFile(try archive.open("adapter_model.safetensors"))
        #expect(weights.view("m.lora_A.weight").map { Array($0.bytes) } == (0..<32).map { UInt8($0) })
        #expect(weights.files.first?.content.digest() == SHA256Digest.of(SafetensorsBytes.adapter))
        #expect(code { _ = try archive.open("none") } == "io.not_found")
        #expect(try WeightFolder.open("adapter_model", in: archive)?.names.count == 2)
    }

    @Test func `the bytes depend on names and contents only`() throws {
        let scratch = try Scratch()
        let first = try BankArchiveWriter.write(members, to: scratch("1"))
        let file = try scratch.write(SafetensorsBytes.adapter, as: "other-name")
        var fromDisk = members
        fromDisk[2] = try Member("adapter_model.safetensors", path: file)
        #expect(try BankArchiveWriter.write(fromDisk, to: scratch("2")) == first)
        // A change of this value means that objects of older banks would be written differently.
        let known = try BankArchiveWriter.write(
            [Member("manifest.json", Array("{}".utf8)), Member("a/b", [1, 2, 3])], to: scratch("3"))
        #expect(known.digest.hex == "a63e55e0a20474a8726c1cc1e7e0707a14666983b62628eaafbbe9665793fb32")
        #expect(try BankArchiveWriter.write(Array(members.reversed()), to: scratch("4")) != first)
    }

    @Test func `other programs' rules hold: the foreign reader accepts it`() throws {
        let scratch = try Scratch()
        _ = try BankArchiveWriter.write(members, to: scratch("x.tar"))
        let listing = try ArchiveReader(path: scratch("x.tar")).list()
        #expect(listing.members.map(\.name) == members.map(\.name))
        #expect(listing.members[2].digest == SHA256Digest.of(SafetensorsBytes.adapter))
        #expect(listing.findings.isEmpty)
    }

    @Test(arguments: [
        "", "/a", "a/", "a//b", "../a", "a/../b", ".", "a\\b", "é", "a\n", String(repeating: "a", count: 101),
    ])
    func `names that not every tar program keeps are refused`(name: String) throws {
        let scratch = try Scratch()
        #expect(code { _ = try BankArchiveWriter.write([Member(name, [1])], to: scratch("x.tar")) } == "path.bad_name")
        #expect(scratch.names.isEmpty)
    }

    @Test func `a name twice is refused, a name of 100 characters is kept`() throws {
        let scratch = try Scratch()
        #expect(
            code { _ = try BankArchiveWriter.write([Member("a", [1]), Member("a", [2])], to: scratch("x")) }
                == "path.duplicate")
        let name = String(repeating: "n", count: 100)
        _ = try BankArchiveWriter.write([Member(name, [1])], to: scratch("y"))
        #expect(try BankArchiveReader(path: scratch("y")).members.map(\.name) == [name])
        #expect(code { _ = try BankArchiveWriter.write([Member("a", [1])], to: scratch("y")) } == "output.exists")
    }

    @Test func `content larger than the buffers is copied whole`() throws {
        let scratch = try Scratch()
        let big = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        let file = try scratch.write(big, as: "big")
        _ = try BankArchiveWriter.write(
            [Member("s", [1]), try Member("big", path: file), Member("t", big)], to: scratch("x"))
        let archive = try BankArchiveReader(path: scratch("x"))
        #expect(try archive.open("big").digest() == SHA256Digest.of(big))
        #expect(try archive.open("t").digest() == SHA256Digest.of(big))
    }

    @Test func `every damage of a header, the padding or the end is noticed`() throws {
        let scratch = try Scratch()
        _ = try BankArchiveWriter.write(members, to: scratch("x"))
        let good = try scratch.read("x")
        let contents = try BankArchiveReader(path: scratch("x")).members.map(\.range)
        var random = SeededGenerator(seed: 3)
        for _ in 0..<1_000 {
            let byte = Int.random(in: 0..<good.count, using: &random)
            if contents.contains(where: { $0.contains(byte) }) { continue }
            var bad = good
            bad[byte] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            let path = try scratch.write(bad, as: "bad")
            #expect(code { _ = try BankArchiveReader(path: path) } == "bank.corrupt", "byte \(byte)")
        }
        for count in stride(from: 0, to: good.count, by: 97) {
            let path = try scratch.write(Array(good.prefix(count)), as: "bad")
            #expect(code { _ = try BankArchiveReader(path: path) } == "bank.corrupt")
        }
        let path = try scratch.write(good + [0], as: "bad")
        #expect(code { _ = try BankArchiveReader(path: path) } == "bank.corrupt")
    }
}
