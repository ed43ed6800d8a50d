/// Writing JSON. Numbers are written as their literal stands, keys in the order of the value unless sorted.
extension JSONValue {
    public enum Layout: Sendable {
        /// No white space.
        case compact
        /// As `json.dumps(value, indent=N)` of Python writes it.
        case indented(Int)
    }

    /// The document as text.
    ///
    /// - Parameters:
    ///   - sortKeys: members of every object in the order of their keys' code points, as Python's `sort_keys`.
    ///   - asciiOnly: everything beyond ASCII becomes `\uXXXX`, as Python's `ensure_ascii` (its default).
    public func text(_ layout: Layout = .compact, sortKeys: Bool = false, asciiOnly: Bool = true) -> String {
        var writer = JSONTextWriter(layout: layout, sortKeys: sortKeys, asciiOnly: asciiOnly)
        writer.write(self, depth: 0)
        return String(decoding: writer.output, as: UTF8.self)
    }

    /// A number literal for an integer.
    public static func integer(_ value: Int) -> JSONValue { .number(String(value)) }

    /// A number literal that reads back as the same `Double`; `null` for NaN and infinities, which JSON cannot hold.
    public static func double(_ value: Double) -> JSONValue { value.isFinite ? .number("\(value)") : .null }
}

private struct JSONTextWriter {
    let layout: JSONValue.Layout
    let sortKeys: Bool
    let asciiOnly: Bool
    var output: [UInt8] = []

    mutating func write(_ value: JSONValue, depth: Int) {
        switch value {
        case .null: append("null")
        case .bool(let flag): append(flag ? "true" : "false")
        case .number(let literal): append(literal)
        case .string(let text): quote(text)
        case .array(let values):
            brackets("[", "]", isEmpty: values.isEmpty) { writer in
                for (i, value) in values.enumerated() {
                    writer.separate(first: i == 0, depth: depth + 1)
                    writer.write(value, depth: depth + 1)
                }
                writer.breakLine(depth: depth)
            }
        case .object(let members):
            brackets("{", "}", isEmpty: members.isEmpty) { writer in
                for (i, member) in writer.ordered(members).enumerated() {
                    writer.separate(first: i == 0, depth: depth + 1)
                    writer.quote(member.key)
                    writer.append(writer.isCompact ? ":" : ": ")
                    writer.write(member.value, depth: depth + 1)
                }
                writer.breakLine(depth: depth)
            }
        }
    }

    private var isCompact: Bool {
        if case .compact = layout { true } else { false }
    }

    private func ordered(_ members: [JSONValue.Member]) -> [JSONValue.Member] {
        guard sortKeys else { return members }
        return members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    private mutating func brackets(
        _ open: String, _ close: String, isEmpty: Bool, _ body: (inout JSONTextWriter) -> Void
    ) {
        append(open)
        if !isEmpty { body(&self) }
        append(close)
    }

    private mutating func separate(first: Bool, depth: Int) {
        if !first { append(",") }
        breakLine(depth: depth)
    }

    private mutating func breakLine(depth: Int) {
        guard case .indented(let width) = layout else { return }
        append("\n")
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: width * depth))
    }

    private mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func quote(_ text: String) {
        output.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": append("\\\"")
            case "\\": append("\\\\")
            case "\n": append("\\n")
            case "\r": append("\\r")
            case "\t": append("\\t")
            case "\u{8}": append("\\b")
            case "\u{C}": append("\\f")
            case " "..."~": output.append(UInt8(truncatingIfNeeded: scalar.value))
            default: appendOther(scalar)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private mutating func appendOther(_ scalar: Unicode.Scalar) {
        guard asciiOnly || scalar.value < 0x20 else { return append(String(scalar)) }
        for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
            let digits = String(unit, radix: 16)
            append("\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits)
        }
    }
}
