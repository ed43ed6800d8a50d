import Diagnostics

/// Rows of a TSV or CSV file.
enum DelimitedText {
    struct Row: Hashable {
        var fields: [String]
        /// Line of the row's first character, from 1.
        var line: Int
    }

    /// TSV without quoting: one row per line, empty lines skipped.
    static func tabSeparated(_ text: String) -> [Row] {
        var rows: [Row] = []
        for (index, line) in TextFile.lines(text).enumerated() where !line.isEmpty {
            let fields = line.unicodeScalars.split(separator: "\t", omittingEmptySubsequences: false)
            rows.append(Row(fields: fields.map { String($0) }, line: index + 1))
        }
        return rows
    }

    /// CSV as in RFC 4180: fields in quotes may hold commas, line ends and doubled quotes.
    static func commaSeparated(_ text: String, path: String) throws -> [Row] {
        var rows: [Row] = []
        var fields: [String] = []
        var field = String.UnicodeScalarView()
        var isQuoted = false
        var wasQuoted = false
        var line = 1
        var start = 1
        let scalars = Array(text.unicodeScalars)
        var index = 0

        func endField() {
            fields.append(String(field))
            field = String.UnicodeScalarView()
            wasQuoted = false
        }
        func endRow() {
            let isBlank = fields.isEmpty && field.isEmpty && !wasQuoted
            if !isBlank {
                endField()
                rows.append(Row(fields: fields, line: start))
            }
            fields = []
        }
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            if isQuoted {
                if scalar == "\"" {
                    if index < scalars.count, scalars[index] == "\"" {
                        field.append("\"")
                        index += 1
                    } else {
                        isQuoted = false
                    }
                } else {
                    if scalar == "\n" { line += 1 }
                    field.append(scalar)
                }
                continue
            }
            switch scalar {
            case "\"" where field.isEmpty && !wasQuoted:
                isQuoted = true
                wasQuoted = true
            case ",": endField()
            case "\r" where index < scalars.count && scalars[index] == "\n": continue
            case "\n":
                endRow()
                line += 1
                start = line
            default:
                guard !wasQuoted else {
                    throw Failure(
                        .dataMalformed, "text follows a closing quote", path: path, place: "line \(line)")
                }
                field.append(scalar)
            }
        }
        guard !isQuoted else {
            throw Failure(.dataMalformed, "a quoted field is never closed", path: path, place: "line \(start)")
        }
        endRow()
        return rows
    }
}
