import Foundation
import Networks
import Testing

@testable import Routing

/// Routers at the linears of real (tiny) backbones.
@Suite struct LearnedRouterTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var backbone: String
        var scope = RouterOptions.Scope.input
        var granularity = RouterOptions.Granularity.token
        var kind = RouterOptions.Kind.linear
        var mode = RoutingOptions.Mode.soft
        var mask = false
        var null = false
        var scale = RoutingOptions.Scale.convex

        var testDescription: String {
            "\(backbone) \(scope) \(granularity) \(kind) \(mode)\(mask ? " mask" : "")\(null ? " null" : "") \(scale)"
        }

        var options: RouterOptions {
            var options = RouterOptions()
            (options.scope, options.granularity, options.kind) = (scope, granularity, kind)
            (options.coverage, options.nullExpert, options.temperature) = (mask ? .mask : .drop, null, 0.8)
            options.hidden = 4
            return options
        }

        var routing: RoutingOptions {
            var options = RoutingOptions(mode: mode, k: 2)
            options.scale = scale
            return options
        }
    }

    static let cases: [Case] = [
        Case(backbone: "vit_timm"), Case(backbone: "vit_timm", granularity: .sequence),
        Case(backbone: "vit_timm", scope: .site, mode: .topk), Case(backbone: "vit_timm", scope: .layer, null: true),
        Case(backbone: "bert", mode: .topk, mask: true), Case(backbone: "bert", scope: .layer, granularity: .sequence),
        Case(backbone: "bert", kind: .mlp, mode: .topkRaw), Case(backbone: "bert", kind: .cosine, scale: .unit),
        Case(backbone: "llama", granularity: .sequence), Case(backbone: "llama", scope: .site, mask: true),
        Case(backbone: "llama", scope: .layer, granularity: .sequence, kind: .prototypes),
        Case(backbone: "mamba"), Case(backbone: "mamba", scope: .site, granularity: .sequence, mode: .topk),
        Case(backbone: "falcon_mamba", scope: .layer, null: true),
    ]

    /// loss = Σ slope ⊙ hidden plus the terms, at the model's present parameters.
    struct Probe {
        let mixture: TinyMixture<Double>
        let mix: AdapterMix<Double>
        let router: LearnedRouter<Double>
        let slope: [Double]
        let terms: LossTerms

        init(_ item: Case) throws {
            mixture = try TinyMixture(item.backbone, skips: true)
            let model = try mixture.model(item.options)
            mix = try mixture.mix(perSite: model.isPerSite, trainable: [0, 1, 2])
            router = LearnedRouter(model, routing: item.routing)
            let rows = try mixture.backbone.lengths(of: mixture.input).reduce(0, +)
            slope = Noise.numbers(rows * mixture.backbone.description.width, seed: 8)
            terms = LossTerms(losses: [
                WeightedLoss(BalanceLoss(load: .soft), 0.7), WeightedLoss(EntropyLoss(.sharpen), 0.4),
                WeightedLoss(DomainCrossEntropy(), 0.3), WeightedLoss(ZLoss(), 0.1),
            ])
        }

        func run() throws -> (loss: Double, parameters: [Double], slots: [[Double]]) {
            mix.refresh()
            let lengths = try mixture.backbone.lengths(of: mixture.input)
            router.begin(lengths: lengths, domains: [1, 0, 2])
            let pass = try mixture.backbone.forward(
                mixture.input, output: .hiddenStates, mix: mix, coefficients: .routed(router),
                learning: [.adapters, .coefficients], threads: 2)
            var batches = router.batches()
            let values = terms.evaluate(&batches, coefficients: terms.losses.map(\.coefficient))
            router.finish(batches)
            let gradients = Gradients(backbone: mixture.backbone, mix: mix)
            pass.backward(slope, into: gradients)
            let task = zip(pass.output, slope).reduce(0) { $0 + $1.0 * $1.1 }
            return (
                task + values.reduce(0) { $0 + $1.weighted }, router.gradient(),
                gradients.slots.map { $0.map(Array.init) ?? [] }
            )
        }
    }

    /// Directional derivative along a random direction against the gradient.
    static func error(
        _ probe: Probe, _ values: UnsafeMutableBufferPointer<Double>, _ gradient: [Double], seed: UInt64
    ) throws -> Double {
        let direction: [Double] = Noise.numbers(gradient.count, seed: seed)
        let before = Array(values.prefix(gradient.count))
        func moved(_ t: Double) throws -> Double {
            for i in gradient.indices { values[i] = before[i] + t * direction[i] }
            return try probe.run().loss
        }
        let h = 2e-5
        let numeric = try (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
        _ = try moved(0)
        let exact = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
        let size = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return abs(numeric - exact) / max(size, 1e-3)
    }

    @Test(arguments: cases)
    func `gradients of routers and of the experts below them`(_ item: Case) throws {
        let probe = try Probe(item)
        let (_, parameters, slots) = try probe.run()
        #expect(parameters.contains { $0 != 0 })
        for seed in [51, 52] as [UInt64] {
            let found = try Self.error(probe, probe.router.model.parameters, parameters, seed: seed)
            #expect(found < 1e-6, "router: \(found)")
        }
        // Experts in lower layers feel the routers above them through the routers' inputs.
        let found = try Self.error(probe, probe.mixture.slots[1].values, slots[1], seed: 53)
        #expect(found < 1e-6, "expert: \(found)")
    }

    @Test func `threads change no bit of a gradient`() throws {
        let mixture = try TinyMixture<Float>("bert", lengths: [5, 3, 6, 2, 7, 4, 5, 3])
        let model = try mixture.model(RouterOptions())
        let mix = try mixture.mix()
        let lengths = try mixture.backbone.lengths(of: mixture.input)
        func gradient(threads: Int) throws -> [Double] {
            let router = LearnedRouter<Float>(model, routing: RoutingOptions(mode: .soft))
            router.begin(lengths: lengths)
            let pass = try mixture.backbone.forward(
                mixture.input, output: .features(.mean), mix: mix, coefficients: .routed(router),
                learning: .coefficients, threads: threads)
            pass.backward(pass.output, into: Gradients(backbone: mixture.backbone, mix: mix))
            return router.gradient()
        }
        #expect(try gradient(threads: 1) == gradient(threads: 3))
    }

    @Test func `hard routing leaves other experts without any gradient`() throws {
        for granularity in RouterOptions.Granularity.allCases {
            var options = RouterOptions()
            options.granularity = granularity
            let mixture = try TinyMixture<Double>("llama")
            let model = try mixture.model(options)
            let mix = try mixture.mix(trainable: [0, 1, 2])
            let router = LearnedRouter<Double>(model, routing: RoutingOptions(mode: .hard))
            router.begin(lengths: try mixture.backbone.lengths(of: mixture.input), domains: [2, 0, 2])
            let pass = try mixture.backbone.forward(
                mixture.input, output: .hiddenStates, mix: mix, coefficients: .routed(router),
                learning: [.adapters, .coefficients])
            let gradients = Gradients(backbone: mixture.backbone, mix: mix)
            pass.backward(pass.output, into: gradients)
            let sizes = gradients.slots.map { slot in slot.map { $0.contains { $0 != 0 } } ?? false }
            #expect(sizes == [true, false, true])
            #expect(router.gradient().allSatisfy { $0 == 0 })
        }
    }
}
