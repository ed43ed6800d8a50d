import Bank
import Reports
import WeightFiles

/// What was measured on some adapters, side by side: of each value the newest.
struct AdapterMetrics {
    struct Subject {
        var name: String
        /// Newest first, as the bank gives them.
        var metrics: [Metric]
    }

    /// Data on which something was measured.
    struct Source: Hashable {
        var dataset: String
        var split: String

        var title: String { "\(dataset) (\(split))" }
    }

    let subjects: [Subject]
    /// Sorted by name.
    let sources: [Source]

    /// Accuracies on single tasks are kept under this, followed by the name of the task.
    static let taskPrefix = "acc_task:"

    init(_ subjects: [Subject]) {
        self.subjects = subjects
        sources = Set(subjects.flatMap(\.metrics).map { Source(dataset: $0.dataset, split: $0.split) }).sorted {
            ($0.dataset, $0.split) < ($1.dataset, $1.split)
        }
    }

    /// The newest value of a metric.
    func value(_ name: String, on source: Source, of subject: Subject) -> Metric? {
        subject.metrics.first { $0.name == name && $0.dataset == source.dataset && $0.split == source.split }
    }

    /// Names of the metrics that were measured there, without those of single tasks, sorted.
    func names(on source: Source) -> [String] {
        Set(measured(on: source).map(\.name)).filter { !$0.hasPrefix(Self.taskPrefix) }.sorted()
    }

    /// Names of the tasks, in the order in which they were measured.
    func tasks(on source: Source) -> [String] {
        var tasks: [String] = []
        var known: Set<String> = []
        for metric in measured(on: source).reversed() where metric.name.hasPrefix(Self.taskPrefix) {
            if known.insert(metric.name).inserted { tasks.append(String(metric.name.dropFirst(Self.taskPrefix.count))) }
        }
        return tasks
    }

    private func measured(on source: Source) -> [Metric] {
        subjects.flatMap { $0.metrics.filter { $0.dataset == source.dataset && $0.split == source.split } }
    }

    // MARK: Figures

    /// Of each data set one chart per metric with its intervals, and a map of tasks where they were measured.
    var figures: [any Figure] {
        sources.flatMap { source -> [any Figure] in
            let charts = names(on: source).map { chart($0, on: source) as any Figure }
            return charts + (map(on: source).map { [$0] } ?? [])
        }
    }

    private func chart(_ name: String, on source: Source) -> IntervalChart {
        // Accuracies are shares; everything else is drawn as it was stored.
        let factor = Self.isShare(name) ? 100.0 : 1
        let rows = subjects.map { subject in
            let metric = value(name, on: source, of: subject)
            return IntervalChart.Row(
                subject.name, metric.map { $0.value * factor }, low: metric?.ciLow.map { $0 * factor },
                high: metric?.ciHigh.map { $0 * factor })
        }
        return IntervalChart(
            title: "\(name) on \(source.title)", xTitle: Self.isShare(name) ? "\(name), %" : name, rows: rows)
    }

    private func map(on source: Source) -> HeatMap? {
        let tasks = tasks(on: source)
        guard !tasks.isEmpty else { return nil }
        return HeatMap(
            title: "accuracy by task on \(source.title), %", rowLabels: tasks, columnLabels: subjects.map(\.name),
            values: tasks.map { task in
                subjects.map { value(Self.taskPrefix + task, on: source, of: $0).map { $0.value * 100 } }
            }, scale: .sequential(low: 0, high: 100), decimals: 1)
    }

    static func isShare(_ name: String) -> Bool { name.hasPrefix("acc") }

    // MARK: Tables

    /// One row per metric: its name and data, then the value of each subject.
    var rows: [[String]] {
        sources.flatMap { source in
            names(on: source).map { name in
                ["\(name) on \(source.title)"]
                    + subjects.map { subject in
                        value(name, on: source, of: subject).map { AdapterMetrics.text($0) } ?? "–"
                    }
            }
        }
    }

    /// `91.30 %`, or the number where it is no share.
    static func text(_ metric: Metric) -> String {
        isShare(metric.name)
            ? Quantities.fixed(metric.value * 100, 2) + " %" : Quantities.significant(metric.value, 4)
    }

    /// `90.12 % to 92.40 %`; empty where no interval is known.
    static func interval(_ metric: Metric) -> String {
        guard let low = metric.ciLow, let high = metric.ciHigh else { return "" }
        func text(_ value: Double) -> String {
            isShare(metric.name) ? Quantities.fixed(value * 100, 2) : Quantities.significant(value, 4)
        }
        return "\(text(low)) to \(text(high))"
    }

    /// Every newest value with its interval and count.
    var json: JSONValue {
        .array(
            subjects.flatMap { subject in
                sources.flatMap { source in
                    (names(on: source) + tasks(on: source).map { Self.taskPrefix + $0 }).compactMap { name in
                        value(name, on: source, of: subject).map { metric in
                            .object([
                                .init("adapter", .string(subject.name)), .init("dataset", .string(metric.dataset)),
                                .init("split", .string(metric.split)), .init("name", .string(metric.name)),
                                .init("value", .double(metric.value)), .init("n", .optional(metric.n)),
                                .init("ci_low", .optional(metric.ciLow)), .init("ci_high", .optional(metric.ciHigh)),
                            ])
                        }
                    }
                }
            })
    }

    /// The part of a report about what was measured; without blocks when nothing was.
    var section: HTMLPage.Section {
        guard !sources.isEmpty else { return .init("Evaluation", []) }
        let table = HTMLPage.Table(
            heading: ["Name", "Data", "Metric", "Value", "95 % interval", "Samples"],
            rows: subjects.flatMap { subject in
                sources.flatMap { source in
                    names(on: source).compactMap { name in
                        value(name, on: source, of: subject).map { metric in
                            [
                                subject.name, source.title, name, AdapterMetrics.text(metric),
                                AdapterMetrics.interval(metric), metric.n.map { "\($0)" } ?? "",
                            ]
                        }
                    }
                }
            }, numeric: [3, 5])
        return .init("Evaluation", [.figures(figures), .table(table)])
    }
}
