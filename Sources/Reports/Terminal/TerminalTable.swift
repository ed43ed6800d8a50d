import Diagnostics

/// A table for people, aligned by terminal columns.
///
/// ```swift
/// var table = TerminalTable([.text("NAME"), .number("RANK")])
/// table.add(["vit-mnist", "8"])
/// print(table.rendered(width: 80), terminator: "")
/// ```
/// Cells are escaped (`ForeignText`), so values from files can be added as they are. Without a width nothing is cut.
public struct TerminalTable: Sendable {
    public struct Column: Sendable {
        public enum Alignment: Sendable {
            case left, right
        }

        public var title: String
        public var alignment: Alignment
        /// May be cut, down to `minimum` columns, when the table is wider than the terminal.
        public var shrinks: Bool
        public var minimum: Int

        public init(_ title: String, alignment: Alignment, shrinks: Bool = false, minimum: Int = 8) {
            self.title = title
            self.alignment = alignment
            self.shrinks = shrinks
            self.minimum = minimum
        }

        /// A left-aligned column.
        public static func text(_ title: String, shrinks: Bool = false) -> Column {
            Column(title, alignment: .left, shrinks: shrinks)
        }

        /// A right-aligned column.
        public static func number(_ title: String) -> Column { Column(title, alignment: .right) }
    }

    public let columns: [Column]
    public private(set) var rows: [[String]] = []

    public init(_ columns: [Column]) { self.columns = columns }

    /// Appends a row; missing cells are empty, surplus ones are dropped.
    public mutating func add(_ cells: [String]) {
        let row = cells.prefix(columns.count).map(ForeignText.escaped)
        rows.append(row + Array(repeating: "", count: columns.count - row.count))
    }

    /// The table as lines, each ending in a line feed, without trailing blanks.
    ///
    /// - Parameters:
    ///   - width: columns of the terminal; nil leaves every cell whole.
    ///   - emphasis: wraps the title line, e.g. in terminal codes for bold.
    public func rendered(width: Int? = nil, emphasis: (String) -> String = { $0 }) -> String {
        let widths = columnWidths(fitting: width)
        var text = emphasis(line(columns.map(\.title), widths)) + "\n"
        for row in rows { text += line(row, widths) + "\n" }
        return text
    }

    private func columnWidths(fitting width: Int?) -> [Int] {
        var widths = columns.map { TextWidth.columns(of: $0.title) }
        for row in rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], TextWidth.columns(of: cell)) }
        }
        guard let width else { return widths }
        var excess = widths.reduce(0, +) + 2 * (widths.count - 1) - width
        while excess > 0 {
            let candidates = columns.indices.filter { columns[$0].shrinks && widths[$0] > columns[$0].minimum }
            guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
            excess -= 1
        }
        return widths
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var parts: [String] = []
        for (index, cell) in cells.enumerated() {
            let text = TextWidth.truncated(cell, to: widths[index])
            let padding = String(repeating: " ", count: widths[index] - TextWidth.columns(of: text))
            parts.append(columns[index].alignment == .left ? text + padding : padding + text)
        }
        var result = parts.joined(separator: "  ")
        while result.last == " " { result.removeLast() }
        return result
    }
}
