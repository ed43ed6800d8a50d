import Diagnostics

/// Parses JSON as RFC 8259 defines it, and nothing beyond.
///
/// ```swift
/// let value = try StrictJSON.parse(bytes, .configuration, path: "adapter_config.json")
/// ```
/// Refused: bytes that are not UTF-8 (overlong forms and surrogates included), `\u` escapes that leave a surrogate
/// alone, comments, trailing commas, `NaN` and `Infinity`, nesting beyond a limit, a key that occurs twice in one
/// object after unescaping, anything but white space after the value. Keys are compared as `String`s, so two
/// spellings of one text that differ in Unicode normalisation only count as the same key, as they do everywhere else
/// in this program.
///
/// When a document breaks several rules the first in this order is thrown: size, UTF-8, grammar and depth, duplicates.
public enum StrictJSON {
    /// What to accept and how to name what is wrong.
    public struct Rules: Sendable {
        /// Largest number of arrays and objects inside one another; a scalar alone has depth 0.
        public var maximumDepth: Int
        /// Largest document in bytes.
        public var maximumBytes: Int
        /// Accept only U+0020 before and after the value, not tabs and line ends (safetensors headers).
        public var onlySpacesAround: Bool
        public var tooLarge: ErrorCode
        public var notUTF8: ErrorCode
        public var notJSON: ErrorCode
        public var tooDeep: ErrorCode
        public var duplicateKey: ErrorCode

        public init(
            maximumDepth: Int, maximumBytes: Int, onlySpacesAround: Bool = false, tooLarge: ErrorCode,
            notUTF8: ErrorCode, notJSON: ErrorCode, tooDeep: ErrorCode, duplicateKey: ErrorCode
        ) {
            self.maximumDepth = maximumDepth
            self.maximumBytes = maximumBytes
            self.onlySpacesAround = onlySpacesAround
            self.tooLarge = tooLarge
            self.notUTF8 = notUTF8
            self.notJSON = notJSON
            self.tooDeep = tooDeep
            self.duplicateKey = duplicateKey
        }

        /// The header of a safetensors file: depth ≤ 32, at most 100,000,000 bytes.
        public static let safetensorsHeader = Rules(
            maximumDepth: 32, maximumBytes: 100_000_000, onlySpacesAround: true, tooLarge: .safetensorsHeaderTooLarge,
            notUTF8: .safetensorsHeaderNotUtf8, notJSON: .safetensorsHeaderNotJson, tooDeep: .safetensorsJsonTooDeep,
            duplicateKey: .safetensorsDuplicateKey)

        /// The configuration of an adapter: depth ≤ 64, at most 16 MiB.
        public static let configuration = Rules(
            maximumDepth: 64, maximumBytes: 16 << 20, tooLarge: .configTooLarge, notUTF8: .configNotJson,
            notJSON: .configNotJson, tooDeep: .configTooDeep, duplicateKey: .configDuplicateKey)

        /// The index of a sharded checkpoint: at most 64 MiB.
        public static let shardIndex = Rules(
            maximumDepth: 32, maximumBytes: 64 << 20, tooLarge: .shardBadIndex, notUTF8: .shardBadIndex,
            notJSON: .shardBadIndex, tooDeep: .shardBadIndex, duplicateKey: .shardBadIndex)
    }

    /// Parses one document.
    ///
    /// - Parameter path: the file named in errors.
    /// - Throws: the codes of `rules`, with `place` = `line L, column C` (columns count characters from 1).
    /// - Complexity: linear in the number of bytes.
    public static func parse(_ bytes: UnsafeRawBufferPointer, _ rules: Rules, path: String? = nil) throws -> JSONValue {
        guard bytes.count <= rules.maximumBytes else {
            throw Failure(
                rules.tooLarge, "\(bytes.count) bytes of JSON, the limit is \(rules.maximumBytes)", path: path)
        }
        if let offset = UTF8Check.firstInvalidOffset(bytes) {
            throw Failure(
                rules.notUTF8, "not UTF-8: byte 0x\(String(bytes[offset], radix: 16, uppercase: true))", path: path,
                place: "byte \(offset)")
        }
        var parser = JSONParser(bytes, rules)
        do {
            return try parser.document()
        } catch {
            throw Failure(
                parser.code(of: error.kind), error.message, path: path,
                place: TextPlace(of: error.offset, in: bytes).description)
        }
    }

    /// Parses a whole file in place.
    public static func parse(_ content: MappedBytes, _ rules: Rules) throws -> JSONValue {
        try content.withBytes { try parse($0, rules, path: content.path) }
    }

    public static func parse(_ bytes: [UInt8], _ rules: Rules, path: String? = nil) throws -> JSONValue {
        try bytes.withUnsafeBytes { try parse($0, rules, path: path) }
    }

    public static func parse(_ text: String, _ rules: Rules, path: String? = nil) throws -> JSONValue {
        try parse(Array(text.utf8), rules, path: path)
    }
}

/// A position in a text for people: lines and columns count from 1, columns in Unicode scalars.
struct TextPlace: CustomStringConvertible {
    var line = 1
    var column = 1

    init(of offset: Int, in bytes: UnsafeRawBufferPointer) {
        for byte in bytes.prefix(offset) {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
    }

    var description: String { "line \(line), column \(column)" }
}
