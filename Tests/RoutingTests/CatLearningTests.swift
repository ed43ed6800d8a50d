import Adapters
import Diagnostics
import Evaluation
import Networks
import Tensors
import Testing
import Training

@testable import Routing

/// Weights per expert and module, learned on training samples.
@Suite struct CatLearningTests {
    @Test(arguments: ["bert", "vit_timm"]) func `weights learn by the gradient of their definition`(family: String)
        throws
    {
        let mixture = try TinyMixture<Double>(family, experts: 3)
        var initial: [ExpertPair: Double] = [:]
        for (expert, slot) in mixture.slots.enumerated() {
            for (index, pair) in slot.pairs.enumerated() {
                initial[ExpertPair(expert: expert, site: pair.site)] =
                    0.3 + 0.1 * Double(index % 5) - 0.2 * Double(expert)
            }
        }
        let model = try ModuleWeights<Double>(initial, experts: 3, on: mixture.backbone.description)
        let start = Array(model.values)
        let mix = try mixture.mix(perSite: true)
        let pass = try mixture.backbone.forward(
            mixture.input, output: .features(.mean), mix: mix, coefficients: .routed(model), learning: .coefficients)
        let slope: [Double] = Noise.numbers(pass.output.count, seed: 7)
        model.begin()
        pass.backward(slope, into: Gradients(backbone: mixture.backbone, mix: mix))
        model.finish()
        let gradient = Array(model.gradient)
        #expect(gradient.contains { abs($0) > 1e-4 })
        for index in stride(from: 0, to: start.count, by: max(1, start.count / 20)) {
            func value(_ t: Double) throws -> Double {
                _ = model.values.update(fromContentsOf: start)
                model.values[index] += t
                let out = try mixture.backbone.features(
                    mixture.input, pooling: .mean, mix: mix, coefficients: .routed(model))
                return zip(out, slope).reduce(0) { $0 + $1.0 * $1.1 }
            }
            let numeric = try (value(1e-5) - value(-1e-5)) / 2e-5
            #expect(abs(numeric - gradient[index]) < 1e-6 * max(1, abs(numeric)))
        }
    }

    private func learned(threads: Int, validation: Double = 0.25) throws -> (CatLearning.Outcome, SuiteMixture) {
        let mixture = try SuiteMixture(threads: threads)
        var options = CatLearning.Options()
        options.steps = 12
        options.batch = 8
        options.validation = validation
        let learning = try CatLearning(mixture.evaluation, options: options)
        var initial: [Int: [SiteID: Double]] = [:]
        for (expert, slot) in mixture.evaluation.experts.slots.enumerated() {
            initial[expert] = Dictionary(uniqueKeysWithValues: slot.sites.map { ($0, 1.0 / 3) })
        }
        return (try learning.run(from: initial, on: try mixture.loaded.dataset.train()), mixture)
    }

    @Test func `the loss falls, the best step is kept, threads make no difference`() throws {
        let (one, mixture) = try learned(threads: 1)
        let (two, _) = try learned(threads: 2)
        #expect(one.weights == two.weights)
        let losses = one.records.map(\.loss)
        #expect(one.records.first?.step == 0 && losses.count > 3)
        let kept = try #require(one.records.first { $0.step == one.step })
        #expect(kept.loss == losses.min())
        #expect(kept.loss < losses[0])
        // The weights kept are those of that step: their loss on all training samples is below that of the start.
        #expect(one.weights.count == mixture.evaluation.experts.count)
        #expect(one.weights.values.flatMap(\.values).contains { abs($0 - 1.0 / 3) > 1e-3 })
    }

    @Test func `without held-out samples the last step counts`() throws {
        let (found, _) = try learned(threads: 2, validation: 0)
        #expect(found.records.isEmpty && found.step == 12 && found.counts.validation == 0)
    }

    @Test func `no weights are an error`() throws {
        let mixture = try SuiteMixture()
        let learning = try CatLearning(mixture.evaluation)
        #expect(throws: Failure.self) { try learning.run(from: [:], on: try mixture.loaded.dataset.train()) }
    }
}
