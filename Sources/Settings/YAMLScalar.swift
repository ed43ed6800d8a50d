/// A scalar with its text and what the core schema of YAML 1.2 makes of it.
public struct YAMLScalar: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case null
        case bool(Bool)
        /// Integers, decimals, `.inf`, `.nan`.
        case number(Double)
        case text
    }

    /// The text after unquoting.
    public var text: String
    public var value: Value

    public init(text: String, value: Value) {
        self.text = text
        self.value = value
    }

    /// - Parameter quoted: written in quotes or as a block: always text.
    public init(_ text: String, quoted: Bool) {
        self.text = text
        value = quoted ? .text : YAMLScalar.resolved(text)
    }

    /// A whole number that fits in 64 bits without sign, written in decimal, `0x` or `0o`; nil for anything else.
    public var unsigned: UInt64? {
        guard case .number = value else { return nil }
        return YAMLScalar.magnitude(text.hasPrefix("+") ? text.dropFirst() : text[...])
    }

    private static func resolved(_ text: String) -> Value {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".nan", ".NaN", ".NAN": return .number(.nan)
        default: return number(text).map { .number($0) } ?? .text
        }
    }

    private static func number(_ text: String) -> Double? {
        var body = text[...]
        var sign = 1.0
        if body.hasPrefix("-") || body.hasPrefix("+") {
            sign = body.hasPrefix("-") ? -1 : 1
            body = body.dropFirst()
        }
        if body == ".inf" || body == ".Inf" || body == ".INF" { return sign * .infinity }
        guard let first = body.utf8.first, first == UInt8(ascii: ".") || (0x30...0x39).contains(first) else {
            return nil
        }
        if body.hasPrefix("0x") || body.hasPrefix("0o") { return magnitude(body).map { sign * Double($0) } }
        guard isDecimal(body) else { return nil }
        return Double(body).map { sign * $0 }
    }

    /// `[0-9]* ('.' [0-9]*)? ([eE] [-+]? [0-9]+)?` with at least one digit before the exponent.
    private static func isDecimal(_ text: Substring) -> Bool {
        var rest = text.utf8[...]
        func takeDigits() -> Int {
            let count = rest.prefix { (0x30...0x39).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        var digits = takeDigits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            digits += takeDigits()
        }
        guard digits > 0 else { return false }
        if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
            guard takeDigits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    private static func magnitude(_ text: Substring) -> UInt64? {
        if text.hasPrefix("0x") { return UInt64(unsignedDigits(text.dropFirst(2)), radix: 16) }
        if text.hasPrefix("0o") { return UInt64(unsignedDigits(text.dropFirst(2)), radix: 8) }
        return UInt64(unsignedDigits(text))
    }

    /// Empty (no number) when a sign stands where a digit should.
    private static func unsignedDigits(_ text: Substring) -> Substring {
        text.hasPrefix("+") || text.hasPrefix("-") ? "" : text
    }
}
