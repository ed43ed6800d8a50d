import Diagnostics
import Digests
import Foundation
import Tensors
import Testing

@testable import WeightFiles

@Suite struct SafetensorsWriterTests {
    private let declarations: [TensorDeclaration] = [
        .init("b", .f16, [3]), .init("a", .f16, [1, 2]), .init("w", .f32, [2, 2]), .init("d", .f64, []),
        .init("u", .u8, [5]),
        .init("i", .i64, [1]), .init("z", .f32, [0, 4]), .init("é \u{1B}", .bf16, [2]), .init("c64", .c64, [1]),
    ]

    private func content(_ name: String, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ name.utf8.count) }
    }

    private func write(_ tensors: [TensorDeclaration], metadata: [String: String] = [:], to path: String) throws
        -> SHA256Digest
    {
        let writer = try SafetensorsWriter(path: path, layout: try SafetensorsLayout(tensors, metadata: metadata))
        for entry in writer.layout.entries {
            try content(entry.name, entry.range.count).withUnsafeBytes { try writer.write($0, toTensor: entry.name) }
        }
        return try writer.commitWithDigest()
    }

    @Test func `the layout is by falling width, then by name`() throws {
        let layout = try SafetensorsLayout(declarations)
        #expect(layout.entries.map(\.name) == ["i", "d", "c64", "w", "z", "é \u{1B}", "a", "b", "u"])
        #expect(layout.header.count % 8 == 0)
        #expect(layout.entries.first?.range.lowerBound == layout.header.count)
        for (a, b) in zip(layout.entries, layout.entries.dropFirst()) {
            #expect(a.range.upperBound == b.range.lowerBound)
        }
        #expect(layout.entries.last?.range.upperBound == layout.fileSize)
        #expect(layout.position(of: "w") == 3)
        #expect(layout.position(of: "none") == nil)
    }

    /// The order in which safetensors 0.8.0 wrote one tensor of each of these types.
    @Test func `types are ordered as by the reference writer`() throws {
        let observed = [
            "U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "F8_E5M2FNUZ", "F8_E4M3FNUZ",
            "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8", "F4", "BOOL",
        ]
        let layout = try SafetensorsLayout(DType.allCases.map { TensorDeclaration($0.rawValue, $0, [4]) })
        #expect(layout.entries.map(\.name).filter { !$0.hasPrefix("F6_") } == observed)
        #expect(layout.entries.count == DType.allCases.count)
    }

    /// The bytes that the Rust writer of safetensors 0.8.0 gives for the same tensor and metadata.
    @Test func `the bytes are those of the reference writer`() throws {
        let scratch = try Scratch()
        let layout = try SafetensorsLayout([.init("m.lora_A.weight", .f32, [1, 2])], metadata: ["format": "pt"])
        let writer = try SafetensorsWriter(path: scratch("x"), layout: layout)
        let values: [UInt8] = [0, 0, 0x80, 0x3F, 0, 0, 0, 0xBF]
        try values.withUnsafeBytes { try writer.write($0, to: 0) }
        try writer.commit()
        let header =
            #"{"__metadata__":{"format":"pt"},"m.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#
        let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        #expect(try scratch.read("x") == SafetensorsBytes.file(padded, data: values))
    }

    @Test func `what is written reads back`() throws {
        let scratch = try Scratch()
        let digest = try write(declarations, metadata: ["b": "2", "a": "ü\n"], to: scratch("x"))
        let file = try SafetensorsFile(path: scratch("x"))
        #expect(file.metadata == ["b": "2", "a": "ü\n"])
        #expect(file.tensors.count == declarations.count)
        for declaration in declarations {
            let view = try #require(file.view(declaration.name))
            #expect(view.dtype == declaration.dtype)
            #expect(view.shape == declaration.shape)
            #expect(Array(view.bytes) == content(view.name, view.bytes.count))
        }
        #expect(digest == SHA256Digest.of(try scratch.read("x")))
    }

    @Test func `the order of declaration and metadata does not change the bytes`() throws {
        let scratch = try Scratch()
        var random = SeededGenerator(seed: 5)
        let metadata = Dictionary(uniqueKeysWithValues: (0..<20).map { ("k\($0)", "\($0)") })
        let first = try write(declarations, metadata: metadata, to: scratch("0"))
        for i in 1...8 {
            #expect(try write(declarations.shuffled(using: &random), metadata: metadata, to: scratch("\(i)")) == first)
        }
    }

    @Test func `several threads write pieces in any order`() throws {
        let scratch = try Scratch()
        let count = 100_000
        let layout = try SafetensorsLayout((0..<4).map { .init("t\($0)", .u8, [count]) })
        let writer = try SafetensorsWriter(path: scratch("x"), layout: layout)
        let step = 3_000
        let pieces = (0..<4).flatMap { tensor in stride(from: 0, to: count, by: step).map { (tensor, $0) } }.reversed()
        let list = Array(pieces)
        DispatchQueue.concurrentPerform(iterations: list.count) { i in
            let (tensor, start) = list[i]
            let bytes = (start..<min(start + step, count)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ tensor) }
            try? bytes.withUnsafeBytes { try writer.write($0, to: tensor, at: start) }
        }
        try writer.commit()
        let file = try SafetensorsFile(path: scratch("x"))
        for tensor in 0..<4 {
            let view = try #require(file.view("t\(tensor)"))
            #expect(view.bytes.enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: $0 &* 31 &+ tensor) })
        }
    }

    @Test func `views of one file make another of the same bytes`() throws {
        let scratch = try Scratch()
        let digest = try write(declarations, metadata: ["format": "pt"], to: scratch("x"))
        let file = try SafetensorsFile(path: scratch("x"))
        #expect(try SafetensorsWriter.write(file.tensors, metadata: file.metadata, to: scratch("y")) == digest)
    }

    @Test func `impossible declarations are refused`() throws {
        func refusal(_ tensors: [TensorDeclaration]) -> String? { code { _ = try SafetensorsLayout(tensors) } }
        #expect(refusal([.init("a", .f32, [1]), .init("a", .f16, [1])]) == "safetensors.duplicate_key")
        #expect(refusal([.init("__metadata__", .f32, [1])]) == "safetensors.duplicate_key")
        #expect(refusal([.init("a", .f32, [-1])]) == "safetensors.bad_shape")
        #expect(refusal([.init("a", .f32, [1 << 40, 1 << 40])]) == "safetensors.shape_overflow")
        #expect(refusal([.init("a", .u8, [1 << 59]), .init("b", .u8, [1 << 59])]) == nil)
        #expect(refusal((0..<20).map { .init("\($0)", .u8, [1 << 59]) }) == "safetensors.shape_overflow")
        #expect(refusal([.init("a", .f4, [3])]) == "safetensors.unaligned_subbyte")
    }

    @Test func `an incomplete file is not committed`() throws {
        let scratch = try Scratch()
        do {
            let writer = try SafetensorsWriter(
                path: scratch("x"), layout: try SafetensorsLayout([.init("a", .u8, [4])]))
            try [UInt8](repeating: 1, count: 2).withUnsafeBytes { try writer.write($0, to: 0) }
            #expect(code { try writer.commit() } == "internal.defect")
            #expect(
                code { try [UInt8](repeating: 0, count: 3).withUnsafeBytes { try writer.write($0, to: 0, at: 2) } }
                    == "internal.defect")
        }
        #expect(scratch.names.isEmpty)
    }

    @Test func `an existing file is kept unless replacing is allowed`() throws {
        let scratch = try Scratch()
        try scratch.write([1], as: "x")
        let layout = try SafetensorsLayout([])
        #expect(code { _ = try SafetensorsWriter(path: scratch("x"), layout: layout) } == "output.exists")
        #expect(try scratch.read("x") == [1])
        try SafetensorsWriter(path: scratch("x"), layout: layout, overwrite: true).commit()
        #expect(try SafetensorsFile(path: scratch("x")).tensors.isEmpty)
        #expect(scratch.names == ["x"])
    }
}
