/// "Did you mean": the nearest known words.
public enum Spelling {
    /// The candidates within edit distance 2 of `word` (1 for words of up to 3 letters), nearest first.
    public static func suggestions(
        for word: String, among candidates: some Sequence<String>, limit: Int = 3
    ) -> [String] {
        let bound = word.count <= 3 ? 1 : 2
        let scored = candidates.compactMap { candidate -> (distance: Int, word: String)? in
            guard abs(candidate.count - word.count) <= bound else { return nil }
            let distance = editDistance(word.lowercased(), candidate.lowercased())
            return distance <= bound ? (distance, candidate) : nil
        }
        return scored.sorted { ($0.distance, $0.word) < ($1.distance, $1.word) }.prefix(limit).map(\.word)
    }

    /// A hint sentence, nil when nothing is near.
    public static func hint(for word: String, among candidates: some Sequence<String>) -> String? {
        let found = suggestions(for: word, among: candidates)
        return found.isEmpty ? nil : "did you mean " + found.map { "'\($0)'" }.joined(separator: " or ") + "?"
    }

    /// Damerau-Levenshtein distance (adjacent transpositions count one).
    public static func editDistance(_ a: String, _ b: String) -> Int {
        let a = Array(a.unicodeScalars)
        let b = Array(b.unicodeScalars)
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i] + [Int](repeating: 0, count: b.count)
            for j in 1...b.count {
                let substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
                row[j] = min(last[j] + 1, row[j - 1] + 1, substitution)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    row[j] = min(row[j], beforeLast[j - 2] + 1)
                }
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
