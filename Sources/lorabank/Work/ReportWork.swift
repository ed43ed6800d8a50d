import Adapters
import Bank
import Diagnostics
import Foundation
import Merging
import Reports
import WeightFiles

/// `report`: what the bank knows about adapters, put on one page.
struct ReportWork {
    let session: Session
    /// More adapters than this are listed, but not compared: the figures would be unreadable.
    private let comparable = 40

    func page(_ references: [String], title: String) throws -> HTMLPage {
        let bank = try session.bank()
        let rows = references.isEmpty ? try bank.list() : try references.flatMap { try bank.rows(for: $0) }
        let details = try rows.map { try bank.show($0.reference) }
        let metrics = AdapterMetrics(details.map { .init(name: $0.row.reference, metrics: $0.metrics) })
        var sections = [adapters(rows), metrics.section, provenance(details), findings(details)].filter {
            !$0.blocks.isEmpty
        }
        var data: [JSONValue.Member] = [
            .init("adapters", .array(details.map { AdapterDocument.detail($0) }))
        ]
        if let comparison = try comparison(of: rows) {
            sections.append(self.section(comparison))
            let members = ComparisonDocument.members(comparison, metrics: metrics)
            data.append(.init("compare", .object(members)))
        }
        return HTMLPage(
            title: title,
            origin:
                "lorabank \(LoRABank.version) · bank \(bank.id) · audit head \(try bank.auditHead()) · \(Timestamp.now())",
            sections: sections, data: JSONValue.document("report", data).text())
    }

    private func adapters(_ rows: [AdapterRow]) -> HTMLPage.Section {
        let table = HTMLPage.Table(
            heading: ["Name", "State", "Base", "Rank", "Modules", "Parameters", "Bytes", "Type", "Tags", "Object"],
            rows: rows.map { row in
                [
                    row.reference, row.state.rawValue, row.baseModel, AdapterTable.rank(row), "\(row.modules)",
                    "\(row.parameters)", "\(row.bytes)", row.dtype, AdapterTable.tags(row.tags),
                    String(row.object.prefix(12)),
                ]
            }, numeric: [3, 4, 5, 6])
        return .init("Adapters", [.table(table)])
    }

    /// How the merged adapters came about: parents, method, seed, program; then the resolved recipes.
    private func provenance(_ details: [AdapterDetail]) -> HTMLPage.Section {
        let made = details.filter { $0.recipe != nil }
        guard !made.isEmpty else { return .init("Provenance", []) }
        let table = HTMLPage.Table(
            heading: ["Name", "Made from", "Seed", "Program", "Recipe SHA-256", "At"],
            rows: made.map { detail in
                let parents = detail.lineage.filter { $0.direction == .parent }.map {
                    $0.reference ?? String($0.object.prefix(12))
                }
                return [
                    detail.row.reference, parents.joined(separator: ", "), detail.recipe?.seed.map { "\($0)" } ?? "–",
                    detail.recipe?.program ?? "", detail.recipe?.recipeSHA ?? "", detail.recipe?.startedAt ?? "",
                ]
            })
        let recipes = made.flatMap { detail -> [HTMLPage.Block] in
            [.paragraph("Resolved recipe of \(detail.row.reference)"), .code(detail.recipe?.recipe ?? "")]
        }
        return .init("Provenance", [.table(table)] + recipes)
    }

    private func findings(_ details: [AdapterDetail]) -> HTMLPage.Section {
        let rows = details.flatMap { detail in
            detail.findings.map { [detail.row.reference, $0.level.rawValue, $0.code, $0.place, $0.details ?? ""] }
        }
        let table = HTMLPage.Table(heading: ["Name", "Level", "Code", "Place", "Details"], rows: rows)
        return .init("Findings", rows.isEmpty ? [] : [.table(table)])
    }

    /// Compares what may be used and shares a base; nil when fewer than two are left.
    private func comparison(of rows: [AdapterRow]) throws -> AdapterComparison? {
        let base = rows.first?.baseModel
        let usable = rows.filter { $0.baseModel == base && $0.state != .rejected && $0.state != .revoked }
        guard (2...comparable).contains(usable.count) else { return nil }
        let adapters = try session.adapters(named: usable.map(\.reference))
        var options = AdapterComparison.Options()
        options.threads = session.threads
        return try AdapterComparison.compare(adapters, options: options, progress: session.progress)
    }

    private func section(_ comparison: AdapterComparison) -> HTMLPage.Section {
        let advice = comparison.advice
        return .init(
            "Comparison",
            [.paragraph(advice.sentence), .paragraph("Grounds: " + advice.grounds.joined(separator: "; ") + ".")]
                + ComparisonDocument.figures(comparison).map { .figure($0) })
    }
}
