import Diagnostics
import Foundation

/// A query of `find`, taken apart: `task:cifar state:approved rank<=8 "class incremental" -draft`.
struct FindQuery: Hashable {
    enum Comparison: String, CaseIterable {
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case notEqual = "!="
        case less = "<"
        case greater = ">"
        case equal = "="
        case has = ":"
    }

    struct Term: Hashable {
        /// `-` stood before it.
        var isNegated = false
        /// nil for words.
        var field: String?
        var comparison: Comparison = .has
        /// What is looked for, without quotes.
        var value: String
        /// The term as written, for errors.
        var text: String
        /// Stood in quotes: words in this order.
        var isPhrase = false
    }

    /// Longest query in bytes, and the most terms.
    static let longest = 4_096
    static let mostTerms = 64

    let terms: [Term]

    /// - Throws: `usage.bad_query`.
    init(parsing text: String) throws {
        guard text.utf8.count <= FindQuery.longest else {
            throw Failure(.usageBadQuery, "the query is longer than \(FindQuery.longest) bytes")
        }
        let odd = text.unicodeScalars.first { $0.properties.generalCategory == .control && !$0.properties.isWhitespace }
        if odd != nil { throw Failure(.usageBadQuery, "the query holds a control character") }
        var scanner = FindScanner(text.precomposedStringWithCanonicalMapping)
        var terms: [Term] = []
        while let term = try scanner.next() { terms.append(term) }
        guard terms.count <= FindQuery.mostTerms else {
            throw Failure(.usageBadQuery, "the query has more than \(FindQuery.mostTerms) terms")
        }
        self.terms = terms
    }
}

private struct FindScanner {
    private var rest: Substring

    init(_ text: String) { rest = text[...] }

    mutating func next() throws -> FindQuery.Term? {
        rest = rest.drop(while: \.isWhitespace)
        guard !rest.isEmpty else { return nil }
        let start = rest
        var term = FindQuery.Term(value: "", text: "")
        if rest.first == "-", let second = rest.dropFirst().first, !second.isWhitespace {
            term.isNegated = true
            rest.removeFirst()
        }
        if rest.first == "\"" {
            term.value = try quoted()
            term.isPhrase = true
        } else {
            try fieldOrWord(&term)
        }
        term.text = String(start[..<rest.startIndex])
        guard !term.value.isEmpty || term.field != nil else {
            throw Failure(.usageBadQuery, "an empty term", place: term.text)
        }
        return term
    }

    private mutating func fieldOrWord(_ term: inout FindQuery.Term) throws {
        let name = rest.prefix { !$0.isWhitespace && !":<>=!\"".contains($0) }
        let after = rest[name.endIndex...]
        let comparison = FindQuery.Comparison.allCases.first { after.hasPrefix($0.rawValue) }
        guard let comparison else {
            term.value = word()
            return
        }
        guard !name.isEmpty else {
            throw Failure(
                .usageBadQuery, "'\(comparison.rawValue)' stands without a field", place: String(rest.prefix(40)),
                hint: "write field\(comparison.rawValue)value, or put words in quotes")
        }
        term.field = String(name)
        term.comparison = comparison
        rest = after.dropFirst(comparison.rawValue.count)
        term.value = rest.first == "\"" ? try quoted() : word()
        if term.value.isEmpty {
            throw Failure(
                .usageBadQuery, "'\(name)\(comparison.rawValue)' has no value",
                hint: "write \(name)\(comparison.rawValue)value without spaces")
        }
    }

    private mutating func word() -> String {
        let word = rest.prefix { !$0.isWhitespace }
        rest = rest[word.endIndex...]
        return String(word)
    }

    /// Text between quotes; `\"` and `\\` stand for themselves.
    private mutating func quoted() throws -> String {
        let start = rest
        rest.removeFirst()
        var text = ""
        while let character = rest.popFirst() {
            if character == "\"" { return text }
            if character == "\\", let next = rest.first, next == "\"" || next == "\\" {
                rest.removeFirst()
                text.append(next)
            } else {
                text.append(character)
            }
        }
        throw Failure(.usageBadQuery, "a quotation mark has no partner", place: String(start.prefix(40)))
    }
}
