import Diagnostics
import Foundation
import Tensors
import Testing

@testable import WeightFiles

/// One row per way a container can be wrong, in the order of the rules.
@Suite struct SafetensorsRulesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var code: ErrorCode
        var bytes: [UInt8]
        var why: String
        var testDescription: String { "\(code.name): \(why)" }

        init(_ code: ErrorCode, _ why: String, _ bytes: [UInt8]) {
            self.code = code
            self.why = why
            self.bytes = bytes
        }

        init(_ code: ErrorCode, _ why: String, header: String, data: Int = 16) {
            self.init(code, why, SafetensorsBytes.file(header, data: SafetensorsBytes.zeros(data)))
        }
    }

    private typealias S = SafetensorsBytes

    static let container: [Case] = [
        Case(.safetensorsTooShort, "no bytes", []),
        Case(.safetensorsTooShort, "seven bytes", [16, 0, 0, 0, 0, 0, 0]),
        Case(.fileHtml, "a page", Array("<!DOCTYPE html><html></html>".utf8)),
        Case(.fileHtml, "a page in lower case after a line end", Array("\n<html><body>403".utf8)),
        Case(.fileLfsPointer, "a pointer", Array("version https://git-lfs.github.com/spec/v1\n".utf8)),
        Case(.fileCompressed, "gzip", [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 0xFF, 1]),
        Case(.fileCompressed, "zip", Array("PK\u{3}\u{4}".utf8) + S.zeros(40)),
        Case(.filePickleZip, "PyTorch zip", Array("PK\u{3}\u{4}".utf8) + S.zeros(26) + Array("archive/data.pkl".utf8)),
        Case(.filePickle, "pickle of protocol 2", [0x80, 2] + Array("}q\u{0}X\u{1}".utf8) + [0xFF, 0xFF]),
        Case(.filePickle, "pickle of protocol 5", [0x80, 5, 0x95, 1, 2, 3, 4, 5, 6, 7]),
        Case(.fileJson, "an error message", Array(#"{"error":"not found"}"#.utf8)),
        Case(.safetensorsHeaderTooLarge, "2^63", S.file("{}", length: 1 << 63)),
        Case(.safetensorsHeaderTooLarge, "all ones", S.file("{}", length: .max)),
        Case(.safetensorsHeaderTooLarge, "one over the limit", S.file("{}", length: 100_000_001)),
        Case(.safetensorsHeaderPastEnd, "at the limit, but not there", S.file("{}", length: 100_000_000)),
        Case(.safetensorsHeaderPastEnd, "one byte", S.file("{}", length: 3)),
        Case(.safetensorsHeaderBadStart, "no header", S.file("")),
        Case(.safetensorsHeaderBadStart, "array", header: "[]", data: 0),
        Case(.safetensorsHeaderBadStart, "space", header: " {\(S.entry("w"))}"),
        Case(.safetensorsHeaderBadStart, "byte order mark", header: "\u{FEFF}{\(S.entry("w"))}"),
        Case(.safetensorsHeaderNotUtf8, "0xC3 0x28", S.file(Array("{\"w".utf8) + [0xC3, 0x28] + Array("\":1}".utf8))),
        Case(.safetensorsHeaderNotUtf8, "wins over broken JSON", S.file(Array("{{".utf8) + [0xFF])),
        Case(.safetensorsHeaderNotJson, "cut", header: "{\"w\":{\"dtype\":\"F32\","),
        Case(.safetensorsHeaderNotJson, "NUL as padding", header: "{\(S.entry("w"))}\0\0"),
        Case(.safetensorsHeaderNotJson, "line end as padding", header: "{\(S.entry("w"))}\n"),
        Case(.safetensorsHeaderNotJson, "a second object", header: "{\(S.entry("w"))}{\"x\":1}"),
        Case(.safetensorsJsonTooDeep, "33 levels", header: "{\"a\":" + String(repeating: "[", count: 40)),
    ]

    static let keys: [Case] = [
        Case(.safetensorsDuplicateKey, "a tensor twice", header: "{\(S.entry("w", "I32")),\(S.entry("w"))}"),
        Case(.safetensorsDuplicateKey, "escaped", header: "{\(S.entry("w")),\(S.entry("\\u0077"))}"),
        Case(.safetensorsDuplicateKey, "metadata twice", header: #"{"__metadata__":{},"__metadata__":{}}"#, data: 0),
        Case(.safetensorsDuplicateKey, "in metadata", header: #"{"__metadata__":{"a":"1","a":"2"}}"#, data: 0),
        Case(.safetensorsDuplicateKey, "in an entry", header: "{\(S.entry("w", extra: ",\"dtype\":\"I32\""))}"),
        Case(.safetensorsBadMetadata, "number", header: "{\"__metadata__\":{\"epoch\":3},\(S.entry("w"))}"),
        Case(.safetensorsBadMetadata, "null", header: "{\"__metadata__\":{\"a\":null},\(S.entry("w"))}"),
        Case(.safetensorsBadMetadata, "no object", header: "{\"__metadata__\":[],\(S.entry("w"))}"),
        Case(.safetensorsBadMetadata, "wins over a bad entry", header: #"{"w":{},"__metadata__":{"a":1}}"#, data: 0),
        Case(.safetensorsMissingField, "no offsets", header: #"{"w":{"dtype":"F32","shape":[4]}}"#),
        Case(.safetensorsMissingField, "no shape", header: #"{"w":{"dtype":"F32","data_offsets":[0,16]}}"#),
        Case(.safetensorsMissingField, "no dtype", header: #"{"w":{"shape":[4],"data_offsets":[0,16]}}"#),
        Case(.safetensorsMissingField, "no object", header: #"{"w":5}"#),
        Case(
            .safetensorsMissingField, "of a later entry wins over a bad shape",
            header: #"{\#(S.entry("a", "F32", "[-1]")),"w":{}}"#),
        Case(.safetensorsBadDtype, "unknown", header: "{\(S.entry("w", "F31"))}"),
        Case(.safetensorsBadDtype, "lower case", header: "{\(S.entry("w", "f32"))}"),
        Case(.safetensorsBadDtype, "number", header: #"{"w":{"dtype":32,"shape":[4],"data_offsets":[0,16]}}"#),
    ]

    static let entries: [Case] = [
        Case(.safetensorsBadShape, "negative", header: "{\(S.entry("w", "F32", "[-2,-2]"))}"),
        Case(.safetensorsBadShape, "minus zero", header: "{\(S.entry("w", "F32", "[-0]"))}"),
        Case(.safetensorsBadShape, "fraction", header: "{\(S.entry("w", "F32", "[4.0]"))}"),
        Case(.safetensorsBadShape, "exponent", header: "{\(S.entry("w", "F32", "[4e0]"))}"),
        Case(.safetensorsBadShape, "string", header: "{\(S.entry("w", "F32", "[\"4\"]"))}"),
        Case(.safetensorsBadShape, "no array", header: "{\(S.entry("w", "F32", "4"))}"),
        Case(
            .safetensorsBadShape, "seventeen",
            header: "{\(S.entry("w", "F32", "[4\(String(repeating: ",1", count: 16))]"))}"),
        Case(
            .safetensorsBadOffsets, "2^64 - 1", header: "{\(S.entry("w", "U8", "[16]", "0", "18446744073709551615"))}"),
        Case(.safetensorsBadOffsets, "2^63", header: "{\(S.entry("w", "U8", "[16]", "0", "9223372036854775808"))}"),
        Case(.safetensorsBadOffsets, "reversed", header: "{\(S.entry("w", "F32", "[4]", "16", "0"))}"),
        Case(.safetensorsBadOffsets, "negative", header: "{\(S.entry("w", "F32", "[4]", "-16", "0"))}"),
        Case(.safetensorsBadOffsets, "fraction", header: "{\(S.entry("w", "F32", "[4]", "0", "16.0"))}"),
        Case(.safetensorsBadOffsets, "three", header: "{\(S.entry("w", "F32", "[4]", "0,0", "16"))}"),
        Case(.safetensorsBadOffsets, "no array", header: #"{"w":{"dtype":"F32","shape":[4],"data_offsets":{}}}"#),
        Case(
            .safetensorsShapeOverflow, "2^32 x 2^32",
            header: "{\(S.entry("w", "F32", "[4294967296,4294967296]", "0", "0"))}"),
        Case(
            .safetensorsShapeOverflow, "in bits only",
            header: "{\(S.entry("w", "F64", "[1152921504606846976]", "0", "0"))}"),
        Case(.safetensorsShapeOverflow, "2^64", header: "{\(S.entry("w", "U8", "[18446744073709551616]", "0", "0"))}"),
        Case(
            .safetensorsShapeOverflow, "beside a zero",
            header: "{\(S.entry("w", "U8", "[0,4611686018427387904,4611686018427387904]", "0", "0"))}"),
        Case(.safetensorsUnalignedSubbyte, "three F4", header: "{\(S.entry("w", "F4", "[3]", "0", "2"))}", data: 2),
        Case(.safetensorsUnalignedSubbyte, "F6", header: "{\(S.entry("w", "F6_E2M3", "[1]", "0", "1"))}", data: 1),
        Case(.safetensorsSizeMismatch, "too few", header: "{\(S.entry("w", "F32", "[4]", "0", "12"))}", data: 12),
        Case(.safetensorsSizeMismatch, "too many", header: "{\(S.entry("w", "F16", "[4]", "0", "16"))}"),
        Case(
            .safetensorsSizeMismatch, "empty shape is one element", header: "{\(S.entry("w", "F32", "[]", "0", "0"))}",
            data: 0),
    ]

    static let coverage: [Case] = [
        Case(
            .safetensorsOverlap, "half", header: "{\(S.entry("a")),\(S.entry("b", "F32", "[4]", "8", "24"))}", data: 24),
        Case(.safetensorsOverlap, "the same bytes", header: "{\(S.entry("a")),\(S.entry("b"))}"),
        Case(
            .safetensorsHole, "between", header: "{\(S.entry("a")),\(S.entry("b", "F32", "[4]", "24", "40"))}", data: 40
        ),
        Case(.safetensorsHole, "at the start", header: "{\(S.entry("a", "F32", "[4]", "4", "20"))}", data: 20),
        Case(.safetensorsHole, "before an empty tensor", header: "{\(S.entry("a", "F32", "[0]", "8", "8"))}", data: 8),
        Case(.safetensorsDataTruncated, "a byte", header: "{\(S.entry("a"))}", data: 15),
        Case(.safetensorsDataTruncated, "all", header: "{\(S.entry("a"))}", data: 0),
        Case(.safetensorsTrailingBytes, "a byte", header: "{\(S.entry("a"))}", data: 17),
        Case(.safetensorsTrailingBytes, "no tensor", header: "{}", data: 1),
    ]

    @Test(arguments: container + keys + entries + coverage)
    func `a broken container is refused with its code`(_ wrong: Case) throws {
        let scratch = try Scratch()
        let path = try scratch.write(wrong.bytes, as: "x.safetensors")
        do {
            _ = try SafetensorsFile(path: path)
            Issue.record("accepted")
        } catch let failure as Failure {
            #expect(failure.code == wrong.code, "\(failure.message)")
            #expect(failure.path == path)
        }
    }

    /// No prefix of a good file is a good file.
    @Test func `every truncation is refused`() throws {
        let scratch = try Scratch()
        for count in 0..<SafetensorsBytes.adapter.count {
            let path = try scratch.write(Array(SafetensorsBytes.adapter[..<count]), as: "x.safetensors")
            #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
        }
    }

    @Test func `a file that cannot be opened is an error of its kind`() throws {
        let scratch = try Scratch()
        try scratch.write(SafetensorsBytes.adapter, as: "x.safetensors")
        symlink(scratch("x.safetensors"), scratch("link.safetensors"))
        mkfifo(scratch("pipe.safetensors"), 0o600)
        #expect(code { _ = try SafetensorsFile(path: scratch("none")) } == "io.not_found")
        #expect(
            code { _ = try SafetensorsFile(path: scratch("link.safetensors"), followLinks: false) } == "path.symlink")
        #expect(code { _ = try SafetensorsFile(path: scratch("link.safetensors"), followLinks: true) } == nil)
        #expect(code { _ = try SafetensorsFile(path: scratch("pipe.safetensors")) } == "path.special_file")
        #expect(code { _ = try SafetensorsFile(path: scratch.path) } == "path.special_file")
    }
}
