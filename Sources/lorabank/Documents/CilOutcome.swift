import ContinualLearning
import Reports
import WeightFiles

/// What `cil run` found, as JSON and text.
struct CilOutcome {
    var configuration: RunConfiguration
    var folder: String
    var runs: [RunOutcome]
    var adapters: [String]

    var document: JSONValue {
        .document(
            "cil",
            [.init("run", .string(folder))] + common
                + [
                    .init("seeds", .array(configuration.seeds.map { .number(String($0)) })),
                    .init("accuracy_matrix", matrix(runs)),
                ] + numbers(runs)
                + [
                    .init("adapters", .texts(adapters)), .init("heads", heads(runs)),
                    .init("runs", .array(runs.map { .object(entry($0)) })),
                    .init("leaky", .bool(runs.contains { $0.isLeaky })),
                    .init("seconds", .double(runs.reduce(0) { $0 + $1.seconds })),
                ])
    }

    private var common: [JSONValue.Member] {
        [
            .init("structure", .string(configuration.structure.rawValue)),
            .init("rule", .string(configuration.consolidation.rule?.id ?? "ta")),
            .init("head", .string(configuration.head.kind.rawValue)),
        ]
    }

    private func entry(_ run: RunOutcome) -> [JSONValue.Member] {
        [.init("run", .string(run.folder)), .init("seed", .number(String(run.seed)))] + common
            + [.init("accuracy_matrix", matrix([run]))] + numbers([run])
            + [
                .init("heads", heads([run])), .init("seconds", .double(run.seconds)),
                .init("recency_rate", .optional(run.final.recencyRate)),
                .init(
                    "train_milliseconds_per_sample",
                    .optional(
                        run.trainedSamples > 0 ? run.trainingSeconds * 1000 / Double(run.trainedSamples) : nil)),
                .init(
                    "test_readings",
                    .object(run.testReadings.sorted { $0.key < $1.key }.map { .init($0, .integer($1)) })),
            ]
    }

    /// Means over seeds; undefined entries are null.
    private func matrix(_ runs: [RunOutcome]) -> JSONValue {
        let tasks = runs.map(\.matrix.taskCount).max() ?? 0
        let width = runs.map(\.matrix.testCounts.count).max() ?? 0
        return .array(
            (0..<tasks).map { i in
                .array((0..<width).map { j in .optional(mean(runs.map { $0.matrix[after: i, on: j] })) })
            })
    }

    private func numbers(_ runs: [RunOutcome]) -> [JSONValue.Member] {
        [
            .init("last", .optional(mean(runs.map(\.matrix.last)))),
            .init("avg_incremental", .optional(mean(runs.map(\.matrix.averageIncremental)))),
            .init("forgetting", .optional(mean(runs.map(\.matrix.forgetting)))),
            .init("bwt", .optional(mean(runs.map(\.matrix.bwt)))),
            .init(
                "invariants",
                .object([
                    .init("passed", .integer(runs.reduce(0) { $0 + $1.invariantsPassed })),
                    .init("failed", .integer(runs.reduce(0) { $0 + $1.invariantsFailed })),
                ])),
        ]
    }

    private func heads(_ runs: [RunOutcome]) -> JSONValue {
        let kinds = runs.first?.heads.map(\.kind) ?? []
        return .object(
            kinds.enumerated().map { index, kind in
                .init(
                    kind.rawValue,
                    .object([
                        .init("last", .optional(mean(runs.map { $0.heads[index].matrix.last }))),
                        .init(
                            "avg_incremental", .optional(mean(runs.map { $0.heads[index].matrix.averageIncremental }))),
                        .init("forgetting", .optional(mean(runs.map { $0.heads[index].matrix.forgetting }))),
                    ]))
            })
    }

    private func mean(_ values: [Double?]) -> Double? {
        let known = values.compactMap { $0 }
        return known.count == values.count && !known.isEmpty ? known.reduce(0, +) / Double(known.count) : nil
    }

    // MARK: Text

    func text(_ session: Session) -> String {
        var table = TerminalTable([
            .text("SEED"), .text("HEAD"), .number("LAST %"), .number("AVG INC %"), .number("FORGETTING"),
            .number("BWT"), .number("RECENCY"),
        ])
        for run in runs {
            for (index, head) in run.heads.enumerated() {
                table.add([
                    "\(run.seed)", head.kind.rawValue, percent(head.matrix.last),
                    percent(head.matrix.averageIncremental),
                    percent(head.matrix.forgetting), percent(head.matrix.bwt),
                    index == 0 ? percent(run.final.recencyRate) : "",
                ])
            }
        }
        let failed = runs.reduce(0) { $0 + $1.invariantsFailed }
        let passed = runs.reduce(0) { $0 + $1.invariantsPassed }
        var text = session.rendered(table)
        text += "\(configuration.structure.rawValue), rule \(configuration.consolidation.rule?.id ?? "ta"); "
        text += "\(passed) invariants hold, \(failed) do not; \(adapters.count) adapters in the bank\n"
        if runs.contains(where: { $0.isLeaky }) { text += "LEAKY: the winner was chosen on test data\n" }
        return text
    }

    private func percent(_ share: Double?) -> String { share.map { Quantities.fixed($0 * 100, 2) } ?? "–" }
}
