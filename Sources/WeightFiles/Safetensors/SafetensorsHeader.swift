import Diagnostics
import Tensors

/// The header of a safetensors file after all checks: the rules of `docs/formats.md`, in their order.
///
/// When a header breaks several rules, the error of the first rule is thrown; among entries that break the same rule,
/// that of the first entry.
struct SafetensorsHeader {
    struct Entry {
        var name: String
        var dtype: DType
        var shape: [Int]
        /// Offsets into the data buffer.
        var begin: Int
        var end: Int
    }

    static let maximumLength: UInt64 = 100_000_000

    /// Sorted by (begin, end), ties in the order of the header.
    private(set) var entries: [Entry] = []
    private(set) var metadata: [String: String] = [:]
    private(set) var findings: [Finding] = []
    /// Offset of the data buffer in the file.
    let dataStart: Int

    init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
        let text = try SafetensorsHeader.text(of: bytes, path: path)
        dataStart = 8 + text.count
        let document = try StrictJSON.parse(text, .safetensorsHeader, path: path)
        try readMetadata(document["__metadata__"], path: path)
        try readEntries(document.members ?? [], path: path)
        try checkCoverage(dataSize: bytes.count - dataStart, path: path)
    }

    /// Rules 1 to 4: the bytes of the header. A file of another kind is called by its name instead.
    private static func text(of bytes: UnsafeRawBufferPointer, path: String) throws -> UnsafeRawBufferPointer {
        guard let base = bytes.baseAddress, bytes.count >= 8 else {
            throw Failure(
                .safetensorsTooShort, "\(bytes.count) bytes; a safetensors file has at least 8", path: path,
                hint: "fetch the file again")
        }
        let length = UInt64(littleEndian: base.loadUnaligned(as: UInt64.self))
        guard length <= maximumLength else {
            throw FileKind.sniff(bytes).mistakenForWeights(path: path)
                ?? Failure(
                    .safetensorsHeaderTooLarge, "the header claims \(length) bytes, the limit is \(maximumLength)",
                    path: path, hint: "this is probably no safetensors file")
        }
        guard length <= UInt64(bytes.count - 8) else {
            throw FileKind.sniff(bytes).mistakenForWeights(path: path)
                ?? Failure(
                    .safetensorsHeaderPastEnd,
                    "the header claims \(length) bytes, the file has \(bytes.count - 8) after the length",
                    path: path, hint: "the file is probably cut off: fetch it again")
        }
        guard length > 0, bytes[8] == UInt8(ascii: "{") else {
            throw FileKind.sniff(bytes).mistakenForWeights(path: path)
                ?? Failure(.safetensorsHeaderBadStart, "the header does not begin with '{'", path: path)
        }
        return UnsafeRawBufferPointer(rebasing: bytes[8..<8 + Int(length)])
    }

    /// Rule 8.
    private mutating func readMetadata(_ value: JSONValue?, path: String) throws {
        guard let value else { return }
        guard let members = value.members else {
            throw Failure(.safetensorsBadMetadata, "__metadata__ is no object", path: path, place: "__metadata__")
        }
        for member in members {
            guard let text = member.value.string else {
                throw Failure(
                    .safetensorsBadMetadata, "the value of '\(member.key)' is no string", path: path,
                    place: "__metadata__")
            }
            metadata[member.key] = text
        }
    }

    /// Rules 9 to 14 and the findings.
    private mutating func readEntries(_ members: [JSONValue.Member], path: String) throws {
        entries.reserveCapacity(members.count)
        var first: SafetensorsEntryProblem?
        for member in members where member.key != "__metadata__" {
            do {
                entries.append(try Entry(member))
            } catch {
                if error.rule < first?.rule ?? .max { first = error }
            }
            noteFindings(member)
        }
        if let first {
            throw Failure(first.code, first.message, path: path, place: first.tensor)
        }
        // `sort` may move equal elements: the position in the header decides between empty tensors at one offset.
        let order = entries.indices.sorted {
            (entries[$0].begin, entries[$0].end, $0) < (entries[$1].begin, entries[$1].end, $1)
        }
        entries = order.map { entries[$0] }
    }

    private mutating func noteFindings(_ member: JSONValue.Member) {
        let isPlain = member.key.utf8.allSatisfy { (0x20...0x7E).contains($0) }
        if !isPlain, member.key.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            findings.append(
                Finding(
                    .nameControlCharacters, .warning, place: member.key,
                    details: "the tensor's name holds control characters"))
        }
        for field in member.value.members ?? [] where !Entry.fields.contains(field.key) {
            findings.append(
                Finding(
                    .safetensorsUnknownField, .warning, place: member.key, details: "field '\(field.key)' is ignored"))
        }
    }

    /// Rules 15 and 16: the tensors follow one another and fill the data buffer.
    private func checkCoverage(dataSize: Int, path: String) throws {
        var end = 0
        for entry in entries {
            guard entry.begin <= end else {
                throw Failure(
                    .safetensorsHole, "bytes \(end) to \(entry.begin) of the data belong to no tensor", path: path,
                    place: entry.name)
            }
            guard entry.begin == end else {
                throw Failure(
                    .safetensorsOverlap, "begins at \(entry.begin), inside the tensor before it, which ends at \(end)",
                    path: path, place: entry.name)
            }
            end = entry.end
        }
        guard end <= dataSize else {
            throw Failure(
                .safetensorsDataTruncated, "the tensors need \(end) bytes of data, the file holds \(dataSize)",
                path: path, hint: "the file is cut off: fetch it again")
        }
        guard end == dataSize else {
            throw Failure(
                .safetensorsTrailingBytes, "\(dataSize - end) bytes follow the last tensor", path: path,
                hint: "something was appended to the file: get it from its source again")
        }
    }
}

