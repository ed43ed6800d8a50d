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

    static func rank(_ row: AdapterRow) -> String {
        row.rankMin == row.rankMax ? "\(row.rankMax)" : "\(row.rankMin)–\(row.rankMax)"
    }

    static func tags(_ tags: [String: [String]]) -> String {
        tags.sorted { $0.key < $1.key }.flatMap { key, values in
            values.sorted().map { $0.isEmpty ? key : "\(key)=\($0)" }
        }.joined(separator: " ")
    }
}
