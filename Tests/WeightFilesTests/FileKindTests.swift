import Testing

@testable import WeightFiles

@Suite struct FileKindTests {
    @Test(
        arguments: [
            (FileKind.empty, []), (.safetensors, SafetensorsBytes.adapter), (.gguf, Array("GGUF\u{3}\0\0\0".utf8)),
            (.html, Array("  <!doctype HTML>".utf8)), (.html, Array("<HTML>".utf8)),
            (.lfsPointer, Array("version https://git-lfs.github.com/spec/v1\n".utf8)),
            (.jsonError, Array(#"{"error":"x"}"#.utf8)), (.json, Array("{\"r\": 8}".utf8)), (.json, Array("\n{}".utf8)),
            (.gzip, [0x1F, 0x8B, 8]), (.bzip2, Array("BZh9".utf8)), (.xz, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0, 1]),
            (.zstd, [0x28, 0xB5, 0x2F, 0xFD]), (.zip, Array("PK\u{3}\u{4}".utf8)), (.zip, ZipBytes.archive([])),
            (.pickleZip, ZipBytes.archive([.init("archive/aaa", [1]), .init("archive/data.pkl", [2])])),
            (.pickle, [0x80, 2, 0x63]), (.pickle, [0x80, 5]), (.unknown, [0x80, 9]),
            (.tar, TarBytes.archive([.init("a", [1])])),
            (.unknown, Array("hello".utf8)), (.unknown, [0]),
        ] as [(FileKind, [UInt8])])
    func `kinds are told by their first bytes`(kind: FileKind, bytes: [UInt8]) {
        #expect(FileKind.sniff(bytes) == kind)
    }

    @Test func `any bytes of any length are looked at safely`() {
        var random = SeededGenerator(seed: 9)
        for length in 0..<600 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(FileKind.allCases.contains(FileKind.sniff(bytes)))
        }
    }

    @Test func `pickles are refused with the way out`() {
        #expect(FileKind.pickle.isPickle && FileKind.pickleZip.isPickle && !FileKind.zip.isPickle)
        let failure = FileKind.pickleRefusal(path: "adapter_model.bin")
        #expect(failure.code.name == "pickle.refused")
        #expect(failure.hint?.contains("safetensors") == true)
    }
}
