import Diagnostics
import Evaluation
import Reports
import Routing
import Tensors
import WeightFiles

/// A router's table, and how the router shared the experts.
struct RouterTable {
    let table: RoutingTable
    let quality: RoutingQuality
    let robustness: Robustness?
}

/// What `router train` and `router eval` report.
struct RouterOutcome {
    let name: String
    let router: TrainedRouter
    let experts: [String]
    let taskNames: [String]
    let suite: String
    let samples: Int
    var table: RouterTable?
    var folder: String?
    var identity: String?

    init(
        name: String, router: TrainedRouter, experts: [String], taskNames: [String], suite: String, samples: Int
    ) {
        self.name = name
        self.router = router
        self.experts = experts
        self.taskNames = taskNames
        self.suite = suite
        self.samples = samples
    }

    // MARK: JSON

    var document: JSONValue {
        let quality = table?.quality
        return .document(
            "router",
            [
                .init("router", .string(identity ?? name)), .init("n_train", .integer(samples)),
                .init("seconds_train", .double(router.log.seconds)), .init("results", .array(rows)),
                .init("load", numbers(quality?.load)), .init("entropy", .optional(quality?.entropy)),
                .init("mutual_information", .optional(quality?.taskInformation)),
                .init("specialisation", .array((quality?.specialisation ?? []).map { numbers($0) })),
                .init("name", .string(name)), .init("suite", .string(suite)), .init("experts", .texts(experts)),
                .init("tasks", .texts(taskNames)), .init("path", .optional(folder)),
                .init("seed", .number(String(router.setup.training.seed))),
                .init("parameters", .integer(router.model.count)),
                .init("chosen_step", .integer(router.log.chosenStep)),
                .init("validation", .array(router.log.validations.map(validation))),
                .init("quality", qualityDocument), .init("beats", .texts(table?.table.beaten ?? [])),
            ] + robustnessFields + [
                .init("dense_to_sparse_gap", .optional(table?.table.denseToSparseGap))
            ])
    }

    /// What the router's file keeps.
    var metrics: JSONValue {
        .object([.init("results", .array(rows)), .init("seconds_train", .double(router.log.seconds))])
    }

    private var rows: [JSONValue] {
        (table?.table.rows ?? []).map { row in
            let found = row.result.predictions
            let tally = found.tally
            let interval = Interval.wilson(correct: tally.correctGlobal, count: tally.count)
            return .object([
                .init("subject", .string(found.label)), .init("acc_global", .optional(tally.accuracyGlobal)),
                .init(
                    "per_task",
                    .object(zip(taskNames, tally.accuracyPerTask).map { .init($0, .optional($1)) })),
                .init("acc_local", .optional(tally.accuracyLocal)),
                .init("correct_global", .integer(tally.correctGlobal)), .init("n", .integer(tally.count)),
                .init("ci_low", .optional(interval?.low)), .init("ci_high", .optional(interval?.high)),
                .init("seconds", .double(found.seconds)), .init("normalised", .optional(row.normalised)),
                .init("difference", .optional(row.difference?.difference)),
                .init("difference_low", .optional(row.difference?.interval.low)),
                .init("difference_high", .optional(row.difference?.interval.high)),
                .init("detail", .string(row.result.detail)),
            ])
        }
    }

    private var qualityDocument: JSONValue {
        guard let quality = table?.quality else { return .null }
        return .object([
            .init("importance", numbers(quality.importance)), .init("usage", numbers(quality.usage)),
            .init("relative_entropy", .double(quality.relativeEntropy)),
            .init("maximum_to_mean", .double(quality.maximumToMean)), .init("variation", .double(quality.variation)),
            .init("input_information", .double(quality.inputInformation)),
            .init("input_variance", .double(quality.inputVariance)),
            .init("oracle_agreement", .optional(quality.oracleAgreement)),
            .init("effective_experts", .double(quality.effectiveExperts)),
            .init("expected_experts", .integer(quality.expectedExperts)),
            .init("collapsed", .bool(quality.isCollapsed)),
        ])
    }

