import Diagnostics

/// The part of TOML that `lorabank.toml` needs: comments, `[tables]`, and keys with strings, integers, truth values and
/// one-line lists of strings. Everything else is an error that names its line.
struct SettingsTable {
    enum Value {
        case text(String)
        case integer(Int)
        case flag(Bool)
        case texts([String])
    }

    private struct Entry {
        var value: Value
        var line: Int
    }

    private let path: String
    /// By dotted key, e.g. `limits.max_adapter_bytes`.
    private var entries: [String: Entry] = [:]
    /// Keys that the reader asked for.
    private var known: Set<String> = []

    /// - Throws: `usage.bad_argument`.
    init(parsing text: String, path: String) throws {
        self.path = path
        var section = ""
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            var scanner = SettingsLine(line: line, number: index + 1, path: path)
            switch try scanner.statement() {
            case .nothing: continue
            case .table(let name): section = name + "."
            case .assignment(let key, let value):
                let full = section + key
                guard entries[full] == nil else { throw scanner.failure("the key '\(full)' stands here again") }
                entries[full] = Entry(value: value, line: index + 1)
            }
        }
    }

    mutating func text(_ key: String) throws -> String? {
        guard let entry = take(key) else { return nil }
        guard case .text(let text) = entry.value else { throw wrong(key, entry, "a string in quotes") }
        return text
    }

    mutating func choice(_ key: String, of choices: [String]) throws -> String? {
        guard let entry = take(key) else { return nil }
        let wanted = "one of " + choices.map(SettingsTable.quoted).joined(separator: ", ")
        guard case .text(let text) = entry.value, choices.contains(text) else { throw wrong(key, entry, wanted) }
        return text
    }

    mutating func integer(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let entry = take(key) else { return nil }
        guard case .integer(let value) = entry.value, range.contains(value) else {
            let upper = range.upperBound == .max ? "" : " and at most \(range.upperBound)"
            throw wrong(key, entry, "an integer of at least \(range.lowerBound)\(upper)")
        }
        return value
    }

    mutating func flag(_ key: String) throws -> Bool? {
        guard let entry = take(key) else { return nil }
        guard case .flag(let flag) = entry.value else { throw wrong(key, entry, "true or false") }
        return flag
    }

    mutating func texts(_ key: String, of choices: [String]? = nil) throws -> [String]? {
        guard let entry = take(key) else { return nil }
        guard case .texts(let texts) = entry.value else { throw wrong(key, entry, "a list of strings") }
        if let choices, let odd = texts.first(where: { !choices.contains($0) }) {
            throw wrong(
                key, entry, "a list of \(choices.map(SettingsTable.quoted).joined(separator: ", ")), not '\(odd)'")
        }
        return texts
    }

    /// - Throws: `usage.bad_argument` for the first key that nobody asked for.
    func refuseUnknownKeys() throws {
        let unknown = entries.filter { !known.contains($0.key) }.min { $0.value.line < $1.value.line }
        guard let unknown else { return }
        throw Failure(
            .usageBadArgument, "unknown key '\(unknown.key)'", path: path, place: "line \(unknown.value.line)",
            hint: Spelling.hint(for: unknown.key, among: known) ?? "remove it")
    }

    func missing(_ key: String) -> Failure {
        Failure(.usageBadArgument, "the key '\(key)' is missing", path: path)
    }

    static func quoted(_ text: String) -> String {
        "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
    }

    private mutating func take(_ key: String) -> Entry? {
        known.insert(key)
        return entries[key]
    }

    private func wrong(_ key: String, _ entry: Entry, _ wanted: String) -> Failure {
        Failure(.usageBadArgument, "'\(key)' must be \(wanted)", path: path, place: "line \(entry.line)")
    }
}

/// One line of the file.
private struct SettingsLine {
    enum Statement {
        case nothing
        case table(String)
        case assignment(String, SettingsTable.Value)
    }

    private var rest: Substring
    private let number: Int
    private let path: String

    init(line: Substring, number: Int, path: String) {
        rest = line.last == "\r" || line.last == "\r\n" ? line.dropLast() : line
        self.number = number
        self.path = path
    }

    mutating func statement() throws -> Statement {
        skipSpaces()
        guard let first = rest.first, first != "#" else { return .nothing }
        if first == "[" {
            rest.removeFirst()
            let name = try key()
            try expect("]")
            try end()
            return .table(name)
        }
        let name = try key()
        try expect("=")
        let value = try value()
        try end()
        return .assignment(name, value)
    }

    private mutating func key() throws -> String {
        skipSpaces()
        let word = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
        guard !word.isEmpty else { throw failure("a key was expected") }
        rest = rest[word.endIndex...]
        return String(word)
    }

    private mutating func value() throws -> SettingsTable.Value {
        skipSpaces()
        switch rest.first {
        case "\"", "'": return .text(try string())
        case "[": return .texts(try list())
        default:
            let word = rest.prefix { !$0.isWhitespace && $0 != "#" }
            rest = rest[word.endIndex...]
            if word == "true" || word == "false" { return .flag(word == "true") }
            guard let integer = Int(word.filter { $0 != "_" }), !word.hasPrefix("_"), !word.hasSuffix("_") else {
                throw failure("a value was expected: a string in quotes, an integer, true, false or a list of strings")
            }
            return .integer(integer)
        }
    }

    private mutating func string() throws -> String {
        guard let quote = rest.first, quote == "\"" || quote == "'" else { throw failure("a string was expected") }
        rest.removeFirst()
        var text = ""
        while let character = rest.popFirst() {
            if character == quote { return text }
            guard character == "\\", quote == "\"" else {
                text.append(character)
                continue
            }
            guard let escaped = rest.popFirst(), escaped == "\"" || escaped == "\\" else {
                throw failure("only \\\" and \\\\ may follow a backslash")
            }
            text.append(escaped)
        }
        throw failure("the string does not end on this line")
    }

    private mutating func list() throws -> [String] {
        rest.removeFirst()
        var texts: [String] = []
        while true {
            skipSpaces()
            if rest.first == "]" { break }
            texts.append(try string())
            skipSpaces()
            if rest.first != "," { break }
            rest.removeFirst()
        }
        try expect("]")
        return texts
    }

    private mutating func expect(_ character: Character) throws {
        skipSpaces()
        guard rest.first == character else { throw failure("'\(character)' was expected") }
        rest.removeFirst()
    }

    private mutating func end() throws {
        skipSpaces()
        guard rest.isEmpty || rest.first == "#" else { throw failure("nothing more was expected on this line") }
    }

    private mutating func skipSpaces() { rest = rest.drop { $0 == " " || $0 == "\t" } }

    func failure(_ message: String) -> Failure {
        Failure(.usageBadArgument, message, path: path, place: "line \(number)")
    }
}
