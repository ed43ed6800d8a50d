import Evaluation
import Foundation
import WeightFiles

/// Records of a trace as lines of JSON. Numbers are rounded to 1e-4, so that a trace is the same on every run.
struct TraceLines {
    let experts: Int
    let options: TraceOptions
    let taskNames: [String]

    /// Token records by router and token, then the sample's record.
    ///
    /// - Parameter name: the sample's place in the split.
    func records(_ trace: SampleTrace, name: Int, task: Int?, label: Int) -> [JSONValue] {
        guard options.aggregation != .task else { return [] }
        var result: [JSONValue] = []
        if options.aggregation == .none {
            for site in trace.sites where options.routers.isEmpty || options.routers.contains(site.router) {
                for row in 0..<min(site.rows, options.tokens ?? site.rows) { result.append(token(site, row, name)) }
            }
        }
        result.append(
            .object([
                .init("type", .string("sample")), .init("s", .integer(name)),
                .init("task", task.map { .string(taskNames[$0]) } ?? .null),
                .init("pred", .integer(trace.prediction)), .init("label", .integer(label)),
                .init("load", .array(trace.load.map(Self.number))), .init("h", Self.number(trace.entropy)),
            ]))
        return result
    }

    private func token(_ site: SampleTrace.Site, _ row: Int, _ name: Int) -> JSONValue {
        let w = Array(site.w[row * experts..<(row + 1) * experts])
        let p = Array(site.p[row * experts..<(row + 1) * experts])
        let used = w.indices.filter { w[$0] != 0 }.sorted { (-w[$0], $0) < (-w[$1], $1) }
        let ordered = p.sorted(by: >)
        var members: [JSONValue.Member] = [
            .init("type", .string("token")), .init("s", .integer(name)), .init("t", .integer(row)),
            .init("site", .string(site.router)), .init("e", .array(used.map(JSONValue.integer))),
            .init("w", .array(used.map { Self.number(Double(w[$0])) })),
        ]
        if options.probabilities { members.append(.init("p", .array(p.map { Self.number(Double($0)) }))) }
        members.append(.init("h", Self.number(site.entropy(row))))
        members.append(.init("margin", Self.number(Double(ordered[0] - (ordered.count > 1 ? ordered[1] : 0)))))
        return .object(members)
    }

    /// The summary without digests.
    func summary(_ quality: RoutingQuality) -> [JSONValue.Member] {
        func pairs(_ keys: [String], _ values: [Double]) -> JSONValue {
            .object(zip(keys, values).map { .init($0, Self.number($1)) })
        }
        return [
            .init("type", .string("summary")),
            .init(
                "load",
                .object([
                    .init("weights", .array(quality.load.map(Self.number))),
                    .init("importance", .array(quality.importance.map(Self.number))),
                    .init("usage", .array(quality.usage.map(Self.number))),
                ])),
            .init(
                "entropy",
                pairs(["mean", "relative"], [quality.entropy, quality.relativeEntropy])),
            .init("S", .array(quality.specialisation.map { .array($0.map(Self.number)) })),
        ]
    }

    static func number(_ value: Double) -> JSONValue {
        let text = String(format: "%.4f", value)
        return .number(text == "-0.0000" ? "0.0000" : text)
    }
}