    private func validation(_ record: ValidationRecord) -> JSONValue {
        .object([
            .init("fold", .integer(record.fold)), .init("step", .integer(record.step)),
            .init("accuracy", .double(record.accuracy)), .init("loss", .double(record.loss)),
        ])
    }

    private func numbers(_ values: [Double]?) -> JSONValue { .array((values ?? []).map(JSONValue.double)) }

    // MARK: Files

    /// The log as JSON lines and the result.
    func write(into folder: AtomicFolder) throws {
        let lines = router.log.steps.map { record -> String in
            JSONValue.object([
                .init("stage", .string(record.stage)), .init("step", .integer(record.step)),
                .init("lr", .double(record.learningRate)), .init("gradient_norm", .double(record.gradientNorm)),
                .init(
                    "terms",
                    .object(
                        record.terms.map {
                            .init(
                                $0.name,
                                .object([
                                    .init("value", .double($0.value)), .init("weighted", .double($0.weighted)),
                                ]))
                        })),
            ]).text()
        }
        let text = lines.joined(separator: "\n") + "\n"
        try AtomicFile.write(Array(text.utf8), to: folder.file("log.jsonl"))
        try AtomicFile.write(Array((document.text(.indented(2)) + "\n").utf8), to: folder.file("result.json"))
    }

    // MARK: Text

    func text(_ session: Session) -> String {
        var text = ""
        if let table { text += session.rendered(tableText(table.table)) + sharingText(table) }
        let log = router.log
        if !log.steps.isEmpty {
            let seconds = (log.seconds * 10).rounded() / 10
            text += "trained on \(samples) samples in \(seconds) s; best in validation at step \(log.chosenStep)\n"
        }
        if let folder { text += "router in \(session.shown(folder))\n" }
        return text
    }

    private func tableText(_ table: RoutingTable) -> TerminalTable {
        var rows = TerminalTable([
            .text("SUBJECT", shrinks: true), .number("GLOBAL %"), .number("LOCAL %"), .number("NORMALISED"),
            .number("ROUTER −"), .number("95 %"), .text("", shrinks: true),
        ])
        for row in table.rows {
            let tally = row.result.predictions.tally
            let interval = row.difference.map {
                Quantities.fixed($0.interval.low * 100, 2) + " … " + Quantities.fixed($0.interval.high * 100, 2)
            }
            rows.add([
                row.label, percent(tally.accuracyGlobal), percent(tally.accuracyLocal),
                row.normalised.map { Quantities.fixed($0, 3) } ?? "–", percent(row.difference?.difference),
                interval ?? "–", (row.isBeaten ? "beaten  " : "") + row.result.detail,
            ])
        }
        return rows
    }

    private func sharingText(_ table: RouterTable) -> String {
        let (quality, main) = (table.quality, table.table.main)
        func fixed(_ value: Double) -> String { Quantities.fixed(value, 3) }
        var text = "\(main) shares \(experts.count) experts: \(fixed(quality.effectiveExperts)) in effect, "
        text += "entropy \(fixed(quality.entropy)) nats (\(fixed(quality.relativeEntropy)) of the largest), "
        text +=
            "largest load \(fixed(quality.maximumToMean)) × mean, I(task; expert) \(fixed(quality.taskInformation)) nats"
        if let agreement = quality.oracleAgreement { text += ", oracle agreement \(percent(agreement)) %" }
        text += "\n"
        if quality.isCollapsed {
            text += "WARNING: THE ROUTER HAS COLLAPSED: \(fixed(quality.effectiveExperts)) experts in effect, where "
            text += "the tasks call for \(quality.expectedExperts)\n"
        }
        text += robustnessText(table.robustness)
        guard table.table.rows.contains(where: { !$0.isRouter }) else { return text }
        let beaten = table.table.beaten
        text +=
            beaten.isEmpty
            ? "\(main) beats no baseline for sure\n" : "\(main) beats \(beaten.joined(separator: ", "))\n"
        return text
    }

    func percent(_ share: Double?) -> String {
        share.map { Quantities.fixed($0 * 100, 2) } ?? "–"
    }
}
