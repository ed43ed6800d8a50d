/// Lanes over whole-numbered places (tasks, steps): cells with a text, some of them marked as chosen.
public struct Timeline: Figure {
    public struct Cell: Sendable, Hashable {
        public var lane: Int
        public var place: Int
        public var text: String
        /// Drawn filled.
        public var isChosen: Bool
        /// Further facts for the tooltip.
        public var note: String

        public init(lane: Int, place: Int, text: String, isChosen: Bool = false, note: String = "") {
            self.lane = lane
            self.place = place
            self.text = text
            self.isChosen = isChosen
            self.note = note
        }
    }

    public var title: String
    public var xTitle: String
    public var lanes: [String]
    public var places: [String]
    public var cells: [Cell]

    public init(title: String, xTitle: String, lanes: [String], places: [String], cells: [Cell]) {
        self.title = title
        self.xTitle = xTitle
        self.lanes = lanes
        self.places = places
        self.cells = cells
    }

    public var svg: String {
        let longest = cells.map { TextWidth.columns(of: $0.text) }.max() ?? 0
        let (cellWidth, cellHeight) = (max(26, 8 * Double(longest) + 12), 28.0)
        let left = 24 + 7 * Double(lanes.map { min(28, TextWidth.columns(of: $0)) }.max() ?? 0)
        let top = 30.0
        let bottom = top + cellHeight * Double(lanes.count)
        var text = ""
        for (lane, name) in lanes.enumerated() {
            let y = top + cellHeight * (Double(lane) + 0.5)
            // Only where nothing stands: a line through a text would strike it out.
            for place in places.indices where !cells.contains(where: { $0.lane == lane && $0.place == place }) {
                let x = left + cellWidth * Double(place)
                text += SVGText.line(x, y, x + cellWidth, y, opacity: 0.2)
            }
            text += SVGText.label(TextWidth.truncated(name, to: 28), left - 10, y + 4, anchor: "end")
        }
        for (place, name) in places.enumerated() {
            let x = left + cellWidth * (Double(place) + 0.5)
            text += SVGText.label(name, x, bottom + 17, anchor: "middle", size: 11)
        }
        for cell in cells where lanes.indices.contains(cell.lane) && places.indices.contains(cell.place) {
            text += mark(
                cell, left + cellWidth * Double(cell.place) + 2, top + cellHeight * Double(cell.lane) + 3,
                cellWidth - 4, cellHeight - 6)
        }
        let width = left + cellWidth * Double(places.count)
        text += SVGText.label(xTitle, (left + width) / 2, bottom + 36, anchor: "middle")
        return SVGText.document(
            width: Int(max(width, 7.5 * Double(TextWidth.columns(of: title)))) + 14, height: Int(bottom) + 46,
            title: title, text)
    }

    private func mark(_ cell: Cell, _ x: Double, _ y: Double, _ width: Double, _ height: Double) -> String {
        let colour = Palette.colour(0)
        let place = "\(lanes[cell.lane]) · \(places[cell.place])"
        let tooltip = [place, cell.text, cell.note].filter { !$0.isEmpty }.joined(separator: " · ")
        var text = "<rect x=\"\(SVGText.number(x))\" y=\"\(SVGText.number(y))\" width=\"\(SVGText.number(width))\" "
        text += "height=\"\(SVGText.number(height))\" rx=\"4\" "
        text +=
            cell.isChosen
            ? "fill=\"\(colour.hex)\"" : "fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"0.35\""
        text += "><title>\(MarkupText.escaped(tooltip))</title></rect>\n"
        let ink = cell.isChosen ? " fill=\"#ffffff\" font-weight=\"600\"" : ""
        text += "<text x=\"\(SVGText.number(x + width / 2))\" y=\"\(SVGText.number(y + height / 2 + 4))\" "
        text += "text-anchor=\"middle\" font-size=\"11\" pointer-events=\"none\"\(ink)>"
        return text + "\(MarkupText.escaped(cell.text))</text>\n"
    }

    public var table: FigureTable {
        FigureTable(
            columns: ["lane", "place", "text", "chosen", "note"],
            rows: cells.filter { lanes.indices.contains($0.lane) && places.indices.contains($0.place) }.map {
                [
                    .text(lanes[$0.lane]), .text(places[$0.place]), .text($0.text), .number($0.isChosen ? 1 : 0),
                    .text($0.note),
                ]
            })
    }

    public var vegaLite: String {
        let x = VegaLite.channel("place", "ordinal", title: xTitle, more: ", \"sort\": null")
        let y = VegaLite.channel("lane", "nominal", more: ", \"sort\": null")
        return VegaLite.document(
            title, table,
            """
            "encoding": {"x": \(x), "y": \(y)},
              "layer": [
                {"mark": {"type": "rect", "tooltip": true, "stroke": "gray"}, "encoding": {"color": \
            \(VegaLite.channel("chosen", "nominal"))}},
                {"mark": "text", "encoding": {"text": {"field": "text"}}}
              ]
            """)
    }
}
