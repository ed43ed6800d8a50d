import Foundation
import LinearAlgebra
import Networks
import Synchronization
import Tensors
import Testing

@testable import Routing

/// Section 12 of the reference: what holds for every mixture.
@Suite struct MixtureInvariantTests {
    static let families = ["vit_timm", "bert", "llama", "mamba", "falcon_mamba"]

    static func output<S>(
        _ mixture: TinyMixture<S>, _ mix: AdapterMix<S>, _ model: RouterModel, _ routing: RoutingOptions,
        _ input: NetworkInput<S>? = nil
    ) throws -> [S] {
        try mixture.backbone.hiddenStates(
            input ?? mixture.input, mix: mix, coefficients: .routed(LearnedRouter<S>(model, routing: routing)))
    }

    @Test(arguments: families)
    func `identical experts are as good as one, whatever the router`(_ name: String) throws {
        let mixture = try TinyMixture<Double>(name)
        for slot in mixture.slots[1...] {
            // All take over the first one's update: ΔW = s·B·A with ranks of their own.
            for pair in slot.pairs {
                slot.a(pair).update(repeating: 0)
                slot.b(pair).update(repeating: 0)
            }
        }
        let one = mixture.slots[0]
        let copies = try (0..<3).map { index in
            let slot = try LoRASlot<Double>(
                name: "c\(index)", sites: one.pairs.map { ($0.site, $0.rank, $0.scale) },
                on: mixture.backbone.description)
            slot.assign(Array(one.values.prefix(one.count)))
            return slot
        }
        let single = try AdapterMix([one], on: mixture.backbone.description)
        let expected = try mixture.backbone.hiddenStates(mixture.input, mix: single)
        let mix = try AdapterMix(copies, on: mixture.backbone.description)
        let model = try mixture.model(RouterOptions())
        for routing in [
            RoutingOptions(mode: .topk, k: 1), RoutingOptions(mode: .topk, k: 2), RoutingOptions(mode: .soft),
        ] {
            #expect(relativeError(try Self.output(mixture, mix, model, routing), expected) < 1e-12)
        }
    }

    @Test func `one expert is a plain adapter`() throws {
        let mixture = try TinyMixture<Double>("bert", experts: 1)
        let mix = try mixture.mix()
        let model = try mixture.model(RouterOptions())
        let expected = try mixture.backbone.hiddenStates(mixture.input, mix: mix)
        let found = try Self.output(mixture, mix, model, RoutingOptions(mode: .topk, k: 3))
        #expect(relativeError(found, expected) < 1e-12)
    }

    @Test(arguments: ["bert", "llama"])
    func `permuted experts give the same output`(_ name: String) throws {
        let mixture = try TinyMixture<Double>(name, skips: true)
        let model = try mixture.model(RouterOptions())
        let order = [2, 0, 1]
        let coverage = ExpertCoverage(order.map { mixture.slots[$0].sites })
        let permuted = try RouterModel(RouterOptions(), coverage: coverage, on: mixture.backbone.description)
        for (network, other) in zip(model.networks, permuted.networks) {
            for (row, old) in order.enumerated() {
                for i in 0..<network.inputs {
                    permuted.parameters[other.offset + row * other.inputs + i] =
                        model.parameters[network.offset + old * network.inputs + i]
                }
            }
        }
        let mix = try AdapterMix(order.map { mixture.slots[$0] }, on: mixture.backbone.description)
        let routing = RoutingOptions(mode: .topk, k: 2)
        let expected = try Self.output(mixture, mixture.mix(), model, routing)
        #expect(relativeError(try Self.output(mixture, mix, permuted, routing), expected) < 1e-12)
    }

