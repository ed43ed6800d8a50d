import Bank
import Reports
import Routing
import WeightFiles

/// `router collapse`: what became of the router, and what that cost.
struct RouterCollapseResult {
    let router: String
    let experts: [String]
    /// Mean weight of each expert.
    let load: [Double]
    /// Calibration samples.
    let samples: Int
    let rank: Int
    let routed: RoutedPredictions
    let merged: RoutedPredictions
    var path: String?
    var stored: AdapterRow?

    private var lost: Double? {
        guard let before = routed.tally.accuracyGlobal, let after = merged.tally.accuracyGlobal else { return nil }
        return before - after
    }

    var document: JSONValue {
        .document(
            "router_collapse",
            [
                .init("router", .string(router)), .init("experts", .texts(experts)),
                .init("load", .array(load.map(JSONValue.double))), .init("samples", .integer(samples)),
                .init("rank_max", .integer(rank)), .init("n", .integer(routed.tally.count)),
                .init("acc_router", .optional(routed.tally.accuracyGlobal)),
                .init("acc_static", .optional(merged.tally.accuracyGlobal)), .init("lost", .optional(lost)),
                .init("path", .optional(path)), .init("name", .optional(stored?.name)),
                .init("version", .optional(stored?.version)), .init("object", .optional(stored?.object)),
            ])
    }

    func text(_ session: Session) -> String {
        func percent(_ share: Double?) -> String { share.map { Quantities.fixed($0 * 100, 2) } ?? "–" }
        var text = "router \(percent(routed.tally.accuracyGlobal)) %, static adapter "
        text +=
            "\(percent(merged.tally.accuracyGlobal)) %: \(percent(lost)) points lost on \(routed.tally.count) samples\n"
        if let path { text += "adapter of rank \(rank) in \(session.shown(path))\n" }
        if let stored { text += "\(stored.reference) of rank \(rank), made from \(experts.count) experts\n" }
        return text
    }
}
