import Testing

@testable import Reports

@Suite struct PageTests {
    @Test func `a heat map has one cell with a tooltip per entry`() {
        let map = HeatMap(
            title: "cosine", rowLabels: ["a", "b<"], columnLabels: ["a", "b<"], values: [[1, -0.25], [nil, 1]],
            scale: .diverging(middle: 0, reach: 1))
        let svg = map.svg
        #expect(svg.components("<rect").count == 5)
        #expect(svg.contains("a · b&lt;: -0.25000"))
        #expect(svg.contains("b&lt; · a: –"))
        #expect(!svg.contains("b<"))
        #expect(svg.contains(ColourScale.diverging.colour(at: 1).hex))
    }

    @Test func `large heat maps leave out the numbers`() {
        let labels = (0..<30).map { "m\($0)" }
        let row: [Double?] = labels.map { _ in 0.5 }
        let map = HeatMap(
            title: "t", rowLabels: labels, columnLabels: labels, values: labels.map { _ in row },
            scale: .sequential(low: 0, high: 1))
        #expect(!map.svg.contains(">0.50<"))
        #expect(map.svg.contains(": 0.50000"))
    }

    @Test func `a page refers to nothing outside itself and escapes all texts`() {
        let page = HTMLPage(
            title: "<b>", origin: "lorabank 1",
            sections: [
                .init(
                    "S & T",
                    [
                        .paragraph("\u{1B}[31m"), .code("x: <1>\ny: 2"),
                        .table(
                            .init(heading: ["name", "n"], rows: [["<script>alert(1)</script>", "3"]], numeric: [1])),
                    ])
            ], data: "{\"x\":\"</script>\"}")
        let html = page.html
        #expect(html.contains("&lt;script&gt;alert(1)"))
        #expect(html.contains("\\u{1B}[31m"))
        #expect(html.contains("{\"x\":\"\\u003c/script>\"}"))
        #expect(html.contains("x: &lt;1&gt;\ny: 2"))
        #expect(!html.contains("src="))
        #expect(!html.contains("href="))
        #expect(html.components("<script").count == 3)
    }

    @Test func `scales end in their anchors and grow brighter or apart`() {
        let scale = ColourScale.sequential
        #expect(scale.entries.count == 256)
        #expect(scale.colour(at: -1) == Colour(68, 1, 84))
        #expect(scale.colour(at: 2) == Colour(253, 231, 37))
        for index in 1..<256 { #expect(scale.entries[index].luminance >= scale.entries[index - 1].luminance - 0.004) }
        #expect(Colour(255, 255, 0).readableInk == Colour(17, 17, 17))
    }
}

extension String {
    /// The parts between the occurrences of `separator`.
    func components(_ separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