    @Test(arguments: families)
    func `a sample's output has the same bits in any batch`(_ name: String) throws {
        let mixture = try TinyMixture<Float>(name, lengths: [5, 3, 6])
        let mix = try mixture.mix()
        for granularity in RouterOptions.Granularity.allCases {
            var options = RouterOptions()
            options.granularity = granularity
            let model = try mixture.model(options)
            let all = try Self.output(mixture, mix, model, RoutingOptions(mode: .topk, k: 2))
            let lengths = try mixture.backbone.lengths(of: mixture.input)
            let width = mixture.backbone.description.width
            let prefix = try mixture.backbone.prefix(of: mixture.input, through: 0)
            let turned = try Self.output(
                mixture, mix, model, RoutingOptions(mode: .topk, k: 2), .activations(prefix, samples: [2, 0]))
            let last = Array(all.suffix(lengths[2] * width))
            #expect(turned == last + Array(all.prefix(lengths[0] * width)))
        }
    }

    @Test func `scaling A by c and B by 1/c changes no routed output`() throws {
        let (mixture, other) = (try TinyMixture<Double>("bert"), try TinyMixture<Double>("bert"))
        for slot in other.slots {
            for pair in slot.pairs {
                for i in pair.a { slot.values[i] *= 5 }
                for i in pair.b { slot.values[i] /= 5 }
            }
        }
        let model = try mixture.model(RouterOptions())
        let routing = RoutingOptions(mode: .topk, k: 2)
        let expected = try Self.output(mixture, mixture.mix(), model, routing)
        #expect(relativeError(try Self.output(other, other.mix(), model, routing), expected) < 1e-12)
    }

    @Test func `a site that an expert lacks is a site with B = 0`() throws {
        let full = try TinyMixture<Double>("vit_timm")
        let partial = try TinyMixture<Double>("vit_timm", skips: true)
        for (slot, kept) in zip(full.slots, partial.slots) {
            for pair in slot.pairs where !kept.sites.contains(pair.site) { slot.b(pair).update(repeating: 0) }
            for pair in kept.pairs {
                guard let same = slot.pairs.first(where: { $0.site == pair.site }) else { continue }
                _ = kept.a(pair).update(fromContentsOf: slot.a(same))
                _ = kept.b(pair).update(fromContentsOf: slot.b(same))
            }
        }
        let model = try full.model(RouterOptions())
        let routing = RoutingOptions(mode: .topk, k: 2)
        let expected = try Self.output(full, full.mix(), model, routing)
        let found = try Self.output(partial, partial.mix(), model, routing)
        #expect(relativeError(found, expected) < 1e-12)
    }

