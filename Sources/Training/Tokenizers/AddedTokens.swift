import Diagnostics
import WeightFiles

/// One entry of `added_tokens` in a `tokenizer.json`.
struct AddedToken: Sendable, Hashable {
    var id: Int
    var content: String
    var isSpecial: Bool
    /// Takes the white space before (after) the token with it.
    var stripsLeft: Bool
    var stripsRight: Bool
    /// Matched in the normalised text instead of the raw text.
    var isNormalized: Bool
    /// Matched only between non-word characters.
    var isSingleWord: Bool
}

/// Finds added tokens in a text, longest first, so that they reach the ids unsplit.
struct AddedTokenMatcher: Sendable {
    enum Piece: Equatable {
        case text(Substring)
        case token(Int)
    }

    let tokens: [AddedToken]
    private let byFirstCharacter: [Unicode.Scalar: [AddedToken]]

    init(_ tokens: [AddedToken]) {
        self.tokens = tokens
        var table: [Unicode.Scalar: [AddedToken]] = [:]
        for token in tokens {
            guard let first = token.content.unicodeScalars.first else { continue }
            table[first, default: []].append(token)
        }
        for key in table.keys {
            table[key]?.sort { $0.content.unicodeScalars.count > $1.content.unicodeScalars.count }
        }
        byFirstCharacter = table
    }

    func split(_ text: String) -> [Piece] {
        guard !tokens.isEmpty else { return text.isEmpty ? [] : [.text(text[...])] }
        let scalars = text.unicodeScalars
        var pieces: [Piece] = []
        var pending = scalars.startIndex
        var position = scalars.startIndex
        while position < scalars.endIndex {
            guard let token = match(in: scalars, at: position) else {
                position = scalars.index(after: position)
                continue
            }
            var end = scalars.index(position, offsetBy: token.content.unicodeScalars.count)
            var start = position
            if token.stripsLeft {
                while start > pending, scalars[scalars.index(before: start)].properties.isWhitespace {
                    start = scalars.index(before: start)
                }
            }
            if token.stripsRight {
                while end < scalars.endIndex, scalars[end].properties.isWhitespace { end = scalars.index(after: end) }
            }
            if pending < start { pieces.append(.text(text[pending..<start])) }
            pieces.append(.token(token.id))
            pending = end
            position = end
        }
        if pending < scalars.endIndex { pieces.append(.text(text[pending...])) }
        return pieces
    }

    private func match(in scalars: String.UnicodeScalarView, at position: String.Index) -> AddedToken? {
        byFirstCharacter[scalars[position]]?.first { token in
            guard scalars[position...].starts(with: token.content.unicodeScalars) else { return false }
            guard token.isSingleWord else { return true }
            let end = scalars.index(position, offsetBy: token.content.unicodeScalars.count)
            let before = position > scalars.startIndex ? scalars[scalars.index(before: position)] : " "
            let after = end < scalars.endIndex ? scalars[end] : " "
            return !Self.isWordCharacter(before) && !Self.isWordCharacter(after)
        }
    }

    private static func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }
}
