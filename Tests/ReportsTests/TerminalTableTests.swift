import Testing

@testable import Reports

@Suite struct TerminalTableTests {
    @Test(arguments: [
        ("abc", 3), ("日本語", 6), ("ｱ", 1), ("é", 1), ("e\u{301}", 1), ("한글", 4), ("👩‍👩‍👧", 2), ("✔︎", 1), ("", 0),
        ("ＡＢ", 4),
    ])
    func `a text takes as many columns as a terminal draws`(text: String, columns: Int) {
        #expect(TextWidth.columns(of: text) == columns)
    }

    @Test func `wide names keep the columns aligned`() {
        var table = TerminalTable([.text("NAME"), .number("RANK")])
        table.add(["数字", "8"])
        table.add(["plain", "16"])
        #expect(table.rendered() == "NAME   RANK\n数字      8\nplain    16\n")
    }

    @Test func `only columns that may shrink are cut, and never below their minimum`() {
        var table = TerminalTable([.text("NAME", shrinks: true), .text("STATE")])
        table.add(["a-very-long-name-indeed", "pending"])
        #expect(table.rendered(width: 22) == "NAME           STATE\na-very-long-…  pending\n")
        #expect(table.rendered(width: 5).hasPrefix("NAME      STATE\na-very-…  pending"))
    }

    @Test func `control characters in a cell never reach the terminal`() {
        var table = TerminalTable([.text("NAME")])
        table.add(["evil\u{1B}[2J\n\u{202E}"])
        #expect(table.rendered() == "NAME\nevil\\u{1B}[2J\\u{A}\\u{202E}\n")
    }

    @Test(arguments: [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (150_208, "146.7 KiB"), (1_048_575, "1.0 MiB"),
        (3 << 30, "3.0 GiB"),
    ])
    func `sizes are shown in binary units`(bytes: Int, text: String) { #expect(Quantities.bytes(bytes) == text) }

    @Test(arguments: [
        (0.0, "just now"), (-5.0, "just now"), (61.0, "1 minute ago"), (7_300.0, "2 hours ago"),
        (86_400.0, "1 day ago"), (1_296_000.0, "2 weeks ago"), (34_560_000.0, "1 year ago"),
    ])
    func `times are shown relative to now`(seconds: Double, text: String) {
        #expect(Quantities.ago(seconds: seconds) == text)
    }

    @Test(arguments: [
        (0.125, 2, "0.13"), (-0.001, 2, "0.00"), (12.0, 0, "12"), (-1.5, 1, "-1.5"), (Double.nan, 2, "–"),
        (Double.infinity, 1, "∞"),
    ])
    func `numbers have a fixed count of decimals`(value: Double, decimals: Int, text: String) {
        #expect(Quantities.fixed(value, decimals) == text)
    }

    @Test(arguments: [
        (0.0123456, "0.0123"), (4.5678, "4.57"), (123_456.0, "123456"), (1.2e-7, "1.20e-07"), (0.0, "0"),
        (-3e9, "-3.00e+09"),
    ])
    func `numbers keep three significant digits`(value: Double, text: String) {
        #expect(Quantities.significant(value) == text)
    }

    @Test(arguments: [(0.42, "0.4 s"), (12.4, "12 s"), (185.0, "3 min 05 s"), (7_620.0, "2 h 07 min")])
    func `spans are shown in the two largest units`(seconds: Double, text: String) {
        #expect(Quantities.duration(seconds: seconds) == text)
    }
}
