import Diagnostics
import Evaluation
import Reports
import Routing
import Tensors
import WeightFiles

/// What the subjects of a router's table made of the suite's samples.
struct RouterTable {
    let predictions: [RoutedPredictions]
    /// The subject that the router was set up for.
    let main: String
    let labels: [Int]
    let tasks: TaskMap

    /// The router as it was set up, then in its other modes, the backbone, and the expert of each sample's task.
    static func subjects(
        _ router: TrainedRouter, _ evaluation: RoutedEvaluation, _ samples: RoutedSamples
    ) -> [RoutingSubject] {
        let experts = evaluation.experts.count
        var routings = [router.setup.routing]
        for k in [1, 2, 3] where k < experts {
            var routing = router.setup.routing
            (routing.mode, routing.k, routing.topP) = (.topk, k, nil)
            routings.append(routing)
        }
        var soft = router.setup.routing
        (soft.mode, soft.topP) = (.soft, nil)
        routings.append(soft)
        var labels: Set<String> = []
        var result = routings.map { router.subject($0) }.filter { labels.insert($0.label).inserted }
        result.append(RoutingSubject(label: "backbone", kind: .backbone))
        var weights = Matrix<Float>(rows: samples.count, columns: experts)
        for (row, label) in samples.encoded.labels.enumerated() {
            if let expert = router.tasks.expert(ofClass: label) { weights[row, expert] = 1 }
        }
        if router.tasks.taskOfExpert.contains(where: { $0 != nil }) {
            result.append(RoutingSubject(label: "oracle-task", kind: .given(weights)))
        }
        return result
    }

    /// How the main subject shared the experts.
    var summary: RoutingSummary? {
        guard let weights = predictions.first(where: { $0.label == main })?.weights else { return nil }
        return RoutingSummary(
            weights: weights, tasks: labels.map { tasks.taskOfClass[$0] }, taskCount: tasks.tasks.count)
    }
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
        let summary = table?.summary
        return .document(
            "router",
            [
                .init("router", .string(identity ?? name)), .init("n_train", .integer(samples)),
                .init("seconds_train", .double(router.log.seconds)), .init("results", .array(rows)),
                .init("load", numbers(summary?.load)), .init("entropy", .optional(summary?.entropy)),
                .init("mutual_information", .optional(summary?.mutualInformation)),
                .init("specialisation", .array((summary?.specialisation ?? []).map { numbers($0) })),
                .init("name", .string(name)), .init("suite", .string(suite)), .init("experts", .texts(experts)),
                .init("tasks", .texts(taskNames)), .init("path", .optional(folder)),
                .init("seed", .number(String(router.setup.training.seed))),
                .init("parameters", .integer(router.model.count)),
                .init("chosen_step", .integer(router.log.chosenStep)),
                .init("validation", .array(router.log.validations.map(validation))),
            ])
    }

    /// What the router's file keeps.
    var metrics: JSONValue {
        .object([.init("results", .array(rows)), .init("seconds_train", .double(router.log.seconds))])
    }

    private var rows: [JSONValue] {
        (table?.predictions ?? []).map { found in
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
                .init("seconds", .double(found.seconds)),
            ])
        }
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
        if let table {
            var rows = TerminalTable([.text("SUBJECT", shrinks: true), .number("GLOBAL %"), .number("LOCAL %")])
            for found in table.predictions {
                rows.add([
                    found.label, percent(found.tally.accuracyGlobal), percent(found.tally.accuracyLocal),
                ])
            }
            text += session.rendered(rows)
        }
        let log = router.log
        if !log.steps.isEmpty {
            let seconds = (log.seconds * 10).rounded() / 10
            text += "trained on \(samples) samples in \(seconds) s; best in validation at step \(log.chosenStep)\n"
        }
        if let folder { text += "router in \(session.shown(folder))\n" }
        return text
    }

    private func percent(_ share: Double?) -> String {
        share.map { Quantities.fixed($0 * 100, 2) } ?? "–"
    }
}