    /// Decisions are recomputed from the linears' inputs by plain formulas, then each sample runs through a dense copy of
    /// the weights with its own mixture added.
    @Test(arguments: families)
    func `outputs agree with dense weights per sample`(_ name: String) throws {
        let causal = name.contains("llama") || name.contains("mamba")
        // In decoders a sample's tokens differ in their prefix means: one token per sample keeps the weights dense.
        let mixture = try TinyMixture<Double>(name, lengths: causal ? [1, 1, 1] : [4, 2, 5], skips: true)
        var options = RouterOptions()
        options.granularity = .sequence
        options.temperature = 0.6
        let model = try mixture.model(options)
        let mix = try mixture.mix()
        let recorded = Mutex<[String: [Double]]>([:])
        let router = RecordingRouter(LearnedRouter<Double>(model, routing: RoutingOptions(mode: .topk, k: 2))) {
            point, rows, weights in
            guard let network = model.network(layer: point.layer, group: point.group, kind: 0) else { return }
            for sample in 0..<rows.offsets.count - 1 {
                let range = rows.offsets[sample]..<rows.offsets[sample + 1]
                let expected = Self.plainWeights(model, network, rows, range, k: 2)
                for row in range {
                    for e in 0..<3 { #expect(abs(weights[row * 3 + e] - expected[e]) < 1e-10) }
                }
                recorded.withLock { $0["\(point.layer).\(point.group).\(rows.firstSample + sample)"] = expected }
            }
        }
        let found = try mixture.backbone.hiddenStates(mixture.input, mix: mix, coefficients: .routed(router))
        let lengths = try mixture.backbone.lengths(of: mixture.input)
        let prefix = try mixture.backbone.prefix(of: mixture.input, through: 0)
        let weights = recorded.withLock { $0 }
        var row = 0
        for (sample, length) in lengths.enumerated() {
            let dense = try mixture.backbone.adding(Self.deltas(mixture, weights, sample))
            let width = dense.description.width
            let expected = try dense.hiddenStates(.activations(prefix, samples: [sample]))
            #expect(relativeError(found[row * width..<(row + length) * width], expected) < 1e-9)
            row += length
        }
        #expect(weights.count == lengths.count * model.networks.count)
    }

    private static func plainWeights(
        _ model: RouterModel, _ index: Int, _ rows: RoutedRows<Double>, _ range: Range<Int>, k: Int
    ) -> [Double] {
        let network = model.networks[index]
        var mean = [Double](repeating: 0, count: rows.width)
        for row in range {
            for i in mean.indices { mean[i] += rows.input[row * rows.stride + i] / Double(range.count) }
        }
        if network.norm == .rms {
            let square = mean.reduce(0) { $0 + $1 * $1 } / Double(mean.count) + 1e-6
            mean = mean.map { $0 / square.squareRoot() }
        }
        let z = (0..<3).map { e in
            mean.indices.reduce(0.0) { $0 + model.parameters[network.offset + e * mean.count + $1] * mean[$1] }
        }
        let kept = z.indices.sorted { (-z[$0], $0) < (-z[$1], $1) }.prefix(k)
        let sum = kept.reduce(0.0) { $0 + exp(z[$1] / 0.6) }
        return z.indices.map { kept.contains($0) ? exp(z[$0] / 0.6) / sum : 0 }
    }

    private static func deltas(
        _ mixture: TinyMixture<Double>, _ weights: [String: [Double]], _ sample: Int
    ) throws -> [SiteID: Matrix<Double>] {
        var result: [SiteID: Matrix<Double>] = [:]
        for (expert, slot) in mixture.slots.enumerated() {
            for pair in slot.pairs {
                let group = try mixture.backbone.description.shape(of: pair.site).group
                let w = weights["\(pair.site.layer).\(group).\(sample)"]?[expert] ?? 0
                let a = Matrix(rows: pair.rank, columns: pair.inputs, elements: Array(slot.a(pair)))
                let b = Matrix(rows: pair.outputs, columns: pair.rank, elements: Array(slot.b(pair)))
                let delta = try multiply(b, a, alpha: w * pair.scale)
                guard let known = result[pair.site] else {
                    result[pair.site] = delta
                    continue
                }
                result[pair.site] = Matrix(
                    rows: delta.rows, columns: delta.columns, elements: zip(known.elements, delta.elements).map(+))
            }
        }
        return result
    }
}

/// Hands every decision of another router to a closure.
final class RecordingRouter: SiteRouter {
    typealias S = Double
    private let router: LearnedRouter<Double>
    private let observe: @Sendable (RoutingPoint, RoutedRows<Double>, UnsafePointer<Double>) -> Void

    init(
        _ router: LearnedRouter<Double>,
        _ observe: @escaping @Sendable (RoutingPoint, RoutedRows<Double>, UnsafePointer<Double>) -> Void
    ) {
        self.router = router
        self.observe = observe
    }

    func coefficients(at point: RoutingPoint, rows: RoutedRows<Double>, into weights: UnsafeMutablePointer<Double>) {
        router.coefficients(at: point, rows: rows, into: weights)
        observe(point, rows, weights)
    }

    func backward(
        at point: RoutingPoint, rows: RoutedRows<Double>, weights: UnsafePointer<Double>,
        weightGradient: UnsafePointer<Double>, inputGradient: UnsafeMutablePointer<Double>?
    ) {}
}
