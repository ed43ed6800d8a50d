/// Turns text into the ids of a model's vocabulary and back.
public protocol Tokenizer: Sendable {
    /// Ids of `text` alone, without the special tokens that frame a whole input.
    func encode(_ text: String) -> [Int]

    /// Ids of a whole input: the special tokens that the model expects around it included.
    ///
    /// - Parameter maximumTokens: length limit, special tokens included; the end of the text is cut, never the frame.
    func encodeInput(_ text: String, maximumTokens: Int?) -> [Int]

    /// The text of `ids`. Special tokens are left out when `skipSpecial` is true.
    func decode(_ ids: [Int], skipSpecial: Bool) -> String

    /// Number of ids, added tokens included.
    var vocabularySize: Int { get }

    /// Id of a token's literal text, nil when it is no token.
    func id(of token: String) -> Int?
}

/// The tokens set before and after every input, as a `TemplateProcessing` for single inputs gives them.
struct InputFrame: Sendable, Hashable {
    var prefix: [Int] = []
    var suffix: [Int] = []

    func framed(_ ids: [Int], maximumTokens: Int?) -> [Int] {
        guard let maximumTokens else { return prefix + ids + suffix }
        let room = max(0, maximumTokens - prefix.count - suffix.count)
        return prefix + ids.prefix(room) + suffix
    }
}
