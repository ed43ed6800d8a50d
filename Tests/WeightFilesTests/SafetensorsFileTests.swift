import Diagnostics
import Digests
import Foundation
import Tensors
import Testing

@testable import WeightFiles

@Suite struct SafetensorsFileTests {
    private typealias S = SafetensorsBytes

    private func read(_ bytes: [UInt8]) throws -> SafetensorsFile {
        let scratch = try Scratch()
        // The mapping outlives the file's name.
        return try SafetensorsFile(path: try scratch.write(bytes, as: "x.safetensors"))
    }

    @Test func `tensors, metadata and digest of a small file`() throws {
        let file = try read(S.adapter)
        #expect(file.names == ["m.lora_A.weight", "m.lora_B.weight"])
        #expect(file.metadata == ["format": "pt"])
        #expect(file.findings.isEmpty)
        let b = try #require(file.view("m.lora_B.weight"))
        #expect(b.dtype == .f32)
        #expect(b.shape == [4, 2])
        #expect(Array(b.bytes) == (32..<64).map { UInt8($0) })
        #expect(file.view("other") == nil)
        #expect(file.byteCount == 64)
        #expect(file.dataRange == S.adapter.count - 64..<S.adapter.count)
        #expect(file.digests()["x.safetensors"] == SHA256Digest.of(S.adapter))
    }

    @Test func `the example of the format's description`() throws {
        let header = #"{"m.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}  "#
        let file = try read(S.file(header, data: [0, 0, 0x80, 0x3F, 0, 0, 0, 0xBF]))
        let values = try #require(file.tensors.first).bytes.withMemoryRebound(to: UInt8.self) { bytes in
            (0..<2).map { UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
        #expect(values == [1, -0.5])
    }

    @Test func `scalars, empty tensors, odd offsets and any order are accepted`() throws {
        let header =
            "{" + S.entry("z", "F32", "[]", "1", "5") + "," + S.entry("e", "F32", "[0,7]", "1", "1") + ","
            + S.entry("odd", "U8", "[1]", "0", "1") + "," + S.entry("end", "F16", "[3,0]", "5", "5") + ","
            + S.entry("e2", "U8", "[0]", "1", "1") + "}"
        let file = try read(S.file(header, data: [7, 1, 2, 3, 4]))
        #expect(file.names == ["odd", "e", "e2", "z", "end"])
        #expect(file.view("z").map { Array($0.bytes) } == [1, 2, 3, 4])
        #expect(file.view("z")?.count == 1)
        #expect(file.view("end")?.count == 0)
    }

    @Test func `every known type is sized`() throws {
        for dtype in DType.allCases {
            let bytes = dtype.bits * 8 / 8
            let file = try read(
                S.file("{\(S.entry("w", dtype.rawValue, "[8]", "0", "\(bytes)"))}", data: S.zeros(bytes)))
            #expect(file.tensors.first?.dtype == dtype)
        }
    }

    @Test func `an empty list of tensors is a valid container`() throws {
        for header in ["{}", "{ }  ", #"{"__metadata__":{}}"#, #"{"__metadata__":{"format":"pt"}}"#] {
            #expect(try read(S.file(header)).tensors.isEmpty)
        }
    }

    @Test func `a header length that looks like another signature is read`() throws {
        // 0x0280 = 640: the first bytes are those of a pickle; 0x8B1F: those of gzip.
        for length in [0x0280, 0x8B1F] {
            let header = "{\(S.entry("w"))}"
            let padded = header + String(repeating: " ", count: length - header.utf8.count)
            #expect(try read(S.file(padded, data: S.zeros(16))).names == ["w"])
        }
    }

    @Test func `unknown fields and control characters are findings`() throws {
        let header = #"{"a\u001b[2J\n":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"note":"x","deep":{"k":[1]}}}"#
        let file = try read(S.file(header, data: S.zeros(16)))
        #expect(
            file.findings.map(\.code) == [
                "name.control_characters", "safetensors.unknown_field", "safetensors.unknown_field",
            ])
        #expect(file.findings.allSatisfy { $0.level == .warning && $0.place == "a\u{1B}[2J\n" })
    }

    @Test func `a member of a larger file is read in place`() throws {
        let scratch = try Scratch()
        let path = try scratch.write([1, 2, 3] + S.adapter + [9], as: "container")
        let mapped = try MappedFile(path: path)
        let content = try MappedBytes(mapped, range: 3..<3 + S.adapter.count, path: "container:x")
        let file = try SafetensorsFile(content)
        #expect(file.view("m.lora_A.weight").map { Array($0.bytes) } == (0..<32).map { UInt8($0) })
        #expect(content.digest() == SHA256Digest.of(S.adapter))
        #expect(code { _ = try MappedBytes(mapped, range: 3..<1000, path: "x") } == "io.failed")
    }

    /// Two megabytes of header: a limit of time would depend on the machine, reading it at all shows linear cost.
    @Test func `a header of many thousand tensors is read`() throws {
        let count = 20_000
        let entries = (0..<count).map { i in
            S.entry(
                "base_model.model.model.layers.\(i).self_attn.q_proj.lora_A.weight", "F32", "[1,1]", "\(4 * i)",
                "\(4 * i + 4)")
        }
        let file = try read(S.file("{\(entries.joined(separator: ","))}", data: S.zeros(4 * count)))
        #expect(file.tensors.count == count)
        #expect(file.view("base_model.model.model.layers.777.self_attn.q_proj.lora_A.weight") != nil)
    }
}
