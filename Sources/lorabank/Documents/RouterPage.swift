import Reports
import Routing
import WeightFiles

/// Mean mixing weight of each expert in each layer, over many samples.
struct LayerLoads {
    private let experts: Int
    private var sums: [Int: (weights: [Double], samples: Int)] = [:]

    init(experts: Int) { self.experts = experts }

    mutating func add(_ trace: SampleTrace) {
        for (layer, load) in trace.loadByLayer {
            var entry = sums[layer] ?? (Array(repeating: 0, count: experts), 0)
            for expert in 0..<experts { entry.weights[expert] += load[expert] }
            entry.samples += 1
            sums[layer] = entry
        }
    }

    /// Layer (−1: the whole network) and the weights there.
    var rows: [(label: String, weights: [Double])] {
        sums.sorted { $0.key < $1.key }.map { layer, entry in
            (LayerLoads.name(layer), entry.weights.map { $0 / Double(max(1, entry.samples)) })
        }
    }

    static func name(_ layer: Int) -> String { layer < 0 ? "all layers" : "layer \(layer)" }
}

/// Heat maps of routing.
struct RouterPage {
    let experts: [String]
    let taskNames: [String]

    /// Task × expert and layer × expert over the samples of a trace.
    func trace(_ quality: RoutingQuality, layers: LayerLoads, title: String, origin: String) -> String {
        // Tasks in the order of their strongest experts: a router that tells tasks apart shows a diagonal.
        let judged = taskNames.indices.filter { !quality.specialisation[$0].isEmpty }.map { task -> (Int, Int) in
            let row = quality.specialisation[task]
            return (row.indices.min { (-row[$0], $0) < (-row[$1], $1) } ?? 0, task)
        }.sorted { $0 < $1 }.map(\.1)
        let tasks = HeatMap(
            title: "Mean weight of each expert by task", rowLabels: judged.map { taskNames[$0] },
            columnLabels: experts, values: judged.map { quality.specialisation[$0].map(Optional.init) },
            scale: .sequential(low: 0, high: 1))
        let facts = HTMLPage.Table(
            heading: ["what", "value"],
            rows: [
                ["experts in effect", Quantities.fixed(quality.effectiveExperts, 2) + " of \(experts.count)"],
                ["mean entropy of a decision, nats", Quantities.fixed(quality.entropy, 3)],
                ["largest load / mean", Quantities.fixed(quality.maximumToMean, 2)],
                ["I(task; expert), nats", Quantities.fixed(quality.taskInformation, 3)],
                ["agreement with the task's expert", quality.oracleAgreement.map { Quantities.fixed($0, 3) } ?? "–"],
            ], numeric: [1])
        var sections: [HTMLPage.Section] = []
        if quality.isCollapsed {
            sections.append(
                .init(
                    "Collapsed",
                    [
                        .paragraph(
                            "Only \(Quantities.fixed(quality.effectiveExperts, 2)) experts do the work, where the "
                                + "tasks call for \(quality.expectedExperts).")
                    ]))
        }
        sections.append(.init("Tasks", judged.isEmpty ? [.paragraph("The samples have no tasks.")] : [.figure(tasks)]))
        sections.append(.init("Layers", [.figure(layerMap(layers.rows))]))
        sections.append(.init("Numbers", [.table(facts)]))
        return HTMLPage(title: title, origin: origin, sections: sections).html
    }

    func layerMap(_ rows: [(label: String, weights: [Double])]) -> HeatMap {
        HeatMap(
            title: "Mean weight of each expert by layer", rowLabels: rows.map(\.label), columnLabels: experts,
            values: rows.map { $0.weights.map(Optional.init) }, scale: .sequential(low: 0, high: 1))
    }
}
