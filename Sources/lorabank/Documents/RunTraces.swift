import ContinualLearning
import Reports
import WeightFiles

/// What happened during a run: training, competition, time scales, consolidation, confusion.
struct RunTraces {
    let run: RunRecord

    var sections: [HTMLPage.Section] { [training, experts, levels, consolidation, confusion] }

    private var training: HTMLPage.Section {
        let epochs = run.events.filter { $0["event"]?.string == "epoch" }
        let losses = curves(epochs, "loss", factor: 1)
        let isValidation = epochs.contains { $0["val_accuracy"] != nil }
        let accuracies = curves(epochs, isValidation ? "val_accuracy" : "train_accuracy", factor: 100)
        guard !epochs.isEmpty, losses.count <= 8 else { return .init("Training", []) }
        let loss = LineChart(
            title: "Training loss, all tasks in order", xTitle: "epoch", yTitle: "loss", series: losses)
        let accuracy = LineChart(
            title: isValidation ? "Validation accuracy during training (%)" : "Accuracy on training data (%)",
            xTitle: "epoch", yTitle: "accuracy, %", series: accuracies)
        return .init("Training", [.figures([loss, accuracy])])
    }

    /// One curve per slot that an event names, or per expert where its value is a list of several.
    private func curves(_ epochs: [JSONValue], _ key: String, factor: Double) -> [LineChart.Series] {
        var names: [String] = []
        var points: [String: [LineChart.Point]] = [:]
        for (index, event) in epochs.enumerated() {
            let values = event[key]?.array ?? event[key].map { [$0] } ?? []
            for (expert, value) in values.enumerated() {
                let name = values.count > 1 ? "expert \(expert)" : event["slot"]?.string ?? "all"
                if points[name] == nil { names.append(name) }
                points[name, default: []].append(.init(Double(index), value.double.map { $0 * factor }))
            }
        }
        return names.map { .init($0, points[$0] ?? []) }
    }

    private var experts: HTMLPage.Section {
        guard let table = run.tables["experts"], !table.rows.isEmpty else { return .init("Selection of experts", []) }
        let columns = (task: table.column("after_task", "task"), expert: table.column("expert"))
        let chosen = table.column("winner", "chosen")
        let score = table.column("accuracy", "score")
        var lanes: [Int] = []
        var places: [Int] = []
        for row in table.rows {
            if let task = table.whole(row, columns.task), !places.contains(task) { places.append(task) }
            if let expert = table.whole(row, columns.expert), !lanes.contains(expert) { lanes.append(expert) }
        }
        let cells = table.rows.compactMap { row -> Timeline.Cell? in
            guard let task = table.whole(row, columns.task), let expert = table.whole(row, columns.expert),
                let lane = lanes.firstIndex(of: expert), let place = places.firstIndex(of: task)
            else { return nil }
            let winner = table.text(row, chosen).map { ["1", "true", "yes"].contains($0) } ?? false
            let facts = zip(table.columns, row).map { "\($0) \($1)" }.joined(separator: ", ")
            return Timeline.Cell(
                lane: lane, place: place,
                text: table.number(row, score).map { Quantities.fixed($0 * 100, 1) } ?? "–", isChosen: winner,
                note: facts)
        }
        let timeline = Timeline(
            title: "Winner and validation accuracy (%)", xTitle: "task", lanes: lanes.map { "expert \($0)" },
            places: places.map { "\($0)" }, cells: cells)
        return .init(
            "Selection of experts",
            [
                .figure(timeline),
                .table(.init(heading: table.columns.map(Self.heading), rows: table.rows.map(Self.short))),
            ])
    }

    private static func heading(_ column: String) -> String {
        column == "learning_rate_multiplier" ? "rate ×" : column.replacing("_", with: " ")
    }

    /// Numbers with three digits; experts.csv keeps all of them.
    private static func short(_ row: [String]) -> [String] {
        row.map { cell in
            guard cell.contains("."), let number = Double(cell) else { return cell }
            return Quantities.significant(number)
        }
    }

