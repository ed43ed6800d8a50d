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

    @Test func `images are PNG files that others read`() throws {
        #expect(PixelImage(width: 2, height: 1, isColour: false, pixels: [1]) == nil)
        let grey = try #require(PixelImage(width: 2, height: 1, isColour: false, pixels: [0, 255]))
        // Written by Python's zlib (level 0) and struct.
        let expected =
            "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAADklEQVR4AQEDAPz/AAD/AQIBALcBLvcAAAAASUVORK5CYII="
        #expect(grey.dataURI == "data:image/png;base64," + expected)
        let wide = try #require(
            PixelImage(width: 4, height: 2, isColour: true, pixels: (0..<24).map { UInt8($0) }))
        #expect(wide.shrunk(to: 2).pixels == [8, 9, 10, 14, 15, 16])
        #expect(wide.shrunk(to: 2).width == 2 && wide.shrunk(to: 2).height == 1)
        #expect(wide.shrunk(to: 4) == wide)
        #expect(["", "M", "Ma", "Man"].map { PixelImage.base64(Array($0.utf8)) } == ["", "TQ==", "TWE=", "TWFu"])
    }

    @Test func `pictures stand in the page under their escaped names`() throws {
        let image = try #require(PixelImage(width: 1, height: 1, isColour: true, pixels: [1, 2, 3]))
        let page = HTMLPage(
            title: "t", origin: "o", sections: [.init("s", [.pictures([.init("<数>", [image, image])])])])
        #expect(page.html.contains("<figcaption>&lt;数&gt;</figcaption>"))
        #expect(page.html.components("<img src=\"data:image/png;base64,").count == 3)
        #expect(page.html.contains("alt=\"&lt;数&gt;, sample 2\""))
        #expect(MarkdownPage(page).text.contains("![&lt;数>](data:image/png;base64,"))
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
