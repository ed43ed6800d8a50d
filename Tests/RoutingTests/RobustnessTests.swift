import Evaluation
import Tensors
import Testing
import Training

@testable import Routing

/// Routers whose experts change, and what a table may say (section 8, items 4, 6 and 7).
@Suite struct RobustnessTests {
    static let kinds: [(RouterOptions.Kind, RouterOptions.Scope, Bool)] = [
        (.linear, .input, false), (.linear, .site, true), (.mlp, .layer, false), (.cosine, .input, true),
        (.prototypes, .global, false), (.prototypes, .global, true),
    ]

    @Test(arguments: kinds)
    func `the order of experts is only an order, for every kind of router`(
        _ kind: RouterOptions.Kind, _ scope: RouterOptions.Scope, _ null: Bool
    ) throws {
        let mixture = try SuiteMixture()
        let router = try mixture.router(RoutingOptions(mode: .topk, k: 2)) { options in
            (options.kind, options.scope, options.nullExpert, options.bias) = (kind, scope, null, true)
            (options.hidden, options.granularity) = (8, scope == .global ? .sequence : .token)
        }
        let order = [2, 0, 1]
        let experts = try mixture.evaluation.experts.permuted(order)
        let other = try RoutedEvaluation(mixture.loaded, experts: experts, threads: 2)
        let permuted = try router.permuted(order, over: experts)
        #expect(permuted.tasks.expertOfTask == mixture.tasks.expertOfTask.map { order.firstIndex(of: $0 ?? -1) })
        let (a, b) = try (
            mixture.evaluation.predictions(router.subject(), mixture.samples),
            other.predictions(permuted.subject(), mixture.samples)
        )
        #expect(relativeError(a.logits.elements, b.logits.elements) < 1e-5)
        let (first, second) = (try #require(a.weights), try #require(b.weights))
        for row in 0..<first.rows {
            for place in 0..<3 { #expect(abs(first[row, order[place]] - second[row, place]) < 1e-5) }
        }
    }

    @Test func `noise is as long as the experts' updates, and the same for one seed`() throws {
        let experts = try SuiteMixture().evaluation.experts
        let (noisy, again) = (try experts.withNoise(seed: 5), try experts.withNoise(seed: 5))
        #expect(noisy.count == 4 && noisy.experts[3].digest == again.experts[3].digest)
        #expect(noisy.experts[3].digest != (try experts.withNoise(seed: 6)).experts[3].digest)
        let pair = noisy.slots[3].pairs[0]
        let lengths = try experts.slots.compactMap { slot in
            try slot.pairs.first { $0.site == pair.site }.map {
                try FactorPair($0, of: slot).reduced().frobeniusNorm
            }
        }
        let own = try FactorPair(pair, of: noisy.slots[3]).reduced().frobeniusNorm
        #expect(abs(own - lengths.reduce(0, +) / Double(lengths.count)) < 1e-4 * own)
    }

    @Test func `a trained router ignores noise and an expert without samples, and keeps its answers in any order`()
        throws
    {
        let mixture = try SuiteMixture()
        var setup = RouterSetup()
        (setup.router.scope, setup.router.granularity) = (.global, .sequence)
        (setup.training.steps, setup.training.learningRate, setup.loss.preset) = (80, 0.05, .none)
        (setup.loss.extra, setup.loss.task) = (["domain": 1], 0)
        setup.routing = RoutingOptions(mode: .topk, k: 1)
        let training = try mixture.loaded.dataset.train().samples
        let router = try RouterTraining(mixture.evaluation, setup: setup, tasks: mixture.tasks).run(
            TrainSplit(training))
        let book = PredictionBook(mixture.evaluation, mixture.samples)
        let found = try RobustnessTrial(router, book, training: training).run()
        let noise = try #require(found.noise)
        #expect(noise.isIgnored && noise.limit == 1.5 / 4 && noise.count == mixture.samples.count)
        let other = try #require(found.offTask)
        #expect(other.name == "trips" && other.isIgnored && other.count < mixture.samples.count)
        #expect(found.permutation?.changed == 0)
        #expect(found.leaveOneOut.map(\.expert) == [0, 1, 2])
        let bare = try RobustnessTrial(router, book, training: nil).run()
        #expect(bare.noise == nil && bare.offTask == nil && bare.permutation != nil)
    }

    @Test func `the gap to dense use is found whatever the weights' scale`() throws {
        let mixture = try SuiteMixture()
        for scale in RoutingOptions.Scale.allCases {
            var routing = RoutingOptions(mode: .topk, k: 1)
            (routing.scale, routing.threshold) = (scale, 0.2)
            let router = try mixture.router(routing)
            var dense = routing
            (dense.mode, dense.threshold) = (.soft, 0)
            let results = try [routing, dense].map {
                RoutedResult(try mixture.evaluation.predictions(router.subject($0), mixture.samples))
            }
            let label = router.subject(dense).label
            let table = RoutingTable(router: results, dense: label, baselines: [], seed: 1)
            let accuracy = results.map { $0.predictions.tally.accuracyGlobal ?? -1 }
            #expect(table.denseToSparseGap == accuracy[1] - accuracy[0])
            let alone = RoutingTable(router: [results[0]], dense: label, baselines: [], seed: 1)
            #expect(alone.denseToSparseGap == nil)
        }
    }

    @Test func `a subject counts as beaten only when the whole interval lies above zero`() throws {
        let mixture = try SuiteMixture()
        let count = mixture.samples.count
        let labels = mixture.samples.encoded.labels
        func result(_ label: String, wrong: Int) -> RoutedResult {
            var logits = Matrix<Float>(rows: count, columns: mixture.evaluation.head.classCount)
            for row in 0..<count {
                let answer = row < wrong ? (labels[row] + 1) % logits.columns : labels[row]
                logits[row, answer] = 1
            }
            return RoutedResult(
                RoutedPredictions(
                    label: label, logits: logits, labels: labels, tasks: mixture.loaded.tasks, weights: nil, seconds: 0)
            )
        }
        let table = RoutingTable(
            router: [result("router:topk1", wrong: 5)],
            baselines: [
                result("same", wrong: 5), result("a little worse", wrong: 6), result("better", wrong: 1),
                result("worse", wrong: 25),
            ], seed: 1)
        #expect(table.beaten == ["worse"])
        #expect(table.unbeaten == ["same", "a little worse", "better"])
    }

    @Test func `a few samples of a file that is sorted by class show all tasks`() throws {
        let groups: [Int?] = (0..<90).map { $0 / 30 }
        let chosen = TrainingChoice.spread(Array(0..<90), groups: groups, count: 10, seed: 1)
        #expect(chosen.count == 10 && chosen == chosen.sorted())
        #expect((0..<3).allSatisfy { group in (3...4).contains(chosen.filter { groups[$0] == group }.count) })
        #expect(TrainingChoice.spread(Array(0..<90), groups: groups, count: 10, seed: 2) != chosen)
        #expect(TrainingChoice.spread([4, 70], groups: groups, count: 10, seed: 2) == [4, 70])
    }
}
