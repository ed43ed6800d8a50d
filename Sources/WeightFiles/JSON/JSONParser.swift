import Diagnostics

/// The grammar of RFC 8259 over bytes that are known to be UTF-8. Recursion is bounded by `Rules.maximumDepth`.
struct JSONParser {
    enum Kind { case notJSON, tooDeep, duplicateKey }

    struct Problem: Error {
        var kind: Kind
        var message: String
        var offset: Int
    }

    private let bytes: UnsafeRawBufferPointer
    private let rules: StrictJSON.Rules
    private var position = 0
    private var depth = 0
    /// The first key that was seen twice. Reported only when the grammar holds to the end.
    private var duplicate: Problem?

    init(_ bytes: UnsafeRawBufferPointer, _ rules: StrictJSON.Rules) {
        self.bytes = bytes
        self.rules = rules
    }

    func code(of kind: Kind) -> ErrorCode {
        switch kind {
        case .notJSON: rules.notJSON
        case .tooDeep: rules.tooDeep
        case .duplicateKey: rules.duplicateKey
        }
    }

    /// The value, white space around it, and the end.
    mutating func document() throws(Problem) -> JSONValue {
        skipOuterSpace()
        let value = try value()
        skipOuterSpace()
        guard position == bytes.count else { throw problem("only white space may follow the value") }
        if let duplicate { throw duplicate }
        return value
    }

    // MARK: Values

    private mutating func value() throws(Problem) -> JSONValue {
        guard position < bytes.count else { throw problem("the text ends where a value is expected") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: throw problem("a value is expected here")
        }
    }

    private mutating func object() throws(Problem) -> JSONValue {
        try descend()
        var members: [JSONValue.Member] = []
        var keys = KeySet()
        skipSpace()
        if take(UInt8(ascii: "}")) {
            depth &-= 1
            return .object(members)
        }
        while true {
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw problem("a key in quotes is expected here")
            }
            let start = position
            let key = try string()
            if keys.contains(key, among: members) {
                if duplicate == nil {
                    duplicate = Problem(kind: .duplicateKey, message: "key '\(key)' occurs twice", offset: start)
                }
            }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw problem("':' is expected after a key") }
            skipSpace()
            members.append(JSONValue.Member(key, try value()))
            keys.insertLast(of: members)
            skipSpace()
            if take(UInt8(ascii: ",")) {
                skipSpace()
                continue
            }
            guard take(UInt8(ascii: "}")) else { throw problem("',' or '}' is expected here") }
            depth &-= 1
            return .object(members)
        }
    }

    private mutating func array() throws(Problem) -> JSONValue {
        try descend()
        var values: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) {
            depth &-= 1
            return .array(values)
        }
        while true {
            values.append(try value())
            skipSpace()
            if take(UInt8(ascii: ",")) {
                skipSpace()
                continue
            }
            guard take(UInt8(ascii: "]")) else { throw problem("',' or ']' is expected here") }
            depth &-= 1
            return .array(values)
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(Problem) -> JSONValue {
        let length = word.utf8CodeUnitCount
        guard position &+ length <= bytes.count else { throw problem("a value is expected here") }
        for i in 0..<length where bytes[position &+ i] != word.utf8Start[i] {
            throw problem("a value is expected here")
        }
        position &+= length
        return value
    }

    private mutating func number() throws(Problem) -> String {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits("a digit is expected after '-'") }
        if take(UInt8(ascii: ".")) { try digits("a digit is expected after the decimal point") }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits("a digit is expected in the exponent")
        }
        return text(start..<position)
    }

    private mutating func digits(_ message: String) throws(Problem) {
        let start = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position &+= 1 }
        if position == start { throw problem(message) }
    }

    // MARK: Strings

    private mutating func string() throws(Problem) -> String {
        position &+= 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position &+= 1
                return text(start..<position &- 1)
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            if byte < 0x20 { throw problem("a control character inside a string must be escaped") }
            position &+= 1
        }
        throw problem("the text ends inside a string")
    }

    /// The rest of a string whose first escape stands at `position`.
    private mutating func escapedString(from start: Int) throws(Problem) -> String {
        var result = [UInt8](bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position &+= 1
                return String(decoding: result, as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") {
                try appendEscape(to: &result)
                continue
            }
            if byte < 0x20 { throw problem("a control character inside a string must be escaped") }
            result.append(byte)
            position &+= 1
        }
        throw problem("the text ends inside a string")
    }

    private mutating func appendEscape(to result: inout [UInt8]) throws(Problem) {
        guard position &+ 1 < bytes.count else { throw problem("the text ends inside an escape") }
        let letter = bytes[position &+ 1]
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(letter)
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "u"):
            result.append(contentsOf: Unicode.UTF8.encode(try unicodeEscape()) ?? .encodedReplacementCharacter)
            return
        default: throw problem("unknown escape")
        }
        position &+= 2
    }

    /// Reads `\uXXXX`, or a pair of them for a scalar above U+FFFF.
    private mutating func unicodeEscape() throws(Problem) -> Unicode.Scalar {
        let first = try hexDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, position &+ 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position &+ 1] == UInt8(ascii: "u")
        else { throw problem("an escape leaves half of a surrogate pair alone") }
        let second = try hexDigits()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw problem("an escape leaves half of a surrogate pair alone") }
        return scalar
    }

    /// The value of the four digits after `\u` at `position`; moves behind them.
    private mutating func hexDigits() throws(Problem) -> UInt32 {
        guard position &+ 6 <= bytes.count else { throw problem("four hexadecimal digits are expected after \\u") }
        var value: UInt32 = 0
        for byte in bytes[position &+ 2..<position &+ 6] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: throw problem("four hexadecimal digits are expected after \\u")
            }
        }
        position &+= 6
        return value
    }

    // MARK: Bytes

    private func text(_ range: Range<Int>) -> String {
        String(decoding: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position &+= 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position &+= 1
            default: return
            }
        }
    }

    private mutating func skipOuterSpace() {
        guard rules.onlySpacesAround else { return skipSpace() }
        while position < bytes.count, bytes[position] == 0x20 { position &+= 1 }
    }

    private mutating func descend() throws(Problem) {
        guard depth < rules.maximumDepth else {
            throw Problem(
                kind: .tooDeep, message: "nested more than \(rules.maximumDepth) levels deep", offset: position)
        }
        depth &+= 1
        position &+= 1
    }

    private func problem(_ message: String) -> Problem {
        Problem(kind: .notJSON, message: message, offset: position)
    }
}

/// The keys of one object: compared one by one while few, in a set from then on.
///
/// Bytes decide: Swift's `String` takes a composed and a decomposed spelling for equal, JSON does not.
private struct KeySet {
    private static let few = 8
    private var many: Set<[UInt8]> = []

    func contains(_ key: String, among members: [JSONValue.Member]) -> Bool {
        members.count <= KeySet.few
            ? members.contains { $0.key.utf8.elementsEqual(key.utf8) } : many.contains(Array(key.utf8))
    }

    mutating func insertLast(of members: [JSONValue.Member]) {
        if members.count == KeySet.few + 1 {
            many = Set(members.lazy.map { Array($0.key.utf8) })
        } else if members.count > KeySet.few, let last = members.last {
            many.insert(Array(last.key.utf8))
        }
    }
}
