import Testing

@testable import Diagnostics

@Suite struct ForeignTextTests {
    @Test(arguments: [
        ("plain text, ümlaut, 日本語", "plain text, ümlaut, 日本語"),
        ("\u{1B}[2J", "\\u{1B}[2J"),
        ("a\nb\tc\r", "a\\u{A}b\\u{9}c\\u{D}"),
        ("\u{0}", "\\u{0}"),
        ("\u{7F}\u{9B}", "\\u{7F}\\u{9B}"),
        ("evil\u{202E}gpj.exe", "evil\\u{202E}gpj.exe"),
        ("zero\u{200B}width", "zero\\u{200B}width"),
        ("line\u{2028}sep", "line\\u{2028}sep"),
        ("", ""),
    ])
    func `nothing that moves a cursor or reorders text gets through`(raw: String, shown: String) {
        #expect(ForeignText.escaped(raw) == shown)
    }

    @Test func `no output holds an unsafe scalar`() {
        let all = String(String.UnicodeScalarView((0...0x2FFF).compactMap(Unicode.Scalar.init)))
        #expect(!ForeignText.escaped(all).unicodeScalars.contains(where: ForeignText.isUnsafe))
    }
}
