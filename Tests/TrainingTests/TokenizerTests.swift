import Foundation
import Tensors
import Testing
import WeightFiles

@testable import Training

enum TrainingFixtures {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures"
    /// Real data beside the checkout; absent in a plain clone.
    static let shared =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path + "/shared"

    static func json(_ path: String) throws -> JSONValue {
        try MappedFile(path: path).withBytes { try StrictJSON.parse($0, .shardIndex, path: path) }
    }
}

@Suite struct `Tokenizers against the reference library` {
    struct Case {
        var text: String
        var ids: [Int]
        var plain: [Int]
        var decoded: String
    }

    static let names = ["bpe_gpt2", "bpe_prefix", "bpe_llama3", "bpe_qwen", "wordpiece", "wordpiece_cased"]

    static func cases(_ name: String) throws -> [Case] {
        let document = try TrainingFixtures.json(TrainingFixtures.folder + "/tokenizer_expected.json")
        return try #require(document[name]?.array).map { entry in
            Case(
                text: try #require(entry["text"]?.string),
                ids: try #require(entry["ids"]?.array).compactMap(\.integer),
                plain: try #require(entry["plain"]?.array).compactMap(\.integer),
                decoded: try #require(entry["decoded"]?.string))
        }
    }

    @Test(arguments: names) func `ids of whole inputs are equal`(name: String) throws {
        let tokenizer = try TokenizerFile.load(file: "\(TrainingFixtures.folder)/\(name).json")
        for item in try Self.cases(name) {
            #expect(tokenizer.encodeInput(item.text, maximumTokens: nil) == item.ids, "\(item.text.debugDescription)")
            #expect(tokenizer.encode(item.text) == item.plain, "\(item.text.debugDescription)")
        }
    }

    @Test(arguments: ["bpe_gpt2", "bpe_llama3", "bpe_qwen"]) func `decoding gives the text back`(name: String) throws {
        let tokenizer = try TokenizerFile.load(file: "\(TrainingFixtures.folder)/\(name).json")
        for item in try Self.cases(name) {
            #expect(tokenizer.decode(item.ids, skipSpecial: true) == item.decoded, "\(item.text.debugDescription)")
        }
    }

    @Test func `a long input loses its end, never its frame`() throws {
        let tokenizer = try TokenizerFile.load(file: TrainingFixtures.folder + "/wordpiece.json")
        let whole = tokenizer.encodeInput("merging adapters in one bank", maximumTokens: nil)
        let cut = tokenizer.encodeInput("merging adapters in one bank", maximumTokens: 5)
        #expect(cut.count == 5)
        #expect(cut.first == 2 && cut.last == 3)
        #expect(Array(cut.prefix(4)) == Array(whole.prefix(4)))
    }
}
