import Diagnostics
import Foundation
import WeightFiles

/// BERT's WordPiece: words are split greedily into the longest known pieces.
public struct WordPieceTokenizer: Tokenizer {
    private let vocabulary: Vocabulary
    private let unknownID: Int
    private let prefix: String
    private let maximumWordCharacters: Int
    private let text: BERTText
    private let frame: InputFrame
    private let added: AddedTokenMatcher
    private let special: Set<Int>

    public var vocabularySize: Int { vocabulary.size }

    /// From a `vocab.txt`: one piece per line, the line number is the id. Uncased BERT rules, `[CLS] … [SEP]`.
    ///
    /// - Throws: `data.malformed` when one of `[UNK]`, `[CLS]`, `[SEP]` is missing or a piece occurs twice.
    public init(vocabularyFile path: String, lowercases: Bool = true) throws {
        let content = try TextFile.read(path, maximumBytes: 64 << 20)
        var vocabulary = Vocabulary()
        for (index, line) in TextFile.lines(content).enumerated() {
            guard vocabulary.insert(line, id: index) else {
                throw Failure(
                    .dataMalformed, "the piece '\(line)' occurs twice", path: path, place: "line \(index + 1)")
            }
        }
        guard let cls = vocabulary.id(of: "[CLS]"), let sep = vocabulary.id(of: "[SEP]"),
            vocabulary.id(of: "[UNK]") != nil
        else {
            throw Failure(
                .dataMalformed, "a WordPiece vocabulary needs [UNK], [CLS] and [SEP]", path: path,
                hint: "give the vocab.txt that came with the model")
        }
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].compactMap { name in
            vocabulary.id(of: name).map {
                AddedToken(
                    id: $0, content: name, isSpecial: true, stripsLeft: false, stripsRight: false,
                    isNormalized: false, isSingleWord: false)
            }
        }
        try self.init(
            vocabulary: vocabulary, unknown: "[UNK]", prefix: "##", maximumWordCharacters: 100,
            text: BERTText(lowercases: lowercases), frame: InputFrame(prefix: [cls], suffix: [sep]), added: special,
            path: path)
    }

    init(
        vocabulary: Vocabulary, unknown: String, prefix: String, maximumWordCharacters: Int, text: BERTText,
        frame: InputFrame, added: [AddedToken], path: String
    ) throws {
        guard let unknownID = vocabulary.id(of: unknown) else {
            throw Failure(.dataMalformed, "the unknown token '\(unknown)' is not in the vocabulary", path: path)
        }
        var vocabulary = vocabulary
        for token in added { vocabulary.replace(token.content, id: token.id) }
        self.vocabulary = vocabulary
        self.unknownID = unknownID
        self.prefix = prefix
        self.maximumWordCharacters = maximumWordCharacters
        self.text = text
        self.frame = frame
        self.added = AddedTokenMatcher(added)
        self.special = Set(added.filter(\.isSpecial).map(\.id))
    }

    public func id(of token: String) -> Int? { vocabulary.id(of: token) }

    public func encode(_ input: String) -> [Int] {
        var ids: [Int] = []
        for piece in added.split(input) {
            switch piece {
            case .token(let id): ids.append(id)
            case .text(let part):
                for word in BERTText.words(text.normalized(String(part))) { appendPieces(of: word, to: &ids) }
            }
        }
        return ids
    }

    public func encodeInput(_ text: String, maximumTokens: Int?) -> [Int] {
        frame.framed(encode(text), maximumTokens: maximumTokens)
    }

    public func decode(_ ids: [Int], skipSpecial: Bool) -> String {
        var result = ""
        for id in ids {
            guard let token = vocabulary.token(id), !(skipSpecial && special.contains(id)) else { continue }
            if token.hasPrefix(prefix), !result.isEmpty {
                result += token.dropFirst(prefix.count)
            } else {
                result += (result.isEmpty ? "" : " ") + token
            }
        }
        return result
    }

    /// Greedy longest match; a word that cannot be covered, or is too long, becomes one unknown token.
    private func appendPieces(of word: String, to ids: inout [Int]) {
        let scalars = Array(word.unicodeScalars)
        guard scalars.count <= maximumWordCharacters else {
            ids.append(unknownID)
            return
        }
        var pieces: [Int] = []
        var start = 0
        while start < scalars.count {
            var end = scalars.count
            var found: Int?
            while end > start {
                var candidate = start > 0 ? prefix : ""
                candidate.unicodeScalars.append(contentsOf: scalars[start..<end])
                if let id = vocabulary.id(of: candidate) {
                    found = id
                    break
                }
                end -= 1
            }
            guard let found else {
                ids.append(unknownID)
                return
            }
            pieces.append(found)
            start = end
        }
        ids += pieces
    }
}