/// What is wrong with one entry, with the number of the rule it breaks.
struct SafetensorsEntryProblem: Error {
    var rule: Int
    var code: ErrorCode
    var tensor: String
    var message: String
}

extension SafetensorsHeader.Entry {
    private typealias Problem = SafetensorsEntryProblem

    static let fields = ["dtype", "shape", "data_offsets"]

    /// Applies rules 9 to 14 to one entry.
    init(_ member: JSONValue.Member) throws(SafetensorsEntryProblem) {
        let name = member.key
        guard let fields = member.value.members else {
            throw Problem(
                rule: 9, code: .safetensorsMissingField, tensor: name,
                message: "the entry is no object with dtype, shape and data_offsets")
        }
        guard let dtype = member.value["dtype"], let shape = member.value["shape"],
            let offsets = member.value["data_offsets"]
        else {
            let missing = Self.fields.filter { key in !fields.contains { $0.key == key } }
            throw Problem(
                rule: 9, code: .safetensorsMissingField, tensor: name,
                message: "the entry lacks \(missing.joined(separator: ", "))")
        }
        self.name = name
        self.dtype = try Self.dtype(dtype, name)
        self.shape = try Self.shape(shape, name)
        (begin, end) = try Self.offsets(offsets, name)
        try checkSize()
    }

    private static func dtype(_ value: JSONValue, _ tensor: String) throws(SafetensorsEntryProblem) -> DType {
        guard let text = value.string, let dtype = DType(rawValue: text) else {
            let found = value.string.map { "'\($0)'" } ?? "no string"
            throw Problem(
                rule: 10, code: .safetensorsBadDtype, tensor: tensor, message: "unknown dtype: \(found)")
        }
        return dtype
    }

    private static func shape(_ value: JSONValue, _ tensor: String) throws(SafetensorsEntryProblem) -> [Int] {
        guard let values = value.array, values.count <= 16 else {
            throw Problem(
                rule: 11, code: .safetensorsBadShape, tensor: tensor,
                message: "the shape is no array of at most 16 numbers")
        }
        var shape: [Int] = []
        shape.reserveCapacity(values.count)
        for value in values {
            guard let literal = naturalLiteral(value) else {
                throw Problem(
                    rule: 11, code: .safetensorsBadShape, tensor: tensor,
                    message: "the shape holds something else than whole numbers from 0")
            }
            // A dimension beyond 63 bits is a valid literal: its product is what overflows.
            guard let dimension = Int(literal) else {
                throw Problem(
                    rule: 13, code: .safetensorsShapeOverflow, tensor: tensor,
                    message: "dimension \(literal.prefix(40)) is too large")
            }
            shape.append(dimension)
        }
        return shape
    }

    private static func offsets(_ value: JSONValue, _ tensor: String) throws(SafetensorsEntryProblem) -> (Int, Int) {
        guard let values = value.array, values.count == 2,
            let begin = naturalLiteral(values[0]).flatMap({ Int($0) }),
            let end = naturalLiteral(values[1]).flatMap({ Int($0) })
        else {
            throw Problem(
                rule: 12, code: .safetensorsBadOffsets, tensor: tensor,
                message: "data_offsets are no two whole numbers from 0 to 2^63 - 1")
        }
        guard begin <= end else {
            throw Problem(
                rule: 12, code: .safetensorsBadOffsets, tensor: tensor,
                message: "data_offsets end at \(end), before they begin at \(begin)")
        }
        return (begin, end)
    }

    /// The literal of a number without sign, fraction and exponent.
    private static func naturalLiteral(_ value: JSONValue) -> String? {
        guard case .number(let literal) = value, literal.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) else {
            return nil
        }
        return literal
    }

    private func checkSize() throws(SafetensorsEntryProblem) {
        // Zeros are left out, so that no product of some of the dimensions can overflow later on either.
        var bits = dtype.bits
        for dimension in shape where dimension != 0 {
            let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
            guard !overflow else {
                throw Problem(
                    rule: 13, code: .safetensorsShapeOverflow, tensor: name,
                    message: "shape \(shape) of \(dtype.rawValue) has more bits than can be counted")
            }
            bits = product
        }
        if shape.contains(0) { bits = 0 }
        guard bits % 8 == 0 else {
            throw Problem(
                rule: 14, code: .safetensorsUnalignedSubbyte, tensor: name,
                message: "\(bits) bits are no whole number of bytes")
        }
        guard end - begin == bits / 8 else {
            throw Problem(
                rule: 15, code: .safetensorsSizeMismatch, tensor: name,
                message: "shape \(shape) of \(dtype.rawValue) needs \(bits / 8) bytes, data_offsets give \(end - begin)"
            )
        }
    }
}
