/// One self-contained HTML file: no script, style, font or image comes from elsewhere.
///
/// It follows the reader's light or dark setting, is readable without JavaScript (sorting tables is all the script
/// does), and carries its data as JSON so that every figure can be recomputed.
public struct HTMLPage: Sendable {
    /// A table of texts; the first row is the heading.
    public struct Table: Sendable {
        public var heading: [String]
        public var rows: [[String]]
        /// Columns that hold numbers: aligned right, sorted as numbers.
        public var numeric: Set<Int>
        /// Columns of sentences: their lines are broken.
        public var prose: Set<Int>

        public init(heading: [String], rows: [[String]], numeric: Set<Int> = [], prose: Set<Int> = []) {
            self.heading = heading
            self.rows = rows
            self.numeric = numeric
            self.prose = prose
        }

        /// The class of a column's cells in the markup.
        func style(_ column: Int) -> String {
            numeric.contains(column) ? " class=\"n\"" : prose.contains(column) ? " class=\"t\"" : ""
        }
    }

    /// Small images of one kind, side by side, with their common name.
    public struct Pictures: Sendable {
        public var caption: String
        public var images: [PixelImage]

        public init(_ caption: String, _ images: [PixelImage]) {
            self.caption = caption
            self.images = images
        }
    }

    public enum Block: Sendable {
        case paragraph(String)
        case table(Table)
        /// Text shown as it is, e.g. a recipe.
        case code(String)
        case figure(any Figure)
        /// Figures side by side where there is room.
        case figures([any Figure])
        /// A paragraph that stands out: a warning, or what a reader must not overlook.
        case note(String)
        case list([String])
        case pictures([Pictures])
    }

    public struct Section: Sendable {
        public var title: String
        public var blocks: [Block]

        public init(_ title: String, _ blocks: [Block]) {
            self.title = title
            self.blocks = blocks
        }
    }

    public var title: String
    /// Stands under the title: what made the page, from what, when.
    public var origin: String
    public var sections: [Section]
    /// A JSON text, embedded in the element with the id `data`.
    public var data: String

    public init(title: String, origin: String, sections: [Section], data: String = "null") {
        self.title = title
        self.origin = origin
        self.sections = sections
        self.data = data
    }

