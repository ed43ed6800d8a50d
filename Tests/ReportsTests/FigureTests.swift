import Foundation
import Testing

@testable import Reports

@Suite struct FigureTests {
    static let line = LineChart(
        title: "Accuracy <seen>", xTitle: "after task", yTitle: "accuracy",
        series: [
            .init(
                "chain & ta", [.init(0, 0.99, low: 0.98, high: 1), .init(1, 0.8, low: 0.7, high: 0.9), .init(2, nil)]),
            .init("joint", [.init(0, 0.99), .init(1, 0.98), .init(2, 0.97)]),
        ])
    static let bars = BarChart(
        title: "Ablation", yTitle: "accuracy", groups: ["task 0", "task 1"], series: ["combined", "slow only"],
        bars: [[.init(0.9, low: 0.8, high: 0.95), .init(0.5)], [.init(nil), .init(-0.2)]])
    static let intervals = IntervalChart(
        title: "Differences", xTitle: "points", rows: [.init("chain", 1.5, low: 0.5, high: 2.5), .init("single", nil)],
        references: [("backbone", 0)])
    static let timeline = Timeline(
        title: "Winners", xTitle: "task", lanes: ["expert 0", "expert 1"], places: ["0", "1"],
        cells: [.init(lane: 0, place: 0, text: "0.97", isChosen: true), .init(lane: 1, place: 0, text: "0.95")])
    static let map = HeatMap(
        title: "Matrix", rowLabels: ["0", "1"], columnLabels: ["0", "1"], values: [[1, nil], [0.5, 0.75]],
        scale: .sequential(low: 0, high: 1))
    static let all: [any Figure] = [line, bars, intervals, timeline, map]

    /// Every element is closed in the order in which it was opened.
    static func isBalanced(_ markup: String) -> Bool {
        var open: [Substring] = []
        var rest = markup[...]
        while let start = rest.firstIndex(of: "<"), let end = rest[start...].firstIndex(of: ">") {
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            if tag.hasPrefix("/") {
                guard open.popLast() == tag.dropFirst() else { return false }
            } else if !tag.hasSuffix("/") {
                open.append(tag.prefix { $0 != " " && $0 != "\n" })
            }
        }
        return open.isEmpty
    }

    @Test func `every figure is one closed element without foreign markup, the same each time`() {
        for figure in Self.all {
            let svg = figure.svg
            #expect(svg.hasPrefix("<svg ") && Self.isBalanced(svg), "\(figure.title)")
            #expect(svg == figure.svg && !svg.contains("nan") && !svg.contains("inf"))
            #expect(!svg.contains("<seen>") && !svg.contains("chain & ta"))
        }
    }

    @Test func `the Vega-Lite document is JSON and holds the table`() throws {
        for figure in Self.all {
            let object = try JSONSerialization.jsonObject(with: Data(figure.vegaLite.utf8)) as? [String: Any]
            let data = try #require(object?["data"] as? [String: Any])
            let values = try #require(data["values"] as? [[String: Any]])
            #expect(values.count == figure.table.rows.count)
            #expect(object?["title"] as? String == figure.title)
            #expect(object?["$schema"] as? String == "https://vega.github.io/schema/vega-lite/v5.json")
        }
    }

    @Test func `tables leave missing numbers empty and quote what needs it`() {
        #expect(Self.map.table.csv == "row,column,value\n0,0,1\n0,1,\n1,0,0.5\n1,1,0.75\n")
        let quoted = FigureTable(columns: ["a,b", "c"], rows: [[.text("say \"x\""), .init(Double.nan)]])
        #expect(quoted.csv == "\"a,b\",c\n\"say \"\"x\"\"\",\n")
    }

    @Test func `axes have round ticks that hold all values`() {
        for values in [[0.1, 0.93], [3, 3], [-5, 1e6], [0, 0], [1e-9, 2e-9]] {
            let axis = Axis(values, start: 0, end: 100)
            #expect(axis.ticks.count >= 2 && axis.ticks.count <= 12, "\(values)")
            #expect(values.allSatisfy { axis.low <= $0 + 1e-12 && $0 <= axis.high + 1e-12 }, "\(values)")
        }
        let logarithmic = Axis([0.003, 20], start: 100, end: 0, logarithmic: true)
        #expect(logarithmic.ticks.map { logarithmic.label($0) } == ["0.0010", "0.010", "0.10", "1.0", "10", "100"])
        #expect(abs(logarithmic.position(1) - 40) < 1e-9)
        let whole = Axis([0, 1, 2], start: 0, end: 10, whole: true)
        #expect(whole.ticks == [0, 1, 2] && whole.label(1) == "1")
        #expect(Axis([0, 0.5], start: 0, end: 1).label(0.3) == "0.3")
    }

    @Test func `a value that is missing draws nothing`() {
        #expect(Self.line.svg.components(separatedBy: "<circle").count - 1 == 5)
        #expect(Self.bars.svg.components(separatedBy: "<title>").count - 1 == 1 + 3)
        let empty = LineChart(title: "Nothing", xTitle: "x", yTitle: "y", series: [])
        #expect(Self.isBalanced(empty.svg) && empty.table.rows.isEmpty)
    }

    @Test func `a page holds figures, notes and lists`() {
        let page = HTMLPage(
            title: "Run", origin: "here",
            sections: [
                .init("All", [.figures(Self.all), .figure(Self.line), .note("<careful>"), .list(["one", "two"])])
            ])
        #expect(page.html.components(separatedBy: "<svg").count - 1 == 6)
        #expect(page.html.contains("&lt;careful&gt;") && page.html.contains("<li>two</li>"))
        #expect(page.html.contains("@media print") && page.html.contains("prefers-color-scheme: dark"))
    }
}
