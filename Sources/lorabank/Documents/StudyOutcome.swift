import ContinualLearning
import Reports
import WeightFiles

/// A study's results as JSON, text and page.
struct StudyOutcome {
    let preset: StudyPreset
    let folder: String
    let configuration: String
    let table: StudyTable
    let seconds: Double

    var document: JSONValue {
        .document(
            "cil-study",
            [
                .init("study", .string(preset.rawValue)), .init("run", .string(folder)),
                .init("config", .string(configuration)), .init("seeds", .array(table.seeds.map { .integer($0) })),
                .init(
                    "settings",
                    .array(
                        table.settings.map { setting in
                            .object([
                                .init("name", .string(setting.name)), .init("anchor", .bool(setting.isAnchor)),
                                .init("overrides", .texts(setting.overrides)),
                                .init("merge", setting.merging.map { .string($0.recipe) } ?? .null),
                                .init(
                                    "heads",
                                    .object(table.heads.map { .init($0, numbers(setting.name, $0)) })),
                            ])
                        })),
                .init("cautions", .texts(table.cautions)),
                .init("findings", .texts(table.heads.flatMap { table.findings(head: $0) })),
                .init("seconds", .double(seconds)),
            ])
    }

    private func numbers(_ setting: String, _ head: String) -> JSONValue {
        guard let row = table.rows(head: head).first(where: { $0.setting.name == setting }) else { return .null }
        func statistics(_ value: SeedStatistics) -> JSONValue {
            .object([
                .init("mean", .optional(value.mean)), .init("sd", .optional(value.deviation)),
                .init("low", .optional(value.interval?.low)), .init("high", .optional(value.interval?.high)),
                .init("values", .array(value.values.map { .double($0) })),
            ])
        }
        let paired = row.againstBackbone
        return .object([
            .init("last", statistics(row.last)), .init("avg_incremental", statistics(row.averageIncremental)),
            .init("forgetting", statistics(row.forgetting)),
            .init(
                "last_minus_backbone",
                paired.map {
                    .object([
                        .init("mean", .double($0.mean)), .init("bootstrap_low", .optional($0.low)),
                        .init("bootstrap_high", .optional($0.high)), .init("student_low", .optional($0.studentLow)),
                        .init("student_high", .optional($0.studentHigh)), .init("clear", .bool($0.isClear)),
                        .init("seeds", .integer($0.differences.count)),
                    ])
                } ?? .null),
        ])
    }

    // MARK: Text and page

    private static let heading = [
        "Setting", "Last %", "± sd", "Avg. inc. %", "± sd", "Forgetting", "− backbone", "Interval", "Clear",
    ]

    private func cells(_ row: StudyTable.Row) -> [String] {
        let paired = row.againstBackbone
        let interval = paired.flatMap { pair in
            pair.studentLow.flatMap { low in
                pair.studentHigh.map { "\(RunReport.percent(low)) … \(RunReport.percent($0))" }
            }
        }
        return [
            row.setting.name + (row.setting.isAnchor ? " (anchor)" : ""), RunReport.percent(row.last.mean),
            RunReport.percent(row.last.deviation), RunReport.percent(row.averageIncremental.mean),
            RunReport.percent(row.averageIncremental.deviation), RunReport.percent(row.forgetting.mean),
            RunReport.percent(paired?.mean), interval ?? "–",
            row.setting.isAnchor ? "" : (paired?.isClear ?? false) ? "yes" : "no",
        ]
    }

    func text(_ session: Session) -> String {
        var text = ""
        for head in table.heads {
            var terminal = TerminalTable(
                Self.heading.enumerated().map { index, title in
                    (1...6).contains(index) ? .number(title.uppercased()) : .text(title.uppercased())
                })
            for row in table.rows(head: head) { terminal.add(cells(row)) }
            text += "head \(head), \(table.seeds.count) seeds\n" + session.rendered(terminal) + "\n"
            text += table.findings(head: head).map { $0 + "\n" }.joined()
        }
        return text + table.cautions.map { $0 + "\n" }.joined()
    }

    var page: HTMLPage {
        let sections = table.heads.map { head -> HTMLPage.Section in
            let rows = table.rows(head: head)
            let references = rows.filter(\.setting.isAnchor).compactMap { row in
                row.last.mean.map { (name: row.setting.name, value: $0 * 100) }
            }
            let chart = IntervalChart(
                title: "Last accuracy, head \(head) (%)", xTitle: "accuracy over all classes after the last task, %",
                rows: rows.filter { !$0.setting.isAnchor }.map { row in
                    .init(
                        row.setting.name, row.last.mean.map { $0 * 100 }, low: row.last.interval.map { $0.low * 100 },
                        high: row.last.interval.map { $0.high * 100 })
                }, references: references)
            return .init(
                "Head \(head)",
                [.table(.init(heading: Self.heading, rows: rows.map(cells), numeric: [1, 2, 3, 4, 5, 6]))]
                    + table.findings(head: head).map { .paragraph($0) } + [.figure(chart)])
        }
        let opening = HTMLPage.Section(
            "How to read this",
            [
                .paragraph(
                    "\(preset.rawValue): \(preset.summary). One head for all classes, no task id at inference. Intervals "
                        + "are 95 %, Student's t over seeds; differences are paired by seed."),
                .list(table.cautions),
            ])
        let overrides = HTMLPage.Section(
            "Settings",
            [
                .table(
                    .init(
                        heading: ["Setting", "Overrides of \(configuration)"],
                        rows: table.settings.map { setting in
                            let merges = setting.merging.map { "adapters of \($0.source), merged by \($0.recipe)" }
                            return [setting.name, merges ?? setting.overrides.joined(separator: " ")]
                        }))
            ])
        return HTMLPage(
            title: "Study \(preset.rawValue)",
            origin: "lorabank \(LoRABank.version) · \(configuration) · seeds "
                + table.seeds.map { "\($0)" }.joined(separator: ", ") + " · \(Timestamp.now())",
            sections: [opening] + sections + [overrides], data: document.text())
    }
}
