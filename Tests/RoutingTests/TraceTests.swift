import Adapters
import Diagnostics
import Evaluation
import Foundation
import Tensors
import Testing

@testable import Routing

/// Decisions, traces, explanations and what is measured on them (sections 8 and 9).
@Suite struct TraceTests {
    static func trace(_ mixture: SuiteMixture, _ router: TrainedRouter, _ options: TraceOptions = TraceOptions()) throws
        -> (bytes: [UInt8], quality: RoutingQuality)
    {
        let experts = mixture.evaluation.experts
        let header = TraceHeader(
            router: "r", base: "b",
            experts: experts.experts.map { .init(id: $0.id, sha256: $0.digest, approval: "none") },
            routing: router.setup.routing, outputs: 3, temperature: 1, tool: "test", seed: 1, dataset: "words",
            datasetSHA256: "d", samples: Array(0..<mixture.samples.count), options: options, allowedUnapproved: false)
        var writer = TraceWriter(header, taskNames: mixture.loaded.taskNames, tasks: router.tasks)
        try TracedPass(mixture.evaluation, router: router).run(mixture.samples) { trace in
            let label = mixture.samples.encoded.labels[trace.position]
            writer.add(trace, name: trace.position, task: mixture.loaded.tasks.taskOfClass[label], label: label)
        }
        return (writer.finish(), writer.tally)
    }

    static let forms: [(RouterOptions.Scope, RouterOptions.Granularity)] = [
        (.input, .token), (.site, .token), (.layer, .token), (.input, .sequence), (.global, .sequence),
        (.global, .token),
    ]

    @Test(arguments: forms)
    func `a traced pass answers as the router does`(_ form: (RouterOptions.Scope, RouterOptions.Granularity)) throws {
        let mixture = try SuiteMixture()
        let router = try mixture.router(RoutingOptions(mode: .topk, k: 2)) { ($0.scope, $0.granularity) = form }
        let expected = try mixture.evaluation.predictions(router.subject(), mixture.samples)
        var row = 0
        try TracedPass(mixture.evaluation, router: router).run(mixture.samples) { trace in
            let logits = (0..<expected.logits.columns).map { expected.logits[row, $0] }
            #expect(relativeError(trace.logits, logits) < 1e-5)
            let load = (0..<3).map { expected.weights?[row, $0] ?? 0 }
            #expect(zip(trace.load, load).allSatisfy { abs($0 - Double($1)) < 1e-5 })
            #expect(abs(trace.load.reduce(0, +) - 1) < 1e-5)
            row += 1
        }
        #expect(row == mixture.samples.count)
    }

    @Test func `a trace is made again byte for byte, on any number of threads`() throws {
        let routing = RoutingOptions(mode: .topk, k: 2)
        let made = try [1, 2].map { threads in
            let mixture = try SuiteMixture(threads: threads)
            return try Self.trace(mixture, mixture.router(routing)).bytes
        }
        #expect(made[0] == made[1])
        let trace = try RoutingTrace(bytes: made[0])
        #expect(trace.compared(with: try RoutingTrace(bytes: made[1])).isExact)
        #expect(trace.samples.count == 54)
        #expect(trace.lines.count > 54 * 5)
    }

