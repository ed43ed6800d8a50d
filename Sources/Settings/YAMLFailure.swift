import Diagnostics
import Yams

/// The YAML library's errors in our words, each with line and column.
enum YAMLFailure {
    static func failure(for error: YamlError, text: String) -> Failure {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return syntax(problem, at: .file(line: mark.line, column: mark.column))
        case .reader(let problem, let offset, _, _):
            return syntax(problem, at: place(ofCharacter: offset ?? 0, in: text))
        case .duplicatedKeysInMapping(let duplicates, let context):
            let first = SourcePlace.file(line: context.mark.line, column: context.mark.column)
            return duplicate(duplicates.first ?? "", first: first, second: nil, text: text)
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            return Failure(.recipeSyntax, "the YAML library gave up: \(error)")
        }
    }

    static func duplicate(_ key: String, first: SourcePlace, second: SourcePlace) -> Failure {
        Failure(
            .recipeSyntax, "the key '\(key)' is given twice in one mapping (first at \(first))",
            place: second.description, hint: "keep one of the two")
    }

    /// The library names only the first of two equal keys; in block style the second stands below it in the same
    /// column.
    private static func duplicate(_ key: String, first: SourcePlace, second: SourcePlace?, text: String) -> Failure {
        guard case .file(let line, let column) = first else { return duplicate(key, first: first, second: first) }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for index in lines.indices.dropFirst(line) {
            var rest = lines[index].unicodeScalars.dropFirst(column - 1)
            if let quote = rest.first, quote == "\"" || quote == "'" { rest = rest.dropFirst() }
            if rest.starts(with: key.unicodeScalars), lines[index].unicodeScalars.count >= column {
                return duplicate(key, first: first, second: .file(line: index + 1, column: column))
            }
        }
        return duplicate(key, first: first, second: first)
    }

    private static func syntax(_ problem: String, at place: SourcePlace) -> Failure {
        Failure(
            .recipeSyntax, "not valid YAML: \(problem)", place: place.description,
            hint: "check indentation (spaces only), colons and quotes at this place")
    }

    private static func place(ofCharacter offset: Int, in text: String) -> SourcePlace {
        var line = 1
        var column = 1
        for character in text.prefix(offset) {
            if character.isNewline {
                line += 1
                column = 1
            } else {
                column += character.unicodeScalars.count
            }
        }
        return .file(line: line, column: column)
    }
}
