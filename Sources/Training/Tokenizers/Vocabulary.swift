/// Token texts and ids.
///
/// Keys are compared byte by byte: Swift's `String` takes canonically equivalent texts for equal, and a vocabulary may
/// hold a composed and a decomposed spelling as two tokens.
struct Vocabulary: Sendable {
    private var ids: [[UInt8]: Int] = [:]
    private var tokens: [Int: String] = [:]

    /// Largest id + 1.
    private(set) var size = 0

    func id(of token: String) -> Int? { ids[Array(token.utf8)] }

    func token(_ id: Int) -> String? { tokens[id] }

    /// False when the token or the id is there already.
    mutating func insert(_ token: String, id: Int) -> Bool {
        guard tokens[id] == nil, ids.updateValue(id, forKey: Array(token.utf8)) == nil else { return false }
        tokens[id] = token
        size = max(size, id + 1)
        return true
    }

    mutating func replace(_ token: String, id: Int) {
        ids[Array(token.utf8)] = id
        tokens[id] = token
        size = max(size, id + 1)
    }
}
