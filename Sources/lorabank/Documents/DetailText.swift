import Bank
import Diagnostics
import Reports

/// `show` for people.
struct DetailText {
    let detail: AdapterDetail

    init(_ detail: AdapterDetail) { self.detail = detail }

    func rendered(_ session: Session) -> String {
        var text = facts(session) + findings(session) + lineage + metrics(session) + remarks
        if !detail.modules.isEmpty { text += "\n" + session.rendered(modules) }
        return text
    }

    private func facts(_ session: Session) -> String {
        let row = detail.row
        var lines: [(String, String)] = [
            (
                "name",
                row.reference + (detail.aliases.isEmpty ? "" : " (alias \(detail.aliases.joined(separator: ", ")))")
            ),
            ("state", row.state.rawValue),
            (
                "base",
                row.baseModel.isEmpty
                    ? "unknown" : row.baseModel + (row.baseRevision.isEmpty ? "" : "@" + row.baseRevision)
            ),
            ("weights", weights),
            ("tags", AdapterTable.tags(row.tags)), ("object", row.object), ("update", row.deltaID),
            ("source", "\(row.source) as \(row.format)" + (row.origin.map { " from " + $0 } ?? "")),
            ("added", "\(row.createdAt) by \(row.createdBy) (\(Timestamp.ago(row.createdAt)))"),
        ]
        for (name, value) in [
            ("title", row.title), ("text", row.description), ("licence", row.licence), ("author", row.author),
        ] {
            if let value, !value.isEmpty { lines.append((name, value)) }
        }
        for file in detail.files { lines.append(("file", "\(file.name), \(Quantities.bytes(file.size))")) }
        if let recipe = detail.recipe {
            let seed = recipe.seed.map { ", seed \($0)" } ?? ""
            lines.append(
                ("made by", "\(recipe.program)\(seed), recipe \(recipe.recipeSHA.prefix(12)), \(recipe.startedAt)"))
        }
        return lines.filter { !$0.1.isEmpty }.map { name, value in
            session.colours.bold(name) + String(repeating: " ", count: max(1, 9 - name.count))
                + ForeignText.escaped(value) + "\n"
        }.joined()
    }

    private var weights: String {
        let row = detail.row
        return
            "\(row.modules) modules, rank \(AdapterTable.rank(row)), \(Quantities.count(row.parameters)) parameters, "
            + "\(row.dtype), \(Quantities.bytes(row.bytes))"
    }

    private func findings(_ session: Session) -> String {
        detail.findings.isEmpty
            ? "" : "findings\n" + detail.findings.map { FindingText.line($0, colours: session.colours) }.joined()
    }

    private var lineage: String {
        detail.lineage.map { edge in
            let name = edge.reference ?? "an adapter outside the bank (\(edge.object.prefix(12)))"
            let weight = edge.weight.map { ", weight \(Quantities.significant($0))" } ?? ""
            let state = edge.removed ? ", removed" : edge.state.map { ", \($0.rawValue)" } ?? ""
            let arrow = edge.direction == .parent ? "made from" : "went into"
            return "\(arrow) \(ForeignText.escaped(name)) (\(ForeignText.escaped(edge.role))\(weight)\(state))\n"
        }.joined()
    }

    private func metrics(_ session: Session) -> String {
        guard !detail.metrics.isEmpty else { return "" }
        var table = TerminalTable([
            .text("DATA"), .text("SPLIT"), .text("METRIC"), .number("VALUE"),
            .text("95 % INTERVAL"), .number("N"), .text("WHEN"),
        ])
        // Single tasks would fill the page: `show --json` and `plot` have them.
        for metric in detail.metrics where !metric.name.hasPrefix(AdapterMetrics.taskPrefix) {
            table.add([
                metric.dataset, metric.split, metric.name, AdapterMetrics.text(metric),
                AdapterMetrics.interval(metric), metric.n.map(String.init) ?? "", Timestamp.ago(metric.at),
            ])
        }
        return "\n" + session.rendered(table)
    }

    private var remarks: String {
        let notes = detail.notes.map {
            "note     \(ForeignText.escaped($0.text)) (\(ForeignText.escaped($0.actor)), \(Timestamp.ago($0.at)))\n"
        }
        let decisions = detail.decisions.map {
            "decision \($0.decision.rawValue): \(ForeignText.escaped($0.reason)) (\(ForeignText.escaped($0.actor)), \(Timestamp.ago($0.at)))\n"
        }
        return (notes + decisions).joined()
    }

    private var modules: TerminalTable {
        var table = TerminalTable([
            .text("MODULE", shrinks: true), .text("SHAPE"), .number("RANK"), .number("SCALE"), .number("NORM"),
            .number("SIGMA1"), .number("STABLE RANK"),
        ])
        for module in detail.modules {
            table.add([
                module.name, "\(module.dOut)×\(module.dIn)", "\(module.rank)", Quantities.significant(module.scale),
                module.frobenius.map { Quantities.significant($0) } ?? "–",
                module.sigma1.map { Quantities.significant($0) } ?? "–",
                module.stableRank.map { Quantities.fixed($0, 2) } ?? "–",
            ])
        }
        return table
    }
}
