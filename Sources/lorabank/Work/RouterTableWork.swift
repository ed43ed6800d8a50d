import Adapters
import Diagnostics
import Evaluation
import Foundation
import Merging
import Routing
import Settings
import Training

/// What the table of a router holds beside the router.
struct RouterTableOptions {
    /// Names of baselines; nil: all.
    var baselines: [String]?
    /// Recipes of static merges; empty: some methods with their defaults.
    var merges: [String] = []
    /// The router with K = 1, 2, 3 and dense as well.
    var allModes = true
    /// What the router does without each expert, with useless ones, and in another order.
    var robustness = false
    /// Folder where predictions that training does not change are kept.
    var cache: String?

    static let defaultMerges = ["task_arithmetic", "ties", "tsv_m", "iso_c"]
}

/// Fills a router's table: the router in its modes, and everything that it must beat.
struct RouterTableWork {
    let session: Session
    let allowUnapproved: Bool
    let options: RouterTableOptions
    let evaluation: RoutedEvaluation

    /// - Parameters:
    ///   - training: what the router learned from; nil: unknown.
    ///   - references: how the experts are found, for merging them; empty: the experts stand nowhere yet.
    ///   - plan: how the router's products are arranged.
    func table(
        _ router: TrainedRouter, training: LabelledSamples?, references: [String], plan: ExecutionPlan = .auto
    ) throws -> RouterTable {
        let samples = try evaluation.encode(evaluation.loaded.samples())
        let store = try options.cache.map { try PredictionStore(folder: $0, for: evaluation) }
        let seed = router.setup.training.seed
        return try Interruption.cooperatively {
            let book = PredictionBook(
                evaluation, samples, store: store, progress: session.progress,
                isCancelled: { Interruption.isRequested })
            try book.prepareFeatures()
            let baselines = try options.baselines.map(RoutingBaselines.named) ?? RoutingBaselines.standard
            let merges = baselines.contains { $0.id == "merged" } ? try merges(references) : []
            let context = try BaselineContext(
                book, tasks: router.tasks, training: baselines.contains(where: \.needsTraining) ? training : nil,
                merges: merges, seed: seed)
            let own = try self.router(router, book, plan)
            var others: [RoutedResult] = []
            for baseline in baselines {
                session.explain("baseline \(baseline.id)")
                others += try baseline.results(context)
            }
            let robustness =
                options.robustness ? try RobustnessTrial(router, book, training: training).run() : nil
            return RouterTable(
                table: RoutingTable(router: own.results, dense: dense(router), baselines: others, seed: seed),
                quality: own.quality,
                robustness: robustness)
        }
    }

    /// The router as it was set up, with all its decisions, and in its other modes.
    private func router(
        _ router: TrainedRouter, _ book: PredictionBook, _ plan: ExecutionPlan
    ) throws -> (results: [RoutedResult], quality: RoutingQuality) {
        let tasks = evaluation.loaded.tasks
        var tally = RoutingQualityTally(experts: evaluation.experts.count, tasks: router.tasks)
        try TracedPass(evaluation, router: router, scores: false).run(
            book.samples, progress: session.progress, isCancelled: { Interruption.isRequested },
            each: { trace in tally.add(trace, task: tasks.taskOfClass[book.labels[trace.position]]) })
        func result(_ routing: RoutingOptions) throws -> RoutedResult {
            var subject = router.subject(routing)
            subject.plan = plan
            return RoutedResult(try book.predictions(subject))
        }
        var results = [try result(router.setup.routing)]
        var labels: Set<String> = [router.subject().label]
        for routing in options.allModes ? Self.modes(router, experts: evaluation.experts.count) : [] {
            if labels.insert(router.subject(routing).label).inserted { results.append(try result(routing)) }
        }
        return (results, tally.quality)
    }

    /// K = 1, 2, 3 and dense.
    private static func modes(_ router: TrainedRouter, experts: Int) -> [RoutingOptions] {
        let result = [1, 2, 3].filter { $0 < experts }.map { k in
            var routing = router.setup.routing
            (routing.mode, routing.k, routing.topP) = (.topk, k, nil)
            return routing
        }
        return result + [dense(router)]
    }

    /// Every expert with its probability: neither K nor a threshold takes any away.
    private static func dense(_ router: TrainedRouter) -> RoutingOptions {
        var soft = router.setup.routing
        (soft.mode, soft.topP, soft.threshold) = (.soft, nil, 0)
        return soft
    }

    private func dense(_ router: TrainedRouter) -> String { router.subject(Self.dense(router)).label }

    // MARK: Static merges

    private func merges(_ references: [String]) throws -> [BaselineContext.Merge] {
        let work = MergeWork(session: session, allowUnapproved: allowUnapproved)
        var plan = PlanOptions()
        plan.threads = session.threads
        if !options.merges.isEmpty {
            return try options.merges.map { path in
                let name = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
                return .init(name: name, adapter: try work.adapter(of: work.recipe(at: path, []), options: plan))
            }
        }
        guard evaluation.experts.count > 1 else { return [] }
        let scratch = FileManager.default.temporaryDirectory.appending(path: "lorabank-\(UUID().uuidString)").path
        // Weights that were read stay mapped after their name is gone.
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        let references = references.isEmpty ? try evaluation.experts.write(into: scratch) : references
        return try RouterTableOptions.defaultMerges.map { method in
            // Heads that experts bring along do not take part: all subjects answer through the suite's head.
            let recipe = try work.recipe(method: method, references, [SettingOverride("others=mean")])
            return .init(name: method, adapter: try work.adapter(of: recipe, options: plan))
        }
    }
}
