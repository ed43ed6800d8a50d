/// Writes trees as YAML in block style; short lists of numbers and words stand in one line.
public enum YAMLWriter {
    public static func text(_ node: YAMLNode) -> String {
        var lines: [String] = []
        write(node, indent: 0, into: &lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ node: YAMLNode, indent: Int, into lines: inout [String]) {
        let space = String(repeating: " ", count: indent)
        switch node.content {
        case .scalar(let scalar): lines.append(space + text(scalar))
        case .sequence(let items):
            for item in items {
                var inner: [String] = []
                write(item, indent: indent + 2, into: &inner)
                if inner.isEmpty { inner = [space + "  " + flow(item)] }
                inner[0] = space + "- " + inner[0].dropFirst(indent + 2)
                lines += inner
            }
        case .mapping(let members):
            for member in members {
                let key = space + text(YAMLScalar(member.key, quoted: true)) + ":"
                if isShort(member.value) {
                    lines.append(key + " " + flow(member.value))
                } else {
                    lines.append(key)
                    write(member.value, indent: indent + 2, into: &lines)
                }
            }
        }
    }

    /// Scalars, empty collections, lists of scalars.
    private static func isShort(_ node: YAMLNode) -> Bool {
        switch node.content {
        case .scalar: true
        case .sequence(let items): items.allSatisfy { $0.scalar != nil }
        case .mapping(let members): members.isEmpty
        }
    }

    private static func flow(_ node: YAMLNode) -> String {
        switch node.content {
        case .scalar(let scalar): text(scalar)
        case .sequence(let items): "[" + items.map(flow).joined(separator: ", ") + "]"
        case .mapping(let members):
            "{" + members.map { text(YAMLScalar($0.key, quoted: true)) + ": " + flow($0.value) }.joined(separator: ", ")
                + "}"
        }
    }

    /// Plain where that reads back as the same text, else in double quotes.
    private static func text(_ scalar: YAMLScalar) -> String {
        guard case .text = scalar.value else { return scalar.text.isEmpty ? "null" : scalar.text }
        let plain = scalar.text.unicodeScalars.allSatisfy { character in
            ("a"..."z").contains(character) || ("A"..."Z").contains(character) || ("0"..."9").contains(character)
                || "_./-".unicodeScalars.contains(character)
        }
        let startsPlainly = scalar.text.first.map { $0.isLetter || $0 == "/" || $0 == "_" } ?? false
        if plain, startsPlainly, YAMLScalar(scalar.text, quoted: false).value == .text { return scalar.text }
        return quoted(scalar.text)
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for character in text.unicodeScalars {
            switch character {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default:
                if character.value < 0x20 || (0x7F...0xA0).contains(character.value) || character.value >= 0x2028 {
                    result += hexEscape(character.value)
                } else {
                    result.unicodeScalars.append(character)
                }
            }
        }
        return result + "\""
    }

    private static func hexEscape(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        let width = value > 0xFFFF ? 8 : 4
        return (width == 8 ? "\\U" : "\\u") + String(repeating: "0", count: width - digits.count) + digits
    }
}