    private var levels: HTMLPage.Section {
        guard let table = run.tables["levels"], !table.rows.isEmpty else { return .init("Time scales", []) }
        let columns = (task: table.column("after_task", "task"), level: table.column("level"))
        let updates = table.column("updates")
        var lanes: [String] = []
        var places: [Int] = []
        for row in table.rows {
            if let level = table.text(row, columns.level), !lanes.contains(level) { lanes.append(level) }
            if let task = table.whole(row, columns.task), !places.contains(task) { places.append(task) }
        }
        let cells = table.rows.compactMap { row -> Timeline.Cell? in
            guard let level = table.text(row, columns.level), let lane = lanes.firstIndex(of: level),
                let task = table.whole(row, columns.task), let place = places.firstIndex(of: task)
            else { return nil }
            let count = table.text(row, updates) ?? "0"
            return Timeline.Cell(lane: lane, place: place, text: count, isChosen: count != "0")
        }
        let timeline = Timeline(
            title: "Updates of each level", xTitle: "task", lanes: lanes, places: places.map { "\($0)" }, cells: cells)
        return .init("Time scales", [.figure(timeline)])
    }

    private var consolidation: HTMLPage.Section {
        guard let table = run.tables["consolidation"], !table.rows.isEmpty else { return .init("Consolidation", []) }
        let task = table.column("after_task", "task")
        let columns = [
            ("truncation error", table.column("trunc_err", "truncation_error")),
            ("conflict mass", table.column("conflict_mass")),
        ]
        let changes = table.column("change")
        var tasks: [Int] = []
        for row in table.rows { if let t = table.whole(row, task), !tasks.contains(t) { tasks.append(t) } }
        func mean(_ t: Int, _ column: Int?) -> Double? {
            SeedStatistics(
                table.rows.filter { table.whole($0, task) == t }.compactMap { table.number($0, column) }
            ).mean
        }
        let shares = LineChart(
            title: "Consolidation: mean over sites", xTitle: "task", yTitle: "share",
            series: columns.map { name, column in
                .init(name, tasks.map { .init(Double($0), mean($0, column)) })
            })
        let change = LineChart(
            title: "Change of slow: ‖S⁺ − S‖, mean over sites", xTitle: "task", yTitle: "norm",
            series: [.init("change", tasks.map { .init(Double($0), mean($0, changes)) })])
        return .init("Consolidation", [.figures([shares, change])])
    }

    private var confusion: HTMLPage.Section {
        let figures = [("confusion", "Confusion of classes"), ("task_confusion", "Confusion of tasks")].compactMap {
            name, title in run.tables[name].flatMap { ConfusionFigure(table: $0, title: title).map }
        }
        return .init("Confusion", figures.isEmpty ? [] : [.figures(figures)])
    }
}

/// A heat map of a confusion table, in long form or as a matrix; each row is divided by its sum.
struct ConfusionFigure {
    let table: RunTable
    let title: String

    var map: HeatMap? {
        let (labels, counts) = matrix
        guard !labels.isEmpty, labels.count <= 60 else { return nil }
        let shares = counts.map { row -> [Double?] in
            let sum = row.reduce(0, +)
            return row.map { sum > 0 ? $0 / sum * 100 : nil }
        }
        return HeatMap(
            title: "\(title) (% of each row)", rowLabels: labels.map { "true \($0)" }, columnLabels: labels,
            values: shares, scale: .sequential(low: 0, high: 100), decimals: 0)
    }

    private var matrix: (labels: [String], counts: [[Double]]) {
        let isLong = table.columns.count == 3 && table.columns.last == "count"
        guard isLong else {
            let labels = table.rows.map { $0.first ?? "" }
            let counts = table.rows.map { row in row.dropFirst().map { Double($0) ?? 0 } }
            return counts.allSatisfy { $0.count == labels.count } ? (labels, counts) : ([], [])
        }
        let ids = Set(table.rows.flatMap { row in [table.whole(row, 0), table.whole(row, 1)].compactMap { $0 } })
            .sorted()
        var counts = [[Double]](repeating: [Double](repeating: 0, count: ids.count), count: ids.count)
        for row in table.rows {
            guard let from = table.whole(row, 0).flatMap({ ids.firstIndex(of: $0) }),
                let to = table.whole(row, 1).flatMap({ ids.firstIndex(of: $0) })
            else { continue }
            counts[from][to] += table.number(row, 2) ?? 0
        }
        return (ids.map { "\($0)" }, counts)
    }
}
