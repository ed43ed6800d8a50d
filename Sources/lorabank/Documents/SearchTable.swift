import Diagnostics
import Foundation
import Reports

/// The table that `recipe search --table` leaves, read again for its figures.
struct SearchTable {
    struct Trial {
        var values: [String]
        var score: Double
    }

    let keys: [String]
    let trials: [Trial]

    /// - Throws: `io.not_found`, `usage.bad_argument` for a file that is no table of a search.
    init(path: String) throws {
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw Failure(.ioNotFound, "no such file", path: path)
        }
        let rows = SearchTable.rows(String(decoding: bytes, as: UTF8.self))
        guard let heading = rows.first, heading.first == "trial", let score = heading.firstIndex(of: "score"), score > 1
        else {
            throw Failure(
                .usageBadArgument, "this is no table of a search: it does not begin with trial, …, score", path: path,
                hint: "`lorabank recipe search RECIPE --table FILE.csv` writes one; a run is plotted from its folder")
        }
        keys = Array(heading[1..<score])
        trials = try rows.dropFirst().enumerated().map { index, row in
            guard row.count == heading.count, let value = Double(row[score]) else {
                throw Failure(
                    .usageBadArgument, "line \(index + 2) has no score or another number of cells", path: path,
                    hint: "search again and write the table anew")
            }
            return Trial(values: Array(row[1..<score]), score: value)
        }
    }

    /// Cells of RFC 4180 text; a quoted cell may hold commas and doubled quotes.
    static func rows(_ text: String) -> [[String]] {
        var rows: [[String]] = []
        var (row, cell, quoted) = ([String](), "", false)
        var rest = Substring(text.replacing("\r\n", with: "\n"))
        while let character = rest.popFirst() {
            switch character {
            case "\"" where quoted && rest.first == "\"":
                rest.removeFirst()
                cell.append(character)
            case "\"": quoted.toggle()
            case "," where !quoted:
                row.append(cell)
                cell = ""
            case "\n" where !quoted:
                rows.append(row + [cell])
                (row, cell) = ([], "")
            default: cell.append(character)
            }
        }
        return cell.isEmpty && row.isEmpty ? rows : rows + [row + [cell]]
    }

    // MARK: Figures

    var figures: [any Figure] {
        [course] + keys.indices.map(along) + (keys.count == 2 ? [map] : [])
    }

    /// Every candidate in its order, and the best so far.
    private var course: LineChart {
        var best = -Double.infinity
        let found = trials.enumerated().map { index, trial -> LineChart.Point in
            best = max(best, trial.score)
            return .init(Double(index), best)
        }
        let scores = trials.enumerated().map { LineChart.Point(Double($0.offset), $0.element.score) }
        return LineChart(
            title: "search", xTitle: "candidate", yTitle: "score",
            series: [.init("candidate", scores), .init("best so far", found)])
    }

    /// Mean score over one setting with the reach of the scores; words stand at 0, 1, … in the order of their first use.
    private func along(_ key: Int) -> any Figure {
        let groups = groups(key)
        let points = groups.enumerated().map { index, group in
            LineChart.Point(
                Double(group.value) ?? Double(index), mean(group.scores), low: group.scores.min(),
                high: group.scores.max())
        }
        let axis =
            groups.allSatisfy { Double($0.value) != nil } ? keys[key] : groups.map(\.value).joined(separator: ", ")
        return LineChart(
            title: "score over \(keys[key])", xTitle: axis, yTitle: "score", series: [.init(keys[key], points)],
            hasWholeX: false)
    }

    /// Mean score over two settings.
    private var map: any Figure {
        let (rows, columns) = (groups(0).map(\.value), groups(1).map(\.value))
        let values = rows.map { row in
            columns.map { column in
                let scores = trials.filter { $0.values == [row, column] }.map(\.score)
                return scores.isEmpty ? nil : mean(scores)
            }
        }
        let known = values.flatMap { $0 }.compactMap { $0 }
        return HeatMap(
            title: "score over \(keys[0]) and \(keys[1])", rowLabels: rows.map { "\(keys[0]) \($0)" },
            columnLabels: columns.map { "\(keys[1]) \($0)" }, values: values,
            scale: .sequential(low: known.min() ?? 0, high: known.max() ?? 1), decimals: 3)
    }

    private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }

    private func groups(_ key: Int) -> [(value: String, scores: [Double])] {
        var groups: [(value: String, scores: [Double])] = []
        for trial in trials {
            if let index = groups.firstIndex(where: { $0.value == trial.values[key] }) {
                groups[index].scores.append(trial.score)
            } else {
                groups.append((trial.values[key], [trial.score]))
            }
        }
        return groups.sorted { (Double($0.value) ?? 0) < (Double($1.value) ?? 0) }
    }
}
