import Diagnostics
import Merging
import Reports
import WeightFiles

/// A comparison as JSON, text and figures.
enum ComparisonDocument {
    /// - Parameter metrics: what the bank keeps about the adapters.
    static func members(_ comparison: AdapterComparison, metrics: AdapterMetrics) -> [JSONValue.Member] {
        [
            .init("adapters", .texts(comparison.names)), .init("cosine", matrix(comparison.cosine)),
            .init("sign_conflict", matrix(comparison.signConflict)),
            .init("subspace_overlap", matrix(comparison.subspaceOverlap)),
            .init("input_overlap", matrix(comparison.inputOverlap)),
            .init("sign_conflict_share_of_rows", .double(comparison.signShare)),
            .init(
                "rank_budget",
                .object([
                    .init("sum_of_ranks", .integer(comparison.ranks.sumOfRanks)),
                    .init("exact", .integer(comparison.ranks.exact)),
                    .init(
                        "energy",
                        .array(
                            comparison.ranks.energy.map { need in
                                .object([
                                    .init("share", .double(need.share)), .init("largest", .integer(need.largest)),
                                    .init("mean", .double(need.mean)),
                                ])
                            })),
                ])),
            .init(
                "advice",
                .object([
                    .init("sentence", .string(comparison.advice.sentence)),
                    .init("methods", .texts(comparison.advice.methods)),
                    .init("grounds", .texts(comparison.advice.grounds)),
                ])),
            .init(
                "modules",
                .array(
                    comparison.modules.map { module in
                        .object([
                            .init("name", .string(module.name)),
                            .init("frobenius", .array(module.norms.map { JSONValue.optional($0) })),
                        ])
                    })),
            .init("notes", .texts(comparison.notes)), .init("metrics", metrics.json),
        ]
    }

    private static func matrix(_ values: [[Double?]]) -> JSONValue {
        .array(values.map { row in .array(row.map { JSONValue.optional($0) }) })
    }

    static func text(
        _ comparison: AdapterComparison, _ session: Session, metrics: AdapterMetrics, modules: Bool
    ) -> String {
        let signs = comparison.signShare < 1 ? "sign conflict (a sample of the rows)" : "sign conflict"
        var text = ""
        for (title, values) in [
            ("cosine", comparison.cosine), (signs, comparison.signConflict),
            ("subspace overlap", comparison.subspaceOverlap),
        ] {
            text += table(title.uppercased(), comparison.names, values, session) + "\n"
        }
        if !metrics.sources.isEmpty { text += measured(comparison, metrics, session) + "\n" }
        let ranks = comparison.ranks
        let needs = ranks.energy.map { "\($0.largest) for \(Quantities.fixed($0.share * 100, 0)) %" }
        text += "rank budget  \(ranks.sumOfRanks) in all, \(ranks.exact) for the exact sum, "
        text += needs.joined(separator: ", ") + " of its energy\n"
        text += "advice       \(comparison.advice.sentence)\n"
        text += "             try \(comparison.advice.methods.joined(separator: ", "))\n"
        for ground in comparison.advice.grounds { text += "             - \(ground)\n" }
        return modules ? text + "\n" + norms(comparison, session) : text
    }

    private static func table(_ title: String, _ names: [String], _ values: [[Double?]], _ session: Session) -> String {
        var table = TerminalTable([.text(title, shrinks: true)] + names.indices.map { .number("[\($0 + 1)]") })
        for (index, name) in names.enumerated() {
            table.add(["[\(index + 1)] \(name)"] + values[index].map { $0.map { Quantities.fixed($0, 3) } ?? "–" })
        }
        return session.rendered(table)
    }

    private static func measured(
        _ comparison: AdapterComparison, _ metrics: AdapterMetrics, _ session: Session
    ) -> String {
        var table = TerminalTable(
            [.text("MEASURED", shrinks: true)] + comparison.names.indices.map { .number("[\($0 + 1)]") })
        for row in metrics.rows { table.add(row) }
        return session.rendered(table)
    }

    private static func norms(_ comparison: AdapterComparison, _ session: Session) -> String {
        var table = TerminalTable(
            [.text("NORM OF MODULE", shrinks: true)] + comparison.names.indices.map { .number("[\($0 + 1)]") })
        for module in comparison.modules {
            table.add([module.name] + module.norms.map { $0.map { Quantities.significant($0) } ?? "–" })
        }
        return session.rendered(table)
    }

    /// Heat maps of the three matrices and of the module norms.
    static func figures(_ comparison: AdapterComparison) -> [HeatMap] {
        let names = comparison.names
        let largest = comparison.modules.flatMap { $0.norms.compactMap { $0 } }.max() ?? 1
        let norms = names.indices.map { adapter in comparison.modules.map { $0.norms[adapter] } }
        return [
            HeatMap(
                title: "Cosine of the updates", rowLabels: names, columnLabels: names, values: comparison.cosine,
                scale: .diverging(middle: 0, reach: 1)),
            HeatMap(
                title: "Sign conflict: share of entries with opposite signs (0.5 is chance)", rowLabels: names,
                columnLabels: names, values: comparison.signConflict, scale: .diverging(middle: 0.5, reach: 0.5)),
            HeatMap(
                title: "Overlap of the column spaces", rowLabels: names, columnLabels: names,
                values: comparison.subspaceOverlap, scale: .sequential(low: 0, high: 1)),
            HeatMap(
                title: "Norm of the update by module", rowLabels: names, columnLabels: comparison.modules.map(\.name),
                values: norms, scale: .sequential(low: 0, high: largest)),
        ]
    }
}
