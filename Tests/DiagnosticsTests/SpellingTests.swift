import Testing

@testable import Diagnostics

@Suite struct SpellingTests {
    @Test(arguments: [
        ("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3),
        ("merge", "mereg", 1), ("ties", "tie", 1), ("ähre", "aehre", 2),
    ])
    func `edit distance counts insertions, deletions, substitutions and transpositions`(
        a: String, b: String, distance: Int
    ) {
        #expect(Spelling.editDistance(a, b) == distance)
        #expect(Spelling.editDistance(b, a) == distance)
    }

    @Test func `near words come nearest first`() {
        let words = ["merge", "verge", "compare", "import"]
        #expect(Spelling.suggestions(for: "mrge", among: words) == ["merge", "verge"])
        #expect(Spelling.suggestions(for: "MERGE", among: words).first == "merge")
        #expect(Spelling.suggestions(for: "xyzzyx", among: words).isEmpty)
    }

    @Test func `short words allow one error only`() {
        #expect(Spelling.suggestions(for: "ab", among: ["cd", "ac"]) == ["ac"])
    }

    @Test func `the hint names the candidates`() {
        #expect(Spelling.hint(for: "mrge", among: ["merge"]) == "did you mean 'merge'?")
        #expect(Spelling.hint(for: "zzzzzz", among: ["merge"]) == nil)
    }
}
