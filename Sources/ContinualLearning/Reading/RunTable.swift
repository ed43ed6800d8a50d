import Diagnostics

/// A CSV file of a run directory: a heading and lines of plain fields.
public struct RunTable: Sendable, Hashable {
    public var columns: [String]
    public var rows: [[String]]

    /// - Parameter csv: fields without quotes, as the engine writes them.
    public init(csv: String) {
        var lines = csv.split(separator: "\n").map { line in
            line.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
        }
        columns = lines.isEmpty ? [] : lines.removeFirst()
        rows = lines
    }

    /// Place of the first of these columns that there is.
    public func column(_ names: String...) -> Int? { names.lazy.compactMap { columns.firstIndex(of: $0) }.first }

    /// The field of a row, nil when there is no such column or it is empty.
    public func text(_ row: [String], _ column: Int?) -> String? {
        guard let column, column < row.count, !row[column].isEmpty else { return nil }
        return row[column]
    }

    public func number(_ row: [String], _ column: Int?) -> Double? { text(row, column).flatMap { Double($0) } }

    public func whole(_ row: [String], _ column: Int?) -> Int? { text(row, column).flatMap { Int($0) } }
}
