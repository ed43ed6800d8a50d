import Bank
import Reports

/// Catalogue rows as a table for people.
enum AdapterTable {
    static func of(_ rows: [AdapterRow]) -> TerminalTable {
        var table = TerminalTable([
            .text("NAME", shrinks: true), .text("STATE"), .number("RANK"), .number("MODULES"), .number("PARAMETERS"),
            .number("SIZE"), .text("DTYPE"), .text("BASE", shrinks: true), .text("TAGS", shrinks: true), .text("ADDED"),
        ])
        for row in rows {
            table.add([
                row.reference, row.state.rawValue, rank(row), "\(row.modules)", Quantities.count(row.parameters),
                Quantities.bytes(row.bytes), row.dtype, row.baseModel, tags(row.tags), Timestamp.ago(row.createdAt),
            ])
        }
        return table
    }

    static func rank(_ row: AdapterRow) -> String { rank(row.rankMin, row.rankMax) }

    /// `8`, or `4–8`.
    static func rank(_ smallest: Int, _ largest: Int) -> String {
        smallest == largest ? "\(largest)" : "\(smallest)–\(largest)"
    }

    static func tags(_ tags: [String: [String]]) -> String {
        tags.sorted { $0.key < $1.key }.flatMap { key, values in
            values.sorted().map { $0.isEmpty ? key : "\(key)=\($0)" }
        }.joined(separator: " ")
    }
}
