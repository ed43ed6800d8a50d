import ContinualLearning
import Reports
import WeightFiles

/// The page of a class-incremental run: plain values of its directory, put into tables and figures.
struct RunReport {
    let runs: [RunRecord]
    let folder: String

    private var first: RunRecord { runs[0] }

    var page: HTMLPage {
        let name = first.configuration["name"]?.string ?? ""
        let what = name.isEmpty || name == first.structure ? first.structure : "\(name) (\(first.structure))"
        let sections =
            [summary, accuracies, forgetting, ablations] + RunTraces(run: first).sections
            + RunDirections(run: first).sections + [checks, settings]
        return HTMLPage(
            title: "Class-incremental run: \(what)",
            origin: "lorabank \(LoRABank.version) · \(folder) · seeds \(seeds) · \(Timestamp.now())",
            sections: sections.filter { !$0.blocks.isEmpty }, data: data.text())
    }

    private var seeds: String { runs.map { $0.seed.map { "\($0)" } ?? "?" }.joined(separator: ", ") }

    private var data: JSONValue {
        .document(
            "cil-report",
            [
                .init("run", .string(folder)), .init("metrics", .array(runs.map(\.metrics))),
                .init(
                    "accuracy_matrix",
                    .array(runs.map { run in .array(run.matrix.map { .array($0.map { .optional($0) }) }) })),
                .init("configuration", first.configuration),
            ])
    }

    // MARK: Numbers

    private static let names = [
        ("last", "last"), ("avg_incremental", "avg_incremental"), ("forgetting", "forgetting"), ("bwt", "bwt"),
        ("fwt", "fwt"), ("recency_rate", "recency_rate"), ("recency_bias", "recency_bias"),
        ("task_id_acc", "task_id_acc"), ("within_task_acc", "within_task_acc"), ("old_acc", "old_acc"),
        ("new_acc", "new_acc"), ("harmonic_mean", "harmonic_mean"), ("class_balanced_acc", "class_balanced_acc"),
        ("last_task_mean", "last_task_mean"), ("forgetting_clipped", "forgetting_clipped"),
        ("forgetting_first", "forgetting_first"),
    ]

    private var summary: HTMLPage.Section {
        var blocks: [HTMLPage.Block] = []
        if runs.contains(where: \.isLeaky) {
            blocks.append(.note("LEAKY: the winner was chosen on test data, so no number here is an unbiased result."))
        }
        let rule = first.rule.map { ", rule \($0)" } ?? ""
        blocks.append(
            .paragraph(
                "Structure \(first.structure)\(rule); one head for all classes, no task id at inference. All accuracies "
                    + "are on test data over every class seen so far, in percent"
                    + (runs.count > 1 ? "; intervals are Student's t over seeds." : ".")))
        let heads = runs[0].metrics["heads"]?.members ?? []
        if heads.count > 1 { blocks.append(.table(headTable(heads.map(\.key)))) }
        let rows = Self.names.compactMap { key, title -> [String]? in
            guard runs.contains(where: { $0.number(key) != nil }) else { return nil }
            return [title] + Self.statistics(runs.map { $0.number(key) })
        }
        blocks.append(
            .table(.init(heading: ["Metric", "Mean", "Std. dev.", "95 % interval"], rows: rows, numeric: [1, 2])))
        if runs.count == 1 { blocks.append(.note("One seed: no spread is known, and nothing here is a ranking.")) }
        return .init("Result", blocks)
    }

    private func headTable(_ heads: [String]) -> HTMLPage.Table {
        let keys = ["last", "avg_incremental", "forgetting"]
        return HTMLPage.Table(
            heading: ["Head"] + keys,
            rows: heads.map { head in
                [head]
                    + keys.map { key in
                        let statistics = SeedStatistics(runs.compactMap { $0.number(key, head: head) })
                        return Self.percent(statistics.mean)
                            + (statistics.deviation.map { " ± \(Quantities.fixed($0 * 100, 2))" } ?? "")
                    }
            }, numeric: [1, 2, 3])
    }

    /// Mean, deviation, interval, in percent.
    static func statistics(_ values: [Double?]) -> [String] {
        let statistics = SeedStatistics(values.compactMap { $0 })
        let interval = statistics.interval.map { "\(percent($0.low)) … \(percent($0.high))" }
        return [percent(statistics.mean), percent(statistics.deviation), interval ?? "–"]
    }

    static func percent(_ share: Double?) -> String { share.map { Quantities.fixed($0 * 100, 2) } ?? "–" }

    // MARK: Accuracy

