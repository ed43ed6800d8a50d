import Foundation
import Networks
import Testing

@testable import Routing

@Suite struct ExecutionTests {
    @Test(arguments: ["vit_timm", "bert", "llama", "mamba"])
    func `plans agree`(_ name: String) throws {
        let mixture = try TinyMixture<Float>(name, experts: 5, skips: true)
        for scope in [RouterOptions.Scope.input, .site, .layer] {
            var options = RouterOptions()
            options.scope = scope
            let model = try RouterModel(
                options, coverage: mixture.coverage, on: mixture.backbone.description)
            model.values = Noise.numbers(model.count, seed: 61)
            for routing in [
                RoutingOptions(mode: .topk, k: 1), RoutingOptions(mode: .topk, k: 2), RoutingOptions(mode: .soft),
            ] {
                let outputs = try [AdapterMix<Float>.Plan.packed, .separate, .gather, .hybrid].map { plan in
                    try mixture.backbone.hiddenStates(
                        mixture.input,
                        mix: AdapterMix(
                            mixture.slots, on: mixture.backbone.description, plan: plan, perSite: model.isPerSite),
                        coefficients: .routed(LearnedRouter<Float>(model, routing: routing)))
                }
                for other in outputs[1...] {
                    #expect(relativeError(other, outputs[0]) < 1e-5, "\(scope) \(routing.mode)")
                }
            }
        }
    }

    @Test(arguments: ["llama", "qwen3", "mamba", "falcon_mamba"])
    func `tokens one by one are routed as in the whole text`(_ name: String) throws {
        let mixture = try TinyMixture<Float>(name, lengths: [7])
        guard case .tokens(let batch) = mixture.input else { return }
        for granularity in RouterOptions.Granularity.allCases {
            for scope in [RouterOptions.Scope.input, .layer] {
                var options = RouterOptions()
                (options.scope, options.granularity) = (scope, granularity)
                let model = try mixture.model(options)
                let mix = try mixture.mix()
                let routing = RoutingOptions(mode: .topk, k: 2)
                let whole = try mixture.backbone.hiddenStates(
                    mixture.input, mix: mix, coefficients: .routed(LearnedRouter<Float>(model, routing: routing)))
                let router = LearnedRouter<Float>(model, routing: routing, generating: true)
                let decoder = try mixture.backbone.makeDecoder()
                var found = try mixture.backbone.extend(
                    decoder, with: Array(batch.ids[0..<3]), mix: mix, coefficients: .routed(router))
                for id in batch.ids[3...] {
                    found += try mixture.backbone.extend(decoder, with: [id], mix: mix, coefficients: .routed(router))
                }
                #expect(relativeError(found, whole) < 1e-5, "\(scope) \(granularity)")
            }
        }
    }

    @Test func `costs follow the formulas`() {
        let cost = RoutingCost(inputs: 768, outputs: 768, ranks: Array(repeating: 64, count: 6), active: 2)
        #expect(cost.base(tokens: 10) == 2 * 10 * 768 * 768)
        #expect(cost.experts(tokens: 10, plan: .dense) == 2 * 10 * 384 * 1536 + 10 * 384)
        #expect(cost.experts(tokens: 10, plan: .gather) == 2 * 2 * 10 * 64 * 1536)
        #expect(cost.experts(tokens: 10, plan: .hybrid) == 2 * 10 * (384 * 768 + 2 * 64 * 768))
        func plan(_ rank: Int, _ k: Int, rows: Int = 3152) -> ExecutionPlan {
            ExecutionPlan.automatic(rank: rank, active: k, experts: 6, rows: rows, perSample: false)
        }
        #expect(plan(48, 1) == .dense)
        #expect(plan(384, 1) == .gather)
        #expect(plan(384, 4) == .dense)
        #expect(plan(384, 1, rows: 1) == .dense)
        #expect(
            ExecutionPlan.automatic(rank: 384, active: 1, experts: 6, rows: 99, perSample: true) == .segment)
    }
}
