import Adapters
import Evaluation
import Foundation
import Settings
import Testing
import Training

@testable import Routing

/// The tiny suite of words with its three experts, and a router of random numbers.
struct SuiteMixture {
    let evaluation: RoutedEvaluation
    let tasks: ExpertTasks
    let samples: RoutedSamples

    init(threads: Int = 2, reversed: Bool = false) throws {
        let folder =
            URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
            + "/EvaluationTests/Fixtures/words"
        let loaded = try LoadedSuite(SuiteReader.read(path: folder + "/suite.yaml"))
        let names = ["food", "money", "trips"]
        let adapters = try names.enumerated().map { index, name in
            NamedAdapter(
                name: reversed ? "e\(9 - index)/\(name)" : name, version: nil, object: nil, reference: name,
                adapter: try AdapterReader.read(path: folder + "/" + name))
        }
        let experts = try RoutedExperts(adapters, on: loaded.backbone)
        evaluation = try RoutedEvaluation(loaded, experts: experts, threads: threads)
        var given: [String: String] = [:]
        for task in loaded.taskNames { given[task] = experts.ids.first { $0.hasSuffix(task) } }
        tasks = try ExpertTasks(
            names: experts.experts.map { ($0.name, $0.id) }, taskNames: loaded.taskNames, tasks: loaded.tasks,
            given: given)
        samples = try evaluation.encode(loaded.samples())
    }

    var loaded: LoadedSuite { evaluation.loaded }

    func context(training: Bool = true, merges: [BaselineContext.Merge] = []) throws -> BaselineContext {
        try BaselineContext(
            PredictionBook(evaluation, samples), tasks: tasks,
            training: training ? loaded.dataset.train().samples : nil, merges: merges, seed: 1)
    }

    func router(_ routing: RoutingOptions, _ change: (inout RouterOptions) -> Void = { _ in }) throws -> TrainedRouter {
        var setup = RouterSetup()
        setup.routing = routing
        change(&setup.router)
        let model = try RouterModel(
            setup.router, coverage: ExpertCoverage(evaluation.experts.slots.map(\.sites)),
            on: loaded.backbone.description, classes: tasks.classes)
        model.values = Noise.numbers(model.count, seed: 4, scale: 1.5)
        return TrainedRouter(model: model, setup: setup, tasks: tasks)
    }
}
