/// Pieces of SVG. Coordinates are rounded to tenths, so that the same values give the same bytes everywhere.
enum SVGText {
    static func document(width: Int, height: Int, title: String, _ body: String) -> String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)" \
        role="img" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">
        <title>\(MarkupText.escaped(title))</title>
        <text x="0" y="14" font-weight="600">\(MarkupText.escaped(title))</text>
        \(body)</svg>

        """
    }

    static func number(_ value: Double) -> String {
        let text = Quantities.fixed(value, 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    static func line(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, opacity: Double = 1, colour: String = "currentColor",
        width: Double = 1
    ) -> String {
        "<line x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\" "
            + "stroke=\"\(colour)\" stroke-width=\"\(number(width))\""
            + (opacity < 1 ? " stroke-opacity=\"\(opacity)\"" : "") + "/>\n"
    }

    /// - Parameter anchor: `start`, `middle` or `end`.
    static func label(_ text: String, _ x: Double, _ y: Double, anchor: String = "start", size: Int = 12) -> String {
        "<text x=\"\(number(x))\" y=\"\(number(y))\"" + (anchor == "start" ? "" : " text-anchor=\"\(anchor)\"")
            + (size == 12 ? "" : " font-size=\"\(size)\"") + ">\(MarkupText.escaped(text))</text>\n"
    }

    static func vertical(_ text: String, _ x: Double, _ y: Double) -> String {
        "<text transform=\"translate(\(number(x)),\(number(y))) rotate(-90)\" text-anchor=\"middle\">"
            + "\(MarkupText.escaped(text))</text>\n"
    }

    /// A filled rectangle with a tooltip.
    static func bar(
        _ x: Double, _ y: Double, _ width: Double, _ height: Double, colour: String, tooltip: String,
        opacity: Double = 1
    ) -> String {
        "<rect x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(width))\" height=\"\(number(height))\" "
            + "fill=\"\(colour)\"" + (opacity < 1 ? " fill-opacity=\"\(opacity)\"" : "")
            + "><title>\(MarkupText.escaped(tooltip))</title></rect>\n"
    }

    static func dot(_ x: Double, _ y: Double, radius: Double = 3, colour: String, tooltip: String) -> String {
        "<circle cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"\(number(radius))\" fill=\"\(colour)\">"
            + "<title>\(MarkupText.escaped(tooltip))</title></circle>\n"
    }

    /// Lines of a legend below a figure: a swatch and a name each, as many per line as fit.
    static func legend(_ names: [String], from left: Double, y: Double, width: Double, dashed: Bool) -> (
        text: String, height: Double
    ) {
        var text = ""
        var (x, line) = (left, y)
        for (index, name) in names.enumerated() {
            let space = 34 + 7 * Double(TextWidth.columns(of: name))
            if x + space > left + width, x > left {
                x = left
                line += 18
            }
            let colour = Palette.colour(index).hex
            if dashed {
                text += "<line x1=\"\(number(x))\" y1=\"\(number(line - 4))\" x2=\"\(number(x + 18))\" "
                text += "y2=\"\(number(line - 4))\" stroke=\"\(colour)\" stroke-width=\"2\" "
                text += "stroke-dasharray=\"\(Palette.dash(index))\"/>\n"
            } else {
                text += "<rect x=\"\(number(x))\" y=\"\(number(line - 10))\" width=\"14\" height=\"11\" "
                text += "fill=\"\(colour)\"/>\n"
            }
            text += label(name, x + 22, line)
            x += space
        }
        return (text, line - y + 18)
    }
}
