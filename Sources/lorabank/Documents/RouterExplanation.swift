import Reports
import Routing
import WeightFiles

/// Where an expert comes from and who let it in.
struct ExpertProvenance {
    var id: String
    var digest: String
    var state = "none"
    var source: String?
    var licence: String?
    var approver: String?
    var approvedAt: String?

    init(id: String, digest: String) {
        self.id = id
        self.digest = digest
    }

    var json: JSONValue {
        .object([
            .init("id", .string(id)), .init("sha256", .string(digest)), .init("state", .string(state)),
            .init("source", .optional(source)), .init("licence", .optional(licence)),
            .init("approved_by", .optional(approver)), .init("approved_at", .optional(approvedAt)),
        ])
    }
}

/// `router explain`: one decision as JSON, text and page.
struct RouterExplanation {
    let explanation: Explanation
    let place: Int
    let router: String
    let experts: [String]
    let classNames: [String]
    /// Of the text; nil for images.
    let tokens: [String]?
    let task: String?
    let provenance: [ExpertProvenance]

    private var trace: SampleTrace { explanation.trace }

    /// Mean weight [token][expert] over the routers that decide per token; empty when none does.
    private var tokenWeights: [[Double]] {
        let sites = trace.sites.filter { $0.rows > 1 }
        guard let rows = sites.map(\.rows).max() else { return [] }
        return (0..<rows).map { row in
            let own = sites.filter { row < $0.rows }
            return experts.indices.map { expert in
                own.reduce(0.0) { $0 + Double($1.w[row * experts.count + expert]) } / Double(max(1, own.count))
            }
        }
    }

    private var layers: [(label: String, weights: [Double])] {
        trace.loadByLayer.sorted { $0.key < $1.key }.map { (LayerLoads.name($0.key), $0.value) }
    }

    private func token(_ row: Int) -> String {
        if let tokens, row < tokens.count { return "\(row) \(tokens[row])" }
        return "row \(row)"
    }

    func document(html: String?) -> JSONValue {
        let load = trace.load
        func numbers(_ values: [Double]) -> JSONValue { .array(values.map(JSONValue.double)) }
        return .document(
            "router_explain",
            [
                .init("router", .string(router)), .init("sample", .integer(place)), .init("task", .optional(task)),
                .init("label", .string(classNames[explanation.label])),
                .init("prediction", .string(classNames[trace.prediction])), .init("loss", .double(explanation.loss)),
                .init("backbone_prediction", .string(classNames[explanation.backbonePrediction])),
                .init("backbone_loss", .double(explanation.backboneLoss)), .init("experts", .texts(experts)),
                .init("load", numbers(load)), .init("entropy", .double(trace.entropy)),
                .init(
                    "layers",
                    .array(
                        layers.map { .object([.init("layer", .string($0.label)), .init("load", numbers($0.weights))]) })
                ),
                .init(
                    "tokens",
                    .array(
                        tokenWeights.enumerated().map { row, weights in
                            .object([.init("token", .string(token(row))), .init("load", numbers(weights))])
                        })),
                .init("counterfactuals", .array(explanation.counterfactuals.map(counterfactual))),
                .init("provenance", .array(provenance.map(\.json))), .init("html", .optional(html)),
            ])
    }

    private func counterfactual(_ without: Explanation.Counterfactual) -> JSONValue {
        .object([
            .init("expert", .string(experts[without.expert])),
            .init("share", .double(trace.load[without.expert])),
            .init("prediction", .string(classNames[without.prediction])), .init("loss", .double(without.loss)),
            .init("effect", .double(without.effect)),
        ])
    }

    func text(_ session: Session) -> String {
        let right = trace.prediction == explanation.label ? "right" : "wrong"
        var text = "sample \(place): \(session.shown(classNames[trace.prediction])) (\(right)"
        if trace.prediction != explanation.label { text += ", is \(session.shown(classNames[explanation.label]))" }
        text += "), loss \(fixed(explanation.loss)); backbone: "
        text +=
            session.shown(classNames[explanation.backbonePrediction]) + ", loss \(fixed(explanation.backboneLoss))\n\n"
        var table = TerminalTable([
            .text("EXPERT"), .number("SHARE %"), .text("WITHOUT IT"), .number("LOSS"), .number("EFFECT"),
            .text("STATE"),
            .text("LICENCE"), .text("APPROVED BY"), .text("SOURCE", shrinks: true),
        ])
        for without in explanation.counterfactuals {
            let from = provenance[without.expert]
            table.add([
                experts[without.expert], Quantities.fixed(trace.load[without.expert] * 100, 1),
                classNames[without.prediction], fixed(without.loss), fixed(without.effect), from.state,
                from.licence ?? "–", from.approver.map { $0 + " " + (from.approvedAt ?? "") } ?? "–",
                from.source ?? "–",
            ])
        }
        text += session.rendered(table)
        text += "\n" + session.rendered(shares("LAYER", layers))
        if !tokenWeights.isEmpty {
            text += "\n" + session.rendered(shares("TOKEN", tokenWeights.enumerated().map { (token($0), $1) }))
        }
        return text
    }

    /// The strongest experts of each row.
    private func shares(_ heading: String, _ rows: [(label: String, weights: [Double])]) -> TerminalTable {
        var table = TerminalTable([.text(heading), .text("EXPERTS", shrinks: true)])
        for row in rows {
            let used = row.weights.indices.filter { row.weights[$0] >= 0.005 }.sorted {
                (-row.weights[$0], $0) < (-row.weights[$1], $1)
            }
            table.add([
                row.label,
                used.prefix(4).map { "\(experts[$0]) \(Quantities.fixed(row.weights[$0] * 100, 0)) %" }.joined(
                    separator: ", "),
            ])
        }
        return table
    }

    private func fixed(_ value: Double) -> String { Quantities.fixed(value, 3) }

    func page(title: String, origin: String) -> String {
        let answer =
            "Answer: \(classNames[trace.prediction]) "
            + "(\(trace.prediction == explanation.label ? "right" : "wrong")); label: \(classNames[explanation.label]); backbone: "
            + "\(classNames[explanation.backbonePrediction])."
        var sections = [HTMLPage.Section("Answer", [.paragraph(answer)])]
        sections.append(
            .init(
                "Without one expert",
                [
                    .table(
                        HTMLPage.Table(
                            heading: [
                                "expert", "share", "answer without it", "loss", "effect", "state", "licence",
                                "approved by", "source",
                            ],
                            rows: explanation.counterfactuals.map { without in
                                let from = provenance[without.expert]
                                return [
                                    experts[without.expert], fixed(trace.load[without.expert]),
                                    classNames[without.prediction], fixed(without.loss), fixed(without.effect),
                                    from.state, from.licence ?? "–", from.approver ?? "–", from.source ?? "–",
                                ]
                            }, numeric: [1, 3, 4])),
                    .paragraph("Effect: loss without the expert minus loss with it; above zero when it helped."),
                ]))
        if !tokenWeights.isEmpty {
            let strip = HeatMap(
                title: "Mean weight of each expert by token", rowLabels: experts,
                columnLabels: tokenWeights.indices.map(token),
                values: experts.indices.map { expert in tokenWeights.map { Optional($0[expert]) } },
                scale: .sequential(low: 0, high: 1))
            sections.append(.init("Tokens", [.figure(strip)]))
        }
        let page = RouterPage(experts: experts, taskNames: [])
        sections.append(.init("Layers", [.figure(page.layerMap(layers))]))
        return HTMLPage(title: title, origin: origin, sections: sections, data: document(html: nil).text()).html
    }
}
