import Diagnostics
import Foundation
import Tensors
import WeightFiles

/// Reads the tokenizer that travels with a model.
public enum TokenizerFile {
    /// The tokenizer of a model folder: `tokenizer.json` when it is there, else `vocab.txt`.
    ///
    /// - Throws: `data.missing` when the folder has neither, `data.unsupported` for kinds that are not implemented.
    public static func load(folder: String) throws -> any Tokenizer {
        let file = folder + "/tokenizer.json"
        if FileManager.default.fileExists(atPath: file) { return try load(file: file) }
        let vocabulary = folder + "/vocab.txt"
        guard FileManager.default.fileExists(atPath: vocabulary) else {
            throw Failure(
                .dataMissing, "no tokenizer.json and no vocab.txt", path: folder,
                hint: "copy the tokenizer files of the model into this folder")
        }
        let lowercases = try configuredLowercase(folder + "/tokenizer_config.json")
        return try WordPieceTokenizer(vocabularyFile: vocabulary, lowercases: lowercases ?? true)
    }

    /// A `tokenizer.json` of type WordPiece or byte-level BPE.
    public static func load(file path: String) throws -> any Tokenizer {
        let document = try parse(path)
        let reader = TokenizerDocument(document: document, path: path)
        switch document["model"]?["type"]?.string {
        case "WordPiece": return try reader.wordPiece()
        case "BPE": return try reader.bytePair()
        case .none where document["model"]?["merges"] != nil: return try reader.bytePair()
        case let type:
            throw Failure(
                .dataUnsupported, "tokenizer models of type '\(type ?? "unknown")' are not implemented", path: path,
                place: "model.type", hint: "WordPiece and byte-level BPE are")
        }
    }

    private static func parse(_ path: String) throws -> JSONValue {
        let rules = StrictJSON.Rules(
            maximumDepth: 64, maximumBytes: 256 << 20, tooLarge: .ioTooLarge, notUTF8: .dataMalformed,
            notJSON: .dataMalformed, tooDeep: .dataMalformed, duplicateKey: .dataMalformed)
        return try MappedFile(path: path).withBytes { try StrictJSON.parse($0, rules, path: path) }
    }

    private static func configuredLowercase(_ path: String) throws -> Bool? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        return try parse(path)["do_lower_case"]?.bool
    }
}

/// The parts of a parsed `tokenizer.json`.
struct TokenizerDocument {
    let document: JSONValue
    let path: String

    func wordPiece() throws -> WordPieceTokenizer {
        let model = try member("model", of: document, place: "")
        var text = BERTText()
        if let normalizer = document["normalizer"], normalizer != .null {
            guard normalizer["type"]?.string == "BertNormalizer" else { throw unsupported(normalizer, "normalizer") }
            text.cleanText = normalizer["clean_text"]?.bool ?? true
            text.spacesChineseCharacters = normalizer["handle_chinese_chars"]?.bool ?? true
            text.stripsAccents = normalizer["strip_accents"]?.bool
            text.lowercases = normalizer["lowercase"]?.bool ?? true
        }
        guard document["pre_tokenizer"]?["type"]?.string == "BertPreTokenizer" else {
            throw unsupported(document["pre_tokenizer"], "pre_tokenizer")
        }
        return try WordPieceTokenizer(
            vocabulary: vocabulary(model), unknown: model["unk_token"]?.string ?? "[UNK]",
            prefix: model["continuing_subword_prefix"]?.string ?? "##",
            maximumWordCharacters: model["max_input_chars_per_word"]?.integer ?? 100, text: text, frame: frame(),
            added: addedTokens(), path: path)
    }

    func bytePair() throws -> BytePairTokenizer {
        let model = try member("model", of: document, place: "")
        if model["byte_fallback"]?.bool == true {
            throw Failure(
                .dataUnsupported, "BPE with byte fallback (SentencePiece) is not implemented", path: path,
                place: "model.byte_fallback")
        }
        let steps = try preTokenizers()
        return try BytePairTokenizer(
            vocabulary: vocabulary(model), merges: merges(model), splits: steps.splits, normalization: normalization(),
            addsPrefixSpace: steps.addsPrefixSpace, ignoresMerges: model["ignore_merges"]?.bool ?? false,
            frame: frame(), added: addedTokens(), unknown: model["unk_token"]?.string, path: path)
    }

