import Diagnostics
import Foundation
import Synchronization

/// Byte-level byte-pair encoding as in the `tokenizer.json` of GPT-2, Llama 3, Qwen and Mamba.
public final class BytePairTokenizer: Tokenizer {
    /// How raw text is cut into words before the merges.
    struct Split: Sendable {
        /// ICU regular expression; each match is a word of its own and so is what lies between.
        var pattern: String
    }

    private struct Pair: Hashable {
        var left: Int
        var right: Int
    }

    private let vocabulary: Vocabulary
    /// Pair of token ids → rank of the merge and id of the result.
    private let merges: [Pair: (rank: Int, id: Int)]
    private let splits: [NSRegularExpression]
    private let normalization: Normalization
    private let addsPrefixSpace: Bool
    private let ignoresMerges: Bool
    private let frame: InputFrame
    private let added: AddedTokenMatcher
    private let addedTexts: [Int: AddedToken]
    private let unknownID: Int?
    private let cache = Mutex<[String: [Int]]>([:])

    enum Normalization: Sendable { case none, nfc, nfkc }

    public var vocabularySize: Int { max(vocabulary.size, (addedTexts.keys.max() ?? -1) + 1) }

    init(
        vocabulary: Vocabulary, merges: [(String, String)], splits: [Split], normalization: Normalization,
        addsPrefixSpace: Bool, ignoresMerges: Bool, frame: InputFrame, added: [AddedToken], unknown: String?,
        path: String
    ) throws {
        self.vocabulary = vocabulary
        var table: [Pair: (rank: Int, id: Int)] = [:]
        table.reserveCapacity(merges.count)
        for (rank, (left, right)) in merges.enumerated() {
            guard let leftID = vocabulary.id(of: left), let rightID = vocabulary.id(of: right),
                let joined = vocabulary.id(of: left + right)
            else {
                throw Failure(
                    .dataMalformed, "a merge names a token that is not in the vocabulary: '\(left)' '\(right)'",
                    path: path, place: "merge \(rank + 1)")
            }
            table[Pair(left: leftID, right: rightID)] = (rank, joined)
        }
        self.merges = table
        self.splits = try splits.map { split in
            do {
                return try NSRegularExpression(pattern: split.pattern)
            } catch {
                throw Failure(
                    .dataUnsupported, "the split pattern is not understood: \(split.pattern)", path: path,
                    place: "pre_tokenizer")
            }
        }
        self.normalization = normalization
        self.addsPrefixSpace = addsPrefixSpace
        self.ignoresMerges = ignoresMerges
        self.frame = frame
        self.added = AddedTokenMatcher(added)
        self.addedTexts = Dictionary(added.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        self.unknownID = unknown.flatMap { vocabulary.id(of: $0) }
    }

    public func id(of token: String) -> Int? {
        added.tokens.first { $0.content == token }?.id ?? vocabulary.id(of: token)
    }

    public func encode(_ text: String) -> [Int] {
        var ids: [Int] = []
        for piece in added.split(text) {
            switch piece {
            case .token(let id): ids.append(id)
            case .text(let part):
                var section = normalized(String(part))
                if addsPrefixSpace, section.unicodeScalars.first != " " { section = " " + section }
                for word in words(of: section) { ids += idsOfWord(ByteLevel.encoded(word)) }
            }
        }
        return ids
    }

    public func encodeInput(_ text: String, maximumTokens: Int?) -> [Int] {
        frame.framed(encode(text), maximumTokens: maximumTokens)
    }

    public func decode(_ ids: [Int], skipSpecial: Bool) -> String {
        var bytes: [UInt8] = []
        for id in ids {
            if let token = addedTexts[id] {
                if !(skipSpecial && token.isSpecial) { bytes += Array(token.content.utf8) }
            } else if let token = vocabulary.token(id) {
                bytes += ByteLevel.decoded(token)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func normalized(_ text: String) -> String {
        switch normalization {
        case .none: text
        case .nfc: text.precomposedStringWithCanonicalMapping
        case .nfkc: text.precomposedStringWithCompatibilityMapping
        }
    }

    /// Applies the split patterns one after the other; matches and gaps both become words.
    private func words(of text: String) -> [String] {
        var words = [text]
        for expression in splits {
            words = words.flatMap { word -> [String] in
                let whole = word as NSString
                var parts: [String] = []
                var position = 0
                expression.enumerateMatches(in: word, range: NSRange(location: 0, length: whole.length)) {
                    match, _, _ in
                    guard let range = match?.range, range.length > 0 else { return }
                    if range.location > position {
                        parts.append(
                            whole.substring(with: NSRange(location: position, length: range.location - position)))
                    }
                    parts.append(whole.substring(with: range))
                    position = range.location + range.length
                }
                if position < whole.length { parts.append(whole.substring(from: position)) }
                return parts
            }
        }
        return words.filter { !$0.isEmpty }
    }

    private func idsOfWord(_ word: String) -> [Int] {
        if ignoresMerges, let id = vocabulary.id(of: word) { return [id] }
        if let known = cache.withLock({ $0[word] }) { return known }
        let ids = merged(word)
        cache.withLock { table in
            if table.count >= 100_000 { table.removeAll(keepingCapacity: true) }
            table[word] = ids
        }
        return ids
    }

    /// Joins the pair of lowest rank until none is left; among equal ranks the leftmost goes first.
    private func merged(_ word: String) -> [Int] {
        var parts = word.unicodeScalars.compactMap { vocabulary.id(of: String($0)) ?? unknownID }
        while parts.count > 1 {
            var best: (rank: Int, id: Int, index: Int)?
            for index in 0..<(parts.count - 1) {
                guard let merge = merges[Pair(left: parts[index], right: parts[index + 1])] else { continue }
                if best.map({ merge.rank < $0.rank }) ?? true { best = (merge.rank, merge.id, index) }
            }
            guard let best else { break }
            parts[best.index] = best.id
            parts.remove(at: best.index + 1)
        }
        return parts
    }
}