    private var accuracies: HTMLPage.Section {
        guard first.taskCount > 0 else { return .init("Accuracy", []) }
        let tasks = (0..<first.taskCount).map { "task \($0)" }
        let mean = (0..<first.taskCount).map { i in
            tasks.indices.map { j in
                average(runs.map { j < $0.matrix[i].count ? $0.matrix[i][j].map { $0 * 100 } : nil })
            }
        }
        let map = HeatMap(
            title: runs.count > 1 ? "Accuracy matrix, mean over seeds (%)" : "Accuracy matrix (%)",
            rowLabels: tasks.map { "after \($0)" }, columnLabels: tasks, values: mean,
            scale: .sequential(low: 0, high: 100), decimals: 1)
        var series = [LineChart.Series("all samples seen", points(runs.map(\.curve)))]
        if let table = first.tables["curve"], table.column("acc_task_mean") != nil {
            let curves = runs.map { run in
                (run.tables["curve"]?.rows ?? []).map { row in
                    run.tables["curve"].flatMap { $0.number(row, $0.column("acc_task_mean")) }
                }
            }
            series.append(.init("mean over tasks", points(curves)))
        }
        let curve = LineChart(
            title: "Accuracy over classes seen (%)", xTitle: "after task", yTitle: "accuracy, %", series: series)
        return .init("Accuracy", [.figures([map, curve])])
    }

    private var forgetting: HTMLPage.Section {
        guard first.taskCount > 1 else { return .init("Forgetting", []) }
        let perTask = (0..<first.taskCount).map { task in
            LineChart.Series(
                "task \(task)",
                points(runs.map { run in run.matrix.map { task < $0.count ? $0[task] : nil } }).filter { $0.y != nil })
        }
        let lines = LineChart(
            title: "Accuracy of each task over time (%)", xTitle: "after task", yTitle: "accuracy, %",
            series: perTask)
        let curve = LineChart(
            title: "Forgetting after each task (points)", xTitle: "after task", yTitle: "points",
            series: [.init("forgetting", points(runs.map(\.forgettingCurve)).filter { $0.y != nil })])
        return .init(
            "Forgetting",
            [
                .paragraph(
                    "forgetting(i) is the mean over older tasks of the best accuracy before task i minus the accuracy "
                        + "after it; it can be negative. bwt compares with the accuracy right after learning."),
                .figures([lines, curve]),
            ])
    }

    /// Mean over the runs in percent at each task, with the interval of Student's t.
    private func points(_ curves: [[Double?]]) -> [LineChart.Point] {
        (0..<(curves.map(\.count).max() ?? 0)).map { i in
            let values = curves.compactMap { i < $0.count ? $0[i] : nil }
            let statistics = SeedStatistics(values.map { $0 * 100 })
            return LineChart.Point(
                Double(i), statistics.mean, low: statistics.interval?.low, high: statistics.interval?.high)
        }
    }

    private func average(_ values: [Double?]) -> Double? { SeedStatistics(values.compactMap { $0 }).mean }

    // MARK: Ablations

    private var ablations: HTMLPage.Section {
        guard let table = first.tables["ablations"], !table.rows.isEmpty else { return .init("Ablations", []) }
        var figures: [any Figure] = []
        for moment in ["pre", "post"] {
            if let chart = AblationChart(table: table, moment: moment).chart { figures.append(chart) }
        }
        guard !figures.isEmpty else { return .init("Ablations", []) }
        return .init(
            "Ablations",
            [
                .paragraph(
                    "One state, one head, other slots masked. Before consolidation the fast memory is alive: that is "
                        + "where fast_only means something. After a reset, fast_only equals backbone_only and combined "
                        + "equals slow_only by construction (invariants I1 and I16): no result about fast memory."),
                .figures(figures),
            ])
    }

    // MARK: Checks and settings

    private var checks: HTMLPage.Section {
        let checks = runs.flatMap(\.invariants)
        guard !checks.isEmpty else { return .init("Invariants", []) }
        var counts: [String: (passed: Int, failed: Int, note: String)] = [:]
        for check in checks {
            guard let id = check["id"]?.string else { continue }
            let passed = check["pass"]?.bool ?? false
            var entry = counts[id] ?? (0, 0, check["note"]?.string ?? "")
            entry.passed += passed ? 1 : 0
            if !passed {
                entry.failed += 1
                entry.note = "task \(check["task"]?.integer ?? -1): " + (check["note"]?.string ?? "")
            }
            counts[id] = entry
        }
        let ids = counts.keys.sorted { ($0.count, $0) < ($1.count, $1) }
        let table = HTMLPage.Table(
            heading: ["Check", "Passed", "Failed", "What"],
            rows: ids.compactMap { id in
                counts[id].map { [id, "\($0.passed)", "\($0.failed)", $0.note] }
            }, numeric: [1, 2])
        let failed = counts.values.reduce(0) { $0 + $1.failed }
        return .init(
            "Invariants",
            (failed > 0
                ? [.note("\(failed) checks failed: the numbers above are not to be trusted as they stand.")] : [])
                + [.table(table)])
    }

    private var settings: HTMLPage.Section {
        .init(
            "Settings",
            [
                .paragraph("Every default is filled in; the hashes name the data and the backbone."),
                .code(first.configuration.text(.indented(2))),
            ])
    }
}