    /// GPT-2's word pattern, used by `ByteLevel` with `use_regex`.
    static let gpt2Pattern =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    private func preTokenizers() throws -> (splits: [BytePairTokenizer.Split], addsPrefixSpace: Bool) {
        guard let root = document["pre_tokenizer"], root != .null else {
            throw unsupported(nil, "pre_tokenizer")
        }
        let steps = root["type"]?.string == "Sequence" ? root["pretokenizers"]?.array ?? [] : [root]
        var splits: [BytePairTokenizer.Split] = []
        var addsPrefixSpace = false
        var isByteLevel = false
        for step in steps {
            switch step["type"]?.string {
            case "ByteLevel":
                isByteLevel = true
                addsPrefixSpace = step["add_prefix_space"]?.bool ?? true
                if step["use_regex"]?.bool ?? true { splits.append(.init(pattern: Self.gpt2Pattern)) }
            case "Split":
                guard step["behavior"]?.string == "Isolated", step["invert"]?.bool != true else {
                    throw unsupported(step, "pre_tokenizer.Split (only behavior Isolated, not inverted)")
                }
                if let pattern = step["pattern"]?["Regex"]?.string {
                    splits.append(.init(pattern: pattern))
                } else if let literal = step["pattern"]?["String"]?.string {
                    splits.append(.init(pattern: NSRegularExpression.escapedPattern(for: literal)))
                } else {
                    throw unsupported(step, "pre_tokenizer.Split.pattern")
                }
            case "Digits":
                splits.append(.init(pattern: step["individual_digits"]?.bool == true ? #"\p{N}"# : #"\p{N}+"#))
            default: throw unsupported(step, "pre_tokenizer")
            }
        }
        guard isByteLevel else { throw unsupported(root, "pre_tokenizer (byte-level needed)") }
        return (splits, addsPrefixSpace)
    }

    private func normalization() throws -> BytePairTokenizer.Normalization {
        guard let normalizer = document["normalizer"], normalizer != .null else { return .none }
        switch normalizer["type"]?.string {
        case "NFC": return .nfc
        case "NFKC": return .nfkc
        case "Sequence" where normalizer["normalizers"]?.array?.isEmpty == true: return .none
        default: throw unsupported(normalizer, "normalizer")
        }
    }

    private func vocabulary(_ model: JSONValue) throws -> Vocabulary {
        guard let members = model["vocab"]?.members else {
            throw Failure(
                .dataMalformed, "model.vocab must be an object of token: id", path: path, place: "model.vocab")
        }
        var vocabulary = Vocabulary()
        for member in members {
            guard let id = member.value.integer, id >= 0, vocabulary.insert(member.key, id: id) else {
                throw Failure(
                    .dataMalformed, "the id of '\(member.key)' is not a free integer ≥ 0", path: path,
                    place: "model.vocab")
            }
        }
        return vocabulary
    }

    private func merges(_ model: JSONValue) throws -> [(String, String)] {
        try (model["merges"]?.array ?? []).enumerated().map { index, entry in
            if let pair = entry.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string {
                return (left, right)
            }
            if let text = entry.string, let space = text.firstIndex(of: " ") {
                return (String(text[..<space]), String(text[text.index(after: space)...]))
            }
            throw Failure(
                .dataMalformed, "a merge must be two tokens", path: path, place: "model.merges[\(index)]")
        }
    }

    private func addedTokens() throws -> [AddedToken] {
        try (document["added_tokens"]?.array ?? []).enumerated().map { index, entry in
            guard let id = entry["id"]?.integer, id >= 0, let content = entry["content"]?.string, !content.isEmpty
            else {
                throw Failure(
                    .dataMalformed, "an added token needs an id and a content", path: path,
                    place: "added_tokens[\(index)]")
            }
            return AddedToken(
                id: id, content: content, isSpecial: entry["special"]?.bool ?? false,
                stripsLeft: entry["lstrip"]?.bool ?? false, stripsRight: entry["rstrip"]?.bool ?? false,
                isNormalized: entry["normalized"]?.bool ?? false, isSingleWord: entry["single_word"]?.bool ?? false)
        }
    }

    /// Special tokens around a single input, from the post-processor.
    private func frame() throws -> InputFrame {
        guard let root = document["post_processor"], root != .null else { return InputFrame() }
        let steps = root["type"]?.string == "Sequence" ? root["processors"]?.array ?? [] : [root]
        var frame = InputFrame()
        for step in steps {
            switch step["type"]?.string {
            case "ByteLevel": continue
            case "TemplateProcessing": frame = try template(step)
            case "BertProcessing", "RobertaProcessing":
                guard let cls = step["cls"]?.array?.last?.integer, let sep = step["sep"]?.array?.last?.integer else {
                    throw unsupported(step, "post_processor")
                }
                frame = InputFrame(prefix: [cls], suffix: [sep])
            default: throw unsupported(step, "post_processor")
            }
        }
        return frame
    }

    private func template(_ step: JSONValue) throws -> InputFrame {
        var frame = InputFrame()
        var seenText = false
        for item in step["single"]?.array ?? [] {
            if item["Sequence"] != nil {
                seenText = true
            } else if let name = item["SpecialToken"]?["id"]?.string,
                let ids = step["special_tokens"]?[name]?["ids"]?.array?.compactMap(\.integer)
            {
                if seenText { frame.suffix += ids } else { frame.prefix += ids }
            } else {
                throw unsupported(step, "post_processor")
            }
        }
        return frame
    }

    private func member(_ key: String, of value: JSONValue, place: String) throws -> JSONValue {
        guard let found = value[key], found.members != nil else {
            throw Failure(.dataMalformed, "'\(key)' must be an object", path: path, place: place + key)
        }
        return found
    }

    private func unsupported(_ value: JSONValue?, _ place: String) -> Failure {
        Failure(
            .dataUnsupported, "'\(value?["type"]?.string ?? "none")' is not implemented", path: path, place: place)
    }
}
