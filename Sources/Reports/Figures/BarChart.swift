/// Groups of bars, one bar per series in each group, with an interval where one is known.
public struct BarChart: Figure {
    public struct Bar: Sendable, Hashable {
        /// nil: no bar.
        public var value: Double?
        public var low: Double?
        public var high: Double?

        public init(_ value: Double?, low: Double? = nil, high: Double? = nil) {
            self.value = value
            self.low = low
            self.high = high
        }
    }

    public var title: String
    public var yTitle: String
    public var groups: [String]
    public var series: [String]
    /// `bars[group][series]`
    public var bars: [[Bar]]
    public var yRange: ClosedRange<Double>?

    public init(
        title: String, yTitle: String, groups: [String], series: [String], bars: [[Bar]],
        yRange: ClosedRange<Double>? = nil
    ) {
        self.title = title
        self.yTitle = yTitle
        self.groups = groups
        self.series = series
        self.bars = bars
        self.yRange = yRange
    }

    public var svg: String {
        let thickness = groups.count * series.count > 40 ? 9.0 : 15.0
        let group = thickness * Double(max(1, series.count)) + 16
        let longest = groups.map { TextWidth.columns(of: $0) }.max() ?? 0
        let isTilted = Double(longest) * 7 > group
        let left = 62.0
        let right = left + max(group * Double(groups.count), 240)
        let (top, bottom) = (30.0, 230.0)
        let known = bars.flatMap { $0 }.flatMap { [$0.value, $0.low, $0.high].compactMap { $0 } }
        let y = Axis(known + [0], start: bottom, end: top, fixed: yRange)
        var text = ChartFrame.vertical(y, left: left, right: right, title: yTitle)
        let zero = y.position(max(0, y.low))
        for (place, name) in groups.enumerated() {
            let start = left + group * Double(place) + 8
            for (index, series) in series.enumerated() where place < bars.count && index < bars[place].count {
                text += mark(
                    bars[place][index], "\(name) · \(series)", index, x: start + thickness * Double(index),
                    thickness: thickness, zero: zero, y)
            }
            let middle = start + thickness * Double(series.count) / 2
            if isTilted {
                text += "<text transform=\"translate(\(SVGText.number(middle + 4)),\(SVGText.number(bottom + 14))) "
                text += "rotate(-35)\" text-anchor=\"end\" font-size=\"11\">"
                text += "\(MarkupText.escaped(TextWidth.truncated(name, to: 24)))</text>\n"
            } else {
                text += SVGText.label(name, middle, bottom + 17, anchor: "middle", size: 11)
            }
        }
        text += SVGText.line(left, zero, right, zero, opacity: 0.5)
        let below = bottom + (isTilted ? 24 + 4.2 * Double(min(24, longest)) : 40)
        let width = Int(right) + 14
        guard series.count > 1 else { return SVGText.document(width: width, height: Int(below), title: title, text) }
        let legend = SVGText.legend(series, from: left, y: below, width: right - left, dashed: false)
        return SVGText.document(width: width, height: Int(below + legend.height), title: title, text + legend.text)
    }

    private func mark(
        _ bar: Bar, _ name: String, _ index: Int, x: Double, thickness: Double, zero: Double, _ y: Axis
    ) -> String {
        guard let value = bar.value, value.isFinite else { return "" }
        let end = y.position(value)
        var tooltip = "\(name): \(Quantities.significant(value, 4))"
        if let low = bar.low, let high = bar.high {
            tooltip += " (\(Quantities.significant(low, 4)) … \(Quantities.significant(high, 4)))"
        }
        var text = SVGText.bar(
            x, min(zero, end), thickness - 1, max(0.5, abs(end - zero)), colour: Palette.colour(index).hex,
            tooltip: tooltip)
        if let low = bar.low, let high = bar.high {
            let middle = x + (thickness - 1) / 2
            text += SVGText.line(middle, y.position(low), middle, y.position(high), opacity: 0.8)
            for end in [low, high] {
                text += SVGText.line(middle - 3, y.position(end), middle + 3, y.position(end), opacity: 0.8)
            }
        }
        return text
    }

    public var table: FigureTable {
        FigureTable(
            columns: ["group", "series", "value", "low", "high"],
            rows: groups.indices.flatMap { place in
                series.indices.map { index -> [FigureTable.Cell] in
                    let bar = place < bars.count && index < bars[place].count ? bars[place][index] : Bar(nil)
                    return [
                        .text(groups[place]), .text(series[index]), .init(bar.value), .init(bar.low), .init(bar.high),
                    ]
                }
            })
    }

    public var vegaLite: String {
        let x = VegaLite.channel("group", "nominal", more: ", \"sort\": null")
        let offset = "\"xOffset\": {\"field\": \"series\", \"sort\": null}"
        return VegaLite.document(
            title, table,
            """
            "layer": [
                {"mark": {"type": "bar", "tooltip": true}, "encoding": {"x": \(x), \(offset), "y": \
            \(VegaLite.channel("value", "quantitative", title: yTitle)), "color": \
            \(VegaLite.channel("series", "nominal", more: ", \"sort\": null"))}},
                {"mark": "rule", "encoding": {"x": \(x), \(offset), "y": \
            \(VegaLite.channel("low", "quantitative", title: yTitle)), "y2": {"field": "high"}}}
              ]
            """)
    }
}
