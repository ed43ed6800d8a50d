import ContinualLearning
import Reports

/// Bars of the views of one moment: joint accuracy over the tasks seen, task after task.
struct AblationChart {
    let table: RunTable
    /// `pre` or `post` consolidation.
    let moment: String

    /// nil when the table has no lines of that moment.
    var chart: BarChart? {
        let after = table.column("after_task", "task")
        let columns = (view: table.column("view"), moment: table.column("moment"), split: table.column("split"))
        let accuracy = table.column("accuracy")
        let count = table.column("count", "n")
        let head = table.column("head")
        let kept = table.rows.filter { row in
            table.text(row, columns.moment) == moment
                && (head == nil || table.text(row, head) == table.text(table.rows[0], head))
        }
        let splits = Set(kept.compactMap { table.text($0, columns.split) })
        guard let split = splits.contains("test") ? "test" : splits.sorted().first else { return nil }
        var views: [String] = []
        var tasks: [Int] = []
        var sums: [String: (right: Double, all: Double)] = [:]
        for row in kept where table.text(row, columns.split) == split {
            guard let view = table.text(row, columns.view), let task = table.whole(row, after),
                let share = table.number(row, accuracy)
            else { continue }
            if !views.contains(view) { views.append(view) }
            if !tasks.contains(task) { tasks.append(task) }
            let weight = table.number(row, count) ?? 1
            let old = sums["\(task) \(view)"] ?? (0, 0)
            sums["\(task) \(view)"] = (old.right + share * weight, old.all + weight)
        }
        guard !views.isEmpty else { return nil }
        let bars = tasks.map { task in
            views.map { view in
                BarChart.Bar(sums["\(task) \(view)"].flatMap { $0.all > 0 ? $0.right / $0.all * 100 : nil })
            }
        }
        let when = moment == "pre" ? "Before consolidation" : "After consolidation"
        return BarChart(
            title: "\(when), \(split) data (%)", yTitle: "accuracy, %", groups: tasks.map { "task \($0)" },
            series: views, bars: bars, yRange: 0...100)
    }
}
