import ContinualLearning
import Reports

/// Spectra of slots and overlaps between them, from `spectra.csv` and `overlap.csv`.
struct RunDirections {
    let run: RunRecord
    /// More sites than this are not drawn one by one.
    private let drawn = 4

    var sections: [HTMLPage.Section] { [spectra, overlap] }

    private var spectra: HTMLPage.Section {
        guard let table = run.tables["spectra"], !table.rows.isEmpty else { return .init("Spectra", []) }
        let columns = (slot: table.column("slot"), task: table.column("task"), site: table.column("site"))
        let (index, sigma) = (table.column("index"), table.column("sigma"))
        var sites: [String] = []
        var names: [String] = []
        var lines: [String: [LineChart.Point]] = [:]
        let last = table.rows.compactMap { table.whole($0, columns.task) }.max() ?? 0
        for row in table.rows {
            guard let slot = table.text(row, columns.slot), let task = table.whole(row, columns.task),
                let site = table.text(row, columns.site), let place = table.number(row, index)
            else { continue }
            let isKept = slot.hasPrefix("slow") ? task == last : task == 0 || task == last
            guard isKept else { continue }
            let name = "\(slot)@\(task)"
            if !sites.contains(site) { sites.append(site) }
            if !names.contains(name) { names.append(name) }
            lines["\(site) \(name)", default: []].append(.init(place, table.number(row, sigma)))
        }
        let step = max(1, sites.count / drawn)
        let chosen = stride(from: 0, to: sites.count, by: step).prefix(drawn).map { sites[$0] }
        let figures = chosen.map { site in
            LineChart(
                title: "Singular values, \(site)", xTitle: "direction", yTitle: "σ",
                series: names.map { .init($0, lines["\(site) \($0)"] ?? []) }.filter { !$0.points.isEmpty },
                isLogarithmic: true, width: 440, height: 260)
        }
        return .init("Spectra", [.figures(figures)])
    }

    private var overlap: HTMLPage.Section {
        guard let table = run.tables["overlap"], !table.rows.isEmpty else { return .init("Directions", []) }
        let columns = (a: table.column("a"), b: table.column("b"), site: table.column("site"))
        let rows = table.rows.filter { table.text($0, columns.site) == "all" }
        var (lines, across): ([String], [String]) = ([], [])
        for row in rows {
            if let a = table.text(row, columns.a), !lines.contains(a) { lines.append(a) }
            if let b = table.text(row, columns.b), !across.contains(b) { across.append(b) }
        }
        guard !lines.isEmpty, lines.count <= 40, across.count <= 40 else { return .init("Directions", []) }
        let wanted = [
            ("cosine", "Cosine"), ("left_overlap", "Overlap of left directions"),
            ("share_inside", "Share inside the leading directions"), ("conflict_mass", "Mass of opposite signs"),
        ]
        let figures = wanted.compactMap { column, title -> HeatMap? in
            guard let place = table.column(column) else { return nil }
            var values = [[Double?]](
                repeating: [Double?](repeating: nil, count: across.count), count: lines.count)
            for row in rows {
                guard let a = table.text(row, columns.a).flatMap({ lines.firstIndex(of: $0) }),
                    let b = table.text(row, columns.b).flatMap({ across.firstIndex(of: $0) })
                else { continue }
                values[a][b] = table.number(row, place)
            }
            return HeatMap(
                title: title, rowLabels: lines, columnLabels: across, values: values,
                scale: column == "cosine" ? .diverging(middle: 0, reach: 1) : .sequential(low: 0, high: 1))
        }
        return .init(
            "Directions", [.paragraph("Each row against each column; mean over all sites."), .figures(figures)])
    }
}
