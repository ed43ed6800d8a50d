/// A matrix drawn as coloured cells, with a number in each cell up to 20 × 20.
///
/// The result is one `<svg>` element that takes its text colour from its surroundings (`currentColor`), so that it is
/// readable on light and dark pages. Each cell has a tooltip with row, column and value.
public struct HeatMap: Sendable {
    public enum Scale: Sendable {
        /// From `low` to `high`, dark to bright.
        case sequential(low: Double, high: Double)
        /// White at `middle`, the same reach to both sides.
        case diverging(middle: Double, reach: Double)
    }

    public var title: String
    public var rowLabels: [String]
    public var columnLabels: [String]
    /// Row by row; nil and NaN are drawn as an empty cell.
    public var values: [[Double?]]
    public var scale: Scale
    /// Decimals of the numbers in the cells.
    public var decimals: Int

    public init(
        title: String, rowLabels: [String], columnLabels: [String], values: [[Double?]], scale: Scale,
        decimals: Int = 2
    ) {
        self.title = title
        self.rowLabels = rowLabels
        self.columnLabels = columnLabels
        self.values = values
        self.scale = scale
        self.decimals = decimals
    }

    /// The figure as an SVG element.
    public var svg: String {
        let cell = max(rowLabels.count, columnLabels.count) <= 20 ? 46 : 14
        let left = labelSpace(rowLabels)
        let top = 34 + labelSpace(columnLabels) * 7 / 10
        // The last column's label leans to the right, beyond the cells.
        let width = left + cell * columnLabels.count + max(20, labelSpace(columnLabels) * 7 / 10 - cell / 2)
        let height = top + cell * rowLabels.count + 10
        var text =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(width) \(height)\" width=\"\(width)\" "
            + "height=\"\(height)\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\" "
            + "fill=\"currentColor\">\n"
        text += "<title>\(MarkupText.escaped(title))</title>\n"
        text += "<text x=\"0\" y=\"14\" font-weight=\"600\">\(MarkupText.escaped(title))</text>\n"
        for (column, label) in columnLabels.enumerated() {
            let x = left + cell * column + cell / 2
            text += "<text transform=\"translate(\(x + 4),\(top - 6)) rotate(-45)\">\(shortened(label))</text>\n"
        }
        for (row, label) in rowLabels.enumerated() {
            let y = top + cell * row + cell / 2 + 4
            text += "<text x=\"\(left - 6)\" y=\"\(y)\" text-anchor=\"end\">\(shortened(label))</text>\n"
        }
        for row in rowLabels.indices {
            for column in columnLabels.indices {
                text += cellMarkup(row: row, column: column, x: left + cell * column, y: top + cell * row, size: cell)
            }
        }
        return text + "</svg>\n"
    }

    private func cellMarkup(row: Int, column: Int, x: Int, y: Int, size: Int) -> String {
        let tooltip = MarkupText.escaped("\(rowLabels[row]) · \(columnLabels[column])")
        guard let value = value(row, column) else {
            return "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(size)\" height=\"\(size)\" fill=\"none\" "
                + "stroke=\"currentColor\" stroke-opacity=\"0.2\"><title>\(tooltip): –</title></rect>\n"
        }
        let colour = colour(of: value)
        var text =
            "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(size)\" height=\"\(size)\" fill=\"\(colour.hex)\">"
            + "<title>\(tooltip): \(Quantities.significant(value, 5))</title></rect>\n"
        if size > 20 {
            text +=
                "<text x=\"\(x + size / 2)\" y=\"\(y + size / 2 + 4)\" text-anchor=\"middle\" font-size=\"11\" "
                + "fill=\"\(colour.readableInk.hex)\" pointer-events=\"none\">"
                + "\(Quantities.fixed(value, decimals))</text>\n"
        }
        return text
    }

    private func value(_ row: Int, _ column: Int) -> Double? {
        guard row < values.count, column < values[row].count, let value = values[row][column], !value.isNaN else {
            return nil
        }
        return value
    }

    private func colour(of value: Double) -> Colour {
        switch scale {
        case .sequential(let low, let high):
            return ColourScale.sequential.colour(at: high > low ? (value - low) / (high - low) : 0.5)
        case .diverging(let middle, let reach):
            return ColourScale.diverging.colour(at: reach > 0 ? 0.5 + (value - middle) / (2 * reach) : 0.5)
        }
    }

    private func shortened(_ label: String) -> String { MarkupText.escaped(TextWidth.truncated(label, to: 28)) }

    private func labelSpace(_ labels: [String]) -> Int {
        20 + 7 * min(28, labels.map { TextWidth.columns(of: $0) }.max() ?? 0)
    }
}

extension HeatMap: Figure {
    public var table: FigureTable {
        FigureTable(
            columns: ["row", "column", "value"],
            rows: rowLabels.indices.flatMap { row in
                columnLabels.indices.map { column in
                    [.text(rowLabels[row]), .text(columnLabels[column]), .init(value(row, column))]
                }
            })
    }

    public var vegaLite: String {
        let scheme =
            switch scale {
            case .sequential(let low, let high):
                "{\"scheme\": \"viridis\", \"domain\": [\(low), \(high)]}"
            case .diverging(let middle, let reach):
                "{\"scheme\": \"blueorange\", \"domain\": [\(middle - reach), \(middle + reach)]}"
            }
        return VegaLite.document(
            title, table,
            """
            "mark": {"type": "rect", "tooltip": true},
              "encoding": {"x": \(VegaLite.channel("column", "nominal", more: ", \"sort\": null")), "y": \
            \(VegaLite.channel("row", "nominal", more: ", \"sort\": null")), "color": \
            \(VegaLite.channel("value", "quantitative", more: ", \"scale\": \(scheme)"))}
            """)
    }
}
