import Diagnostics

/// The beginning of a GGUF file: enough to say whether it is sound. Its tensors are not read.
///
/// Layout: `GGUF`, u32 version, u64 tensors, u64 key-values, then the key-values (string key, u32 type, value), all
/// little-endian; `docs/formats.md` 7.
struct GGUFHeader {
    private let bytes: UnsafeRawBufferPointer
    private let path: String
    private var position = 0

    /// Checks magic, version, counts and every key-value.
    ///
    /// - Throws: `gguf.*`.
    static func check(_ bytes: UnsafeRawBufferPointer, path: String) throws {
        var header = GGUFHeader(bytes: bytes, path: path)
        try header.check()
    }

    private init(bytes: UnsafeRawBufferPointer, path: String) {
        self.bytes = bytes
        self.path = path
    }

    private func failure(_ code: ErrorCode, _ message: String) -> Failure {
        Failure(code, message, path: path, place: "byte \(position)")
    }

    private mutating func check() throws {
        guard bytes.starts(with: "GGUF".utf8) else { throw failure(.ggufBadMagic, "the file does not begin with GGUF") }
        position = 4
        let version = try number(4)
        guard version == 2 || version == 3 else {
            throw failure(.ggufBadVersion, "version \(version); 2 and 3 are known")
        }
        let tensors = try number(8)
        let pairs = try number(8)
        let limit = UInt64(bytes.count / 16)
        guard tensors <= limit, pairs <= limit else {
            throw failure(.ggufBadCount, "\(tensors) tensors and \(pairs) keys do not fit \(bytes.count) bytes")
        }
        for _ in 0..<pairs {
            try skipString(limit: 1 << 16)
            try skipValue(type: try number(4))
        }
    }

    private mutating func number(_ size: Int) throws -> UInt64 {
        guard bytes.count - position >= size else { throw failure(.ggufBadCount, "the file ends too early") }
        defer { position += size }
        return (0..<size).reduce(0) { $0 | UInt64(bytes[position + $1]) << UInt64(8 * $1) }
    }

    private mutating func skip(_ count: UInt64, _ size: UInt64, _ code: ErrorCode) throws {
        let (total, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow, total <= UInt64(bytes.count - position) else {
            throw failure(code, "a value that is longer than the file")
        }
        position += Int(total)
    }

    private mutating func skipString(limit: UInt64 = .max) throws {
        guard bytes.count - position >= 8 else { throw failure(.ggufBadString, "the file ends too early") }
        let length = try number(8)
        guard length <= limit else { throw failure(.ggufBadString, "a key of \(length) bytes") }
        try skip(length, 1, .ggufBadString)
    }

    private mutating func skipValue(type: UInt64) throws {
        if let size = GGUFHeader.sizes[type] { return try skip(1, size, .ggufBadType) }
        if type == GGUFHeader.string { return try skipString() }
        guard type == GGUFHeader.array else { throw failure(.ggufBadType, "value type \(type)") }
        let element = try number(4)
        let count = try number(8)
        if let size = GGUFHeader.sizes[element] { return try skip(count, size, .ggufBadCount) }
        guard element == GGUFHeader.string else { throw failure(.ggufBadType, "an array of type \(element)") }
        guard count <= UInt64(bytes.count / 8) else { throw failure(.ggufBadCount, "an array of \(count) strings") }
        for _ in 0..<count { try skipString() }
    }

    private static let string: UInt64 = 8
    private static let array: UInt64 = 9
    private static let sizes: [UInt64: UInt64] = [
        0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8,
    ]
}
