/// A figure: one SVG element for pages, its numbers as a table, and a Vega-Lite document for those who draw themselves.
public protocol Figure: Sendable {
    var title: String { get }
    /// The figure as one `<svg>` element that takes its text colour from its surroundings.
    var svg: String { get }
    /// Everything that is drawn, in long form: one line per mark.
    var table: FigureTable { get }
    /// A Vega-Lite 5 document that holds the table.
    var vegaLite: String { get }
}

/// The numbers of a figure.
public struct FigureTable: Sendable, Hashable {
    public enum Cell: Sendable, Hashable {
        case text(String)
        case number(Double)
        case missing

        public init(_ value: Double?) {
            self = value.flatMap { $0.isFinite ? .number($0) : nil } ?? .missing
        }
    }

    public var columns: [String]
    public var rows: [[Cell]]

    public init(columns: [String], rows: [[Cell]]) {
        self.columns = columns
        self.rows = rows
    }

    /// RFC 4180; a missing number is an empty field.
    public var csv: String {
        var text = columns.map { Self.field($0) }.joined(separator: ",") + "\n"
        for row in rows {
            text +=
                row.map { cell in
                    switch cell {
                    case .text(let text): Self.field(text)
                    case .number(let value): Self.number(value)
                    case .missing: ""
                    }
                }.joined(separator: ",") + "\n"
        }
        return text
    }

    /// `[{"column": value, …}, …]`
    var json: String {
        let lines = rows.map { row in
            let members = zip(columns, row).map { column, cell -> String in
                let value =
                    switch cell {
                    case .text(let text): JSONText.quoted(text)
                    case .number(let value): Self.number(value)
                    case .missing: "null"
                    }
                return "\(JSONText.quoted(column)): \(value)"
            }
            return "    {" + members.joined(separator: ", ") + "}"
        }
        return "[\n" + lines.joined(separator: ",\n") + "\n  ]"
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }

    private static func field(_ text: String) -> String {
        let needsQuotes = text.unicodeScalars.contains { $0 == "," || $0 == "\"" || $0 == "\n" || $0 == "\r" }
        guard needsQuotes else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}

/// Strings of JSON.
enum JSONText {
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}

/// Vega-Lite documents around a table.
enum VegaLite {
    /// - Parameter body: members of the document after the data, as JSON text, e.g. `"mark": "bar", "encoding": {…}`.
    static func document(_ title: String, _ table: FigureTable, _ body: String) -> String {
        """
        {
          "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
          "title": \(JSONText.quoted(title)),
          "data": {"values": \(table.json)},
          \(body)
        }

        """
    }

    /// One channel of an encoding.
    static func channel(_ field: String, _ type: String, title: String? = nil, more: String = "") -> String {
        let title = title.map { ", \"title\": \(JSONText.quoted($0))" } ?? ""
        return "{\"field\": \(JSONText.quoted(field)), \"type\": \"\(type)\"\(title)\(more)}"
    }
}

/// Colours that are told apart by colour-blind readers, on light and on dark paper (contrast at least 3 on both).
enum Palette {
    static let colours = [
        Colour(58, 126, 196), Colour(217, 112, 32), Colour(36, 148, 107), Colour(190, 88, 160), Colour(141, 111, 209),
        Colour(166, 124, 20), Colour(208, 80, 76), Colour(112, 128, 144),
    ]
    /// Second sign besides colour, for print in grey.
    static let dashes = ["", "6 3", "2 3", "8 3 2 3"]

    static func colour(_ index: Int) -> Colour { colours[index % colours.count] }

    static func dash(_ index: Int) -> String { dashes[(index / 2) % dashes.count] }
}
