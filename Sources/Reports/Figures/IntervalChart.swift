/// One line per setting: a dot and its interval, with vertical lines of reference.
public struct IntervalChart: Figure {
    public struct Row: Sendable, Hashable {
        public var name: String
        public var value: Double?
        public var low: Double?
        public var high: Double?

        public init(_ name: String, _ value: Double?, low: Double? = nil, high: Double? = nil) {
            self.name = name
            self.value = value
            self.low = low
            self.high = high
        }
    }

    public var title: String
    public var xTitle: String
    public var rows: [Row]
    /// Named positions that are drawn through all rows, e.g. an anchor.
    public var references: [(name: String, value: Double)]

    public init(title: String, xTitle: String, rows: [Row], references: [(name: String, value: Double)] = []) {
        self.title = title
        self.xTitle = xTitle
        self.rows = rows
        self.references = references
    }

    public var svg: String {
        let longest = rows.map { min(34, TextWidth.columns(of: $0.name)) }.max() ?? 0
        let left = 24 + 7 * Double(longest)
        let right = left + 420
        let (top, step) = (48.0, 24.0)
        let bottom = top + step * Double(rows.count) + 4
        let known = rows.flatMap { [$0.value, $0.low, $0.high].compactMap { $0 } } + references.map(\.value)
        let x = Axis(known, start: left, end: right)
        var text = ChartFrame.horizontal(x, bottom: bottom, title: xTitle)
        for tick in x.ticks { text += SVGText.line(x.position(tick), top, x.position(tick), bottom, opacity: 0.12) }
        for (index, reference) in references.enumerated() {
            let place = x.position(reference.value)
            let colour = Palette.colour(index + 1).hex
            text += SVGText.line(place, top, place, bottom, colour: colour, width: 1.5)
            text += "<text x=\"\(SVGText.number(place))\" y=\"\(SVGText.number(top - 6))\" text-anchor=\"middle\" "
            text += "font-size=\"11\">\(MarkupText.escaped(reference.name))</text>\n"
        }
        for (index, row) in rows.enumerated() {
            let y = top + step * (Double(index) + 0.5)
            text += SVGText.label(TextWidth.truncated(row.name, to: 34), left - 10, y + 4, anchor: "end")
            text += mark(row, x, y)
        }
        return SVGText.document(width: Int(right) + 60, height: Int(bottom) + 44, title: title, text)
    }

    private func mark(_ row: Row, _ x: Axis, _ y: Double) -> String {
        guard let value = row.value, value.isFinite else { return SVGText.label("–", x.start + 4, y + 4) }
        let colour = Palette.colour(0).hex
        var tooltip = "\(row.name): \(Quantities.significant(value, 4))"
        var text = ""
        if let low = row.low, let high = row.high {
            tooltip += " (\(Quantities.significant(low, 4)) … \(Quantities.significant(high, 4)))"
            text += SVGText.line(x.position(low), y, x.position(high), y, colour: colour, width: 2)
        }
        return text + SVGText.dot(x.position(value), y, radius: 4, colour: colour, tooltip: tooltip)
    }

    public var table: FigureTable {
        FigureTable(
            columns: ["name", "value", "low", "high", "kind"],
            rows: rows.map { [.text($0.name), .init($0.value), .init($0.low), .init($0.high), .text("setting")] }
                + references.map { [.text($0.name), .number($0.value), .missing, .missing, .text("reference")] })
    }

    public var vegaLite: String {
        let y = VegaLite.channel("name", "nominal", more: ", \"sort\": null")
        return VegaLite.document(
            title, table,
            """
            "layer": [
                {"mark": "rule", "encoding": {"y": \(y), "x": \
            \(VegaLite.channel("low", "quantitative", title: xTitle, more: ", \"scale\": {\"zero\": false}")), \
            "x2": {"field": "high"}}},
                {"mark": {"type": "point", "filled": true, "tooltip": true}, "encoding": {"y": \(y), "x": \
            \(VegaLite.channel("value", "quantitative", title: xTitle)), "color": \(VegaLite.channel("kind", "nominal"))}}
              ]
            """)
    }
}