    @Test func `a changed byte breaks a trace`() throws {
        let mixture = try SuiteMixture()
        var options = TraceOptions()
        options.aggregation = .sample
        let bytes = try Self.trace(mixture, mixture.router(RoutingOptions()), options).bytes
        _ = try RoutingTrace(bytes: bytes)
        for place in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 200)) + [
            bytes.count - 2, bytes.count - 1,
        ] {
            var changed = bytes
            changed[place] ^= 1
            #expect(throws: Failure.self) { try RoutingTrace(bytes: changed) }
        }
        #expect(throws: Failure.self) { try RoutingTrace(bytes: Array(bytes.dropLast(40))) }
    }

    @Test func `another router's trace does not agree`() throws {
        let mixture = try SuiteMixture()
        let first = try RoutingTrace(
            bytes: Self.trace(mixture, mixture.router(RoutingOptions(mode: .topk, k: 2))).bytes)
        let router = try mixture.router(RoutingOptions(mode: .topk, k: 2))
        router.model.parameters[3] += 0.5
        let second = try RoutingTrace(bytes: Self.trace(mixture, router).bytes)
        #expect(!first.compared(with: second).reproduces)
    }

    @Test func `removing an expert gives its weight to the others`() throws {
        let removal = Removal(experts: [1], count: 3)
        let kept = removal.applied(to: [0.5, 0.3, 0.2], p: [0.5, 0.3, 0.2])
        #expect(zip(kept, [0.5 / 0.7, 0, 0.2 / 0.7]).allSatisfy { abs(Double($0) - $1) < 1e-6 })
        #expect(removal.applied(to: [0, 1, 0], p: [0.3, 0.5, 0.2]) == [0, 0, 0])
        let rule = MixingRule(RoutingOptions(mode: .topk, k: 1), temperature: 1, experts: 3, nullExpert: false)
        let anew = Removal(experts: [1], count: 3, rule: rule)
        #expect(anew.applied(to: [0, 1, 0], p: [0.3, 0.5, 0.2]) == [1, 0, 0])
        let mixture = try SuiteMixture()
        let router = try mixture.router(RoutingOptions(mode: .soft))
        let one = try mixture.evaluation.encode(mixture.samples.labelled.selecting([7]))
        let explanation = try Explanation(mixture.evaluation, router: router, one)
        #expect(explanation.counterfactuals.count == 3)
        #expect(explanation.counterfactuals.allSatisfy { $0.effect == $0.loss - explanation.loss })
        let order = explanation.counterfactuals.map { explanation.trace.load[$0.expert] }
        #expect(order == order.sorted(by: >))
    }

    @Test func `quality of two decisions by hand`() throws {
        let mixture = try SuiteMixture()
        var tally = RoutingQualityTally(experts: 3, tasks: mixture.tasks)
        func sample(_ p: [Float]) -> SampleTrace {
            SampleTrace(
                position: 0, logits: [], sites: [.init(router: "a", layer: 0, rows: 1, p: p, w: p)], experts: 3)
        }
        tally.add(sample([1, 0, 0]), task: mixture.tasks.taskOfExpert[0])
        tally.add(sample([0, 0.5, 0.5]), task: mixture.tasks.taskOfExpert[1])
        let quality = tally.quality
        #expect(quality.importance == [0.5, 0.25, 0.25] && quality.usage == [0.5, 0.5, 0])
        #expect(abs(quality.entropy - log(2) / 2) < 1e-6)
        #expect(abs(quality.inputInformation - (1.5 * log(2) - log(2) / 2)) < 1e-6)
        #expect(abs(quality.taskInformation - log(2)) < 1e-6)
        #expect(abs(quality.inputVariance - (0.75 - 0.375)) < 1e-6)
        #expect(abs(quality.effectiveExperts - exp(1.5 * log(2))) < 1e-6)
        #expect(quality.oracleAgreement == 1 && !quality.isCollapsed && quality.maximumToMean == 1.5)
        var collapsed = RoutingQualityTally(experts: 3, tasks: mixture.tasks)
        for task in 0..<3 { collapsed.add(sample([0, 1, 0]), task: task) }
        #expect(collapsed.quality.isCollapsed && collapsed.quality.effectiveExperts == 1)
    }

    @Test func `constant weights collapse into a static adapter without loss`() throws {
        let mixture = try SuiteMixture()
        var routing = RoutingOptions(mode: .fixed)
        routing.fixed = [0.2, 0.5, 0.3]
        let router = try mixture.router(routing)
        let collapse = try StaticCollapse(mixture.evaluation, router: router, mixture.samples)
        #expect(zip(collapse.load, routing.fixed).allSatisfy { abs($0 - $1) < 1e-6 })
        let expected = try mixture.evaluation.predictions(router.subject(), mixture.samples)
        let adapter = try collapse.adapter()
        func logits(_ adapter: Adapter) throws -> Matrix<Float> {
            try mixture.evaluation.predictions(
                RoutingSubject(label: "static", kind: .adapter(adapter)), mixture.samples
            )
            .logits
        }
        #expect(relativeError(try logits(adapter).elements, expected.logits.elements) < 1e-4)
        // All directions that there are: nothing is cut off.
        let whole = try collapse.adapter(rank: adapter.rankMax - 1)
        #expect(whole.rankMax == adapter.rankMax - 1)
        #expect(relativeError(try logits(whole).elements, expected.logits.elements) < 0.5)
    }

    @Test func `permuted experts give permuted decisions and the same answers`() throws {
        let (mixture, other) = (try SuiteMixture(), try SuiteMixture(reversed: true))
        #expect(other.evaluation.experts.ids == ["e7/trips", "e8/money", "e9/food"])
        let routing = RoutingOptions(mode: .topk, k: 2)
        let (router, permuted) = (try mixture.router(routing), try other.router(routing))
        for network in router.model.networks {
            let d = network.inputs
            for row in 0..<3 {
                for i in 0..<d {
                    permuted.model.parameters[network.offset + (2 - row) * d + i] =
                        router.model.parameters[network.offset + row * d + i]
                }
            }
        }
        let (a, b) = try (
            mixture.evaluation.predictions(router.subject(), mixture.samples),
            other.evaluation.predictions(permuted.subject(), other.samples)
        )
        #expect(relativeError(a.logits.elements, b.logits.elements) < 1e-5)
        let found = try #require(a.weights)
        let mirrored = try #require(b.weights)
        for row in 0..<found.rows { for e in 0..<3 { #expect(abs(found[row, e] - mirrored[row, 2 - e]) < 1e-5) } }
    }
}