    /// The file's content.
    public var html: String {
        var text = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(MarkupText.escaped(title))</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <header><h1>\(MarkupText.escaped(title))</h1><p>\(MarkupText.escaped(origin))</p></header>
            <main>

            """
        for section in sections {
            text += "<section>\n<h2>\(MarkupText.escaped(section.title))</h2>\n"
            for block in section.blocks { text += markup(of: block) }
            text += "</section>\n"
        }
        text += "</main>\n<script type=\"application/json\" id=\"data\">\(MarkupText.scriptData(data))</script>\n"
        text += "<script>\(Self.script)</script>\n</body>\n</html>\n"
        return text
    }

    private func markup(of block: Block) -> String {
        switch block {
        case .paragraph(let text): "<p>\(MarkupText.escaped(text))</p>\n"
        case .code(let text):
            "<pre>\(text.split(separator: "\n", omittingEmptySubsequences: false).map { MarkupText.escaped(String($0)) }.joined(separator: "\n"))</pre>\n"
        case .note(let text): "<p class=\"note\">\(MarkupText.escaped(text))</p>\n"
        case .list(let items):
            "<ul>\n" + items.map { "<li>\(MarkupText.escaped($0))</li>\n" }.joined() + "</ul>\n"
        case .figure(let figure): "<div class=\"figure\">\(figure.svg)</div>\n"
        case .figures(let figures):
            "<div class=\"figures\">\n" + figures.map { "<div class=\"figure\">\($0.svg)</div>\n" }.joined()
                + "</div>\n"
        case .pictures(let groups): "<div class=\"pictures\">\n" + groups.map { markup(of: $0) }.joined() + "</div>\n"
        case .table(let table): markup(of: table)
        }
    }

    private func markup(of group: Pictures) -> String {
        let name = MarkupText.escaped(group.caption)
        let images = group.images.enumerated().map { index, image in
            // Small images are drawn with visible pixels, at about one size.
            let factor = max(1, 56 / max(image.width, image.height))
            return "<img src=\"\(image.dataURI)\" width=\"\(image.width * factor)\" "
                + "height=\"\(image.height * factor)\" alt=\"\(name), sample \(index + 1)\">"
        }
        return "<figure><figcaption>\(name)</figcaption><div>\(images.joined())</div></figure>\n"
    }

    private func markup(of table: Table) -> String {
        func cells(_ row: [String], _ tag: String) -> String {
            row.enumerated().map { index, cell in
                "<\(tag)\(table.style(index))>\(MarkupText.escaped(cell))</\(tag)>"
            }.joined()
        }
        var text = "<div class=\"scroll\"><table>\n<thead><tr>\(cells(table.heading, "th"))</tr></thead>\n<tbody>\n"
        for row in table.rows { text += "<tr>\(cells(row, "td"))</tr>\n" }
        return text + "</tbody>\n</table></div>\n"
    }

    static let style = """

        :root { --ink: #1c1c1e; --soft: #5b5b63; --paper: #fbfbfa; --line: #d9d9de; --band: #f1f1ef; --mark: #0b5cad; }
        @media (prefers-color-scheme: dark) {
          :root { --ink: #ececf0; --soft: #a9a9b3; --paper: #17171a; --line: #3a3a42; --band: #202026; --mark: #7db7f0; }
        }
        body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--ink); background: var(--paper);
          font: 15px/1.5 system-ui, sans-serif; }
        h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
        h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
        header p { margin: 0; color: var(--soft); }
        .scroll, .figure { overflow-x: auto; }
        .figure, .scroll { margin: 1rem 0; }
        .figures { display: flex; flex-wrap: wrap; gap: 0 2rem; }
        .figures .figure { max-width: 100%; }
        .note { border-left: 4px solid var(--mark); background: var(--band); padding: .5rem .8rem; }
        ul { padding-left: 1.2rem; }
        table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
        th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
        th { color: var(--soft); font-weight: 600; cursor: pointer; }
        th[aria-sort] { color: var(--mark); }
        tbody tr:hover { background: var(--band); }
        .n { text-align: right; }
        td.t { white-space: normal; min-width: 20rem; }
        .pictures { display: flex; flex-wrap: wrap; gap: .8rem 1.4rem; margin: 1rem 0; }
        .pictures figure { margin: 0; max-width: 100%; }
        .pictures figcaption { color: var(--soft); font-size: 13px; }
        .pictures div { display: flex; flex-wrap: wrap; gap: 3px; }
        .pictures img { image-rendering: pixelated; outline: 1px solid var(--line); }
        pre { background: var(--band); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; overflow-x: auto;
          font-size: 13px; }
        @media (max-width: 40rem) { body { padding: .8rem; } th, td { padding-right: .6rem; } }
        @media print {
          :root { --ink: #000; --soft: #333; --paper: #fff; --line: #999; --band: #fff; --mark: #000; }
          body { max-width: none; padding: 0; font-size: 10pt; }
          .figure, .pictures figure, tr { break-inside: avoid; }
          h2 { break-after: avoid; }
          .scroll, .figure, pre { overflow: visible; }
          .figure svg { max-width: 100%; height: auto; }
          pre { white-space: pre-wrap; overflow-wrap: anywhere; }
          th, td { white-space: normal; }
        }

        """

    static let script = """

        document.querySelectorAll("th").forEach(function (head) {
          head.addEventListener("click", function () {
            var row = head.parentNode, table = row.closest("table"), body = table.tBodies[0];
            var column = Array.prototype.indexOf.call(row.children, head);
            var down = head.getAttribute("aria-sort") === "ascending";
            var number = head.classList.contains("n");
            Array.prototype.forEach.call(row.children, function (other) { other.removeAttribute("aria-sort"); });
            head.setAttribute("aria-sort", down ? "descending" : "ascending");
            Array.prototype.slice.call(body.rows).sort(function (a, b) {
              var x = a.cells[column].textContent, y = b.cells[column].textContent;
              var order = number ? (parseFloat(x) || 0) - (parseFloat(y) || 0) : x.localeCompare(y);
              return down ? -order : order;
            }).forEach(function (line) { body.appendChild(line); });
          });
        });

        """
}
