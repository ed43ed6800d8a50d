/// Lines over numbers, each with an interval where one is known.
public struct LineChart: Figure {
    public struct Point: Sendable, Hashable {
        public var x: Double
        /// nil breaks the line.
        public var y: Double?
        public var low: Double?
        public var high: Double?

        public init(_ x: Double, _ y: Double?, low: Double? = nil, high: Double? = nil) {
            self.x = x
            self.y = y
            self.low = low
            self.high = high
        }
    }

    public struct Series: Sendable, Hashable {
        public var name: String
        public var points: [Point]

        public init(_ name: String, _ points: [Point]) {
            self.name = name
            self.points = points
        }
    }

    public var title: String
    public var xTitle: String
    public var yTitle: String
    public var series: [Series]
    /// nil: what the values need.
    public var yRange: ClosedRange<Double>?
    public var isLogarithmic: Bool
    /// Ticks of x at whole numbers only.
    public var hasWholeX: Bool
    public var width: Int
    public var height: Int

    public init(
        title: String, xTitle: String, yTitle: String, series: [Series], yRange: ClosedRange<Double>? = nil,
        isLogarithmic: Bool = false, hasWholeX: Bool = true, width: Int = 560, height: Int = 300
    ) {
        self.title = title
        self.xTitle = xTitle
        self.yTitle = yTitle
        self.series = series
        self.yRange = yRange
        self.isLogarithmic = isLogarithmic
        self.hasWholeX = hasWholeX
        self.width = width
        self.height = height
    }

    public var svg: String {
        let points = series.flatMap(\.points)
        let (left, right) = (62.0, Double(width) - 14)
        let (top, bottom) = (30.0, 30 + Double(height) - 90)
        let x = Axis(points.map(\.x), start: left, end: right, whole: hasWholeX)
        let heights = points.flatMap { [$0.y, $0.low, $0.high].compactMap { $0 } }
        let y = Axis(heights, start: bottom, end: top, fixed: yRange, logarithmic: isLogarithmic)
        var text = ChartFrame.vertical(y, left: left, right: right, title: yTitle)
        text += ChartFrame.horizontal(x, bottom: bottom, title: xTitle)
        for (index, line) in series.enumerated() { text += band(line, index, x, y) }
        for (index, line) in series.enumerated() { text += marks(line, index, x, y) }
        guard series.count > 1 else { return SVGText.document(width: width, height: height, title: title, text) }
        let legend = SVGText.legend(
            series.map(\.name), from: left, y: bottom + 56, width: right - left, dashed: true)
        return SVGText.document(width: width, height: height + Int(legend.height), title: title, text + legend.text)
    }

    private func isDrawn(_ value: Double?) -> Bool {
        value.map { $0.isFinite && (!isLogarithmic || $0 > 0) } ?? false
    }

    private func band(_ line: Series, _ index: Int, _ x: Axis, _ y: Axis) -> String {
        let known = line.points.filter { isDrawn($0.low) && isDrawn($0.high) }
        guard known.count > 1 else { return "" }
        func corner(_ at: Double, _ value: Double?) -> String {
            "\(SVGText.number(x.position(at))),\(SVGText.number(y.position(value ?? 0)))"
        }
        let outline = known.map { corner($0.x, $0.high) } + known.reversed().map { corner($0.x, $0.low) }
        return "<polygon points=\"\(outline.joined(separator: " "))\" fill=\"\(Palette.colour(index).hex)\" "
            + "fill-opacity=\"0.18\"/>\n"
    }

    private func marks(_ line: Series, _ index: Int, _ x: Axis, _ y: Axis) -> String {
        let colour = Palette.colour(index).hex
        let dash = Palette.dash(index)
        var text = ""
        for run in line.points.split(whereSeparator: { !isDrawn($0.y) }) where run.count > 1 {
            let corners = run.map {
                "\(SVGText.number(x.position($0.x))),\(SVGText.number(y.position($0.y ?? 0)))"
            }
            text += "<polyline points=\"\(corners.joined(separator: " "))\" fill=\"none\" stroke=\"\(colour)\" "
            text += "stroke-width=\"2\"" + (dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\"") + "/>\n"
        }
        for point in line.points where isDrawn(point.y) {
            let value = point.y ?? 0
            var tooltip = "\(line.name) · \(xTitle) \(Quantities.significant(point.x, 5)): "
            tooltip += Quantities.significant(value, 4)
            if let low = point.low, let high = point.high {
                tooltip += " (\(Quantities.significant(low, 4)) … \(Quantities.significant(high, 4)))"
                if line.points.count == 1 {
                    text += SVGText.line(
                        x.position(point.x), y.position(low), x.position(point.x), y.position(high), colour: colour)
                }
            }
            let radius = line.points.count > 40 ? 1.5 : 3.0
            text += SVGText.dot(
                x.position(point.x), y.position(value), radius: radius, colour: colour, tooltip: tooltip)
        }
        return text
    }

    public var table: FigureTable {
        FigureTable(
            columns: ["series", "x", "y", "low", "high"],
            rows: series.flatMap { line in
                line.points.map {
                    [.text(line.name), .number($0.x), .init($0.y), .init($0.low), .init($0.high)]
                }
            })
    }

    public var vegaLite: String {
        let scale = isLogarithmic ? ", \"scale\": {\"type\": \"log\"}" : ", \"scale\": {\"zero\": false}"
        let x = VegaLite.channel("x", "quantitative", title: xTitle)
        let colour = VegaLite.channel("series", "nominal")
        let y = VegaLite.channel("y", "quantitative", title: yTitle, more: scale)
        return VegaLite.document(
            title, table,
            """
            "layer": [
                {"mark": {"type": "area", "opacity": 0.2}, "encoding": {"x": \(x), "y": \
            \(VegaLite.channel("low", "quantitative", title: yTitle, more: scale)), "y2": {"field": "high"}, \
            "color": \(colour)}},
                {"mark": {"type": "line", "point": true, "tooltip": true}, "encoding": {"x": \(x), "y": \(y), \
            "color": \(colour)}}
              ]
            """)
    }
}
