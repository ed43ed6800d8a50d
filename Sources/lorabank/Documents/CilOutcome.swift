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
                    .init("seeds", .array(configuration.trainSeeds.map { .number(String($0)) })),
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
            .init("rule", .string(runs.first?.rule ?? "none")),
            .init("head", .string((configuration.head.kinds.first ?? .linear).rawValue)),
        ]
    }

    private func entry(_ run: RunOutcome) -> [JSONValue.Member] {
        [.init("run", .string(run.folder)), .init("id", .string(run.runID)), .init("seed", .number(String(run.seed)))]
            + common
            + [.init("accuracy_matrix", matrix([run]))] + numbers([run])
            + [
                .init("heads", heads([run])), .init("seconds", .double(run.seconds)),
                .init("recency_rate", .optional(run.main?.steps.last?.recencyRate)),
                .init(
                    "train_milliseconds_per_sample",
                    .optional(
                        run.trainedSamples > 0 ? run.trainingSeconds * 1000 / Double(run.trainedSamples) : nil)),
                .init("fwt", .optional(run.main?.fwt)), .init("warnings", .texts(run.warnings)),
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
        let kinds = runs.first?.metrics.map(\.head) ?? []
        return .object(
            kinds.enumerated().map { index, kind in
                let matrices = runs.map { $0.metrics[index].metrics.matrix }
                return .init(
                    kind,
                    .object([
                        .init("last", .optional(mean(matrices.map(\.last)))),
                        .init("avg_incremental", .optional(mean(matrices.map(\.averageIncremental)))),
                        .init("forgetting", .optional(mean(matrices.map(\.forgetting)))),
                        .init("bwt", .optional(mean(matrices.map(\.bwt)))),
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
            for (index, head) in run.metrics.enumerated() {
                table.add([
                    "\(run.seed)", head.head, percent(head.metrics.matrix.last),
                    percent(head.metrics.matrix.averageIncremental),
                    percent(head.metrics.matrix.forgetting), percent(head.metrics.matrix.bwt),
                    index == 0 ? percent(run.main?.steps.last?.recencyRate) : "",
                ])
            }
        }
        let failed = runs.reduce(0) { $0 + $1.invariantsFailed }
        let passed = runs.reduce(0) { $0 + $1.invariantsPassed }
        var text = session.rendered(table)
        text += "\(configuration.structure.rawValue), rule \(runs.first?.rule ?? "none"); "
        text += "\(passed) invariants hold, \(failed) do not; \(adapters.count) adapters in the bank\n"
        if runs.contains(where: { $0.isLeaky }) { text += "LEAKY: the winner was chosen on test data\n" }
        return text
    }

    private func percent(_ share: Double?) -> String { share.map { Quantities.fixed($0 * 100, 2) } ?? "–" }
}
