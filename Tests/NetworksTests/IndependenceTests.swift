import Foundation
import Testing

@testable import Networks

/// A sample's numbers depend on that sample alone; sums depend on the batch alone.
@Suite struct IndependenceTests {
    /// The samples of `order`, as one input.
    static func input(_ fixture: Fixture, _ order: [Int]) throws -> NetworkInput<Float> {
        switch try fixture.input(Float.self) {
        case .images(let pixels):
            let size = pixels.count / (try fixture.shape("input.pixels")[0])
            return .images(order.flatMap { Array(pixels[$0 * size..<($0 + 1) * size]) })
        case .tokens(let batch):
            var starts = [0]
            for length in batch.lengths { starts.append(starts.last! + length) }
            return .tokens(TokenBatch(order.map { Array(batch.ids[starts[$0]..<starts[$0 + 1]]) }))
        case .activations: fatalError("fixtures hold no activations")
        }
    }

    static func mix(_ fixture: Fixture, _ backbone: Backbone<Float>, plan: AdapterMix<Float>.Plan = .packed) throws
        -> AdapterMix<Float>
    {
        let slots = try (0..<3).map { index in
            let slot = try fixture.slot(on: backbone, name: "s\(index)")
            slot.fill(UInt64(index + 1))
            return slot
        }
        return try AdapterMix(slots, on: backbone.description, trainable: [0, 2], plan: plan)
    }

    @Test(arguments: Fixture.all, [AdapterMix<Float>.Plan.packed, .separate])
    func `features are the same bits in any batch`(_ name: String, _ plan: AdapterMix<Float>.Plan) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let mix = try Self.mix(fixture, backbone, plan: plan)
        let pooling = try #require(backbone.description.poolings.first)
        let width = backbone.description.width
        let table: [[Float]] = [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1], [0.2, 0.3, 0.5]]
        func features(_ order: [Int], threads: Int) throws -> [[Float]] {
            let all = try backbone.features(
                try Self.input(fixture, order), pooling: pooling, mix: mix,
                coefficients: .perSample(order.flatMap { table[$0] }), threads: threads)
            return (0..<order.count).map { Array(all[$0 * width..<($0 + 1) * width]) }
        }
        let alone = try (0..<4).map { try features([$0], threads: 1)[0] }
        #expect(Set(alone).count == 4)
        // 90 samples make several blocks; every sample stands at many places.
        let order = (0..<90).map { ($0 * $0 + $0 / 7) % 4 }
        for threads in [1, 2, 5] {
            let found = try features(order, threads: threads)
            #expect(zip(order, found).allSatisfy { alone[$0] == $1 }, "\(threads) threads")
        }
    }

    @Test(arguments: ["vit_timm", "bert", "llama", "mamba"])
    func `gradients do not depend on the number of threads`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let mix = try Self.mix(fixture, backbone)
        let order = (0..<150).map { ($0 * 7) % 4 }
        let input = try Self.input(fixture, order)
        let pooling = try #require(backbone.description.poolings.first)
        func gradient(_ threads: Int) throws -> [[Float]] {
            let result = Gradients(backbone: backbone, mix: mix)
            try backbone.step(input, pooling: pooling, mix: mix, into: result, threads: threads) {
                samples, features, gradient, _ in
                for i in 0..<samples.count * backbone.description.width { gradient[i] = features[i] * 0.1 }
            }
            return result.slots.map { $0.map(Array.init) ?? [] }
        }
        let one = try gradient(1)
        #expect(one[0].contains { $0 != 0 } && one[1].isEmpty && one[2].contains { $0 != 0 })
        #expect(try gradient(2) == one)
        #expect(try gradient(6) == one)
        // The recorded pass gives the same sums as the fused step.
        let pass = try backbone.forward(input, output: .features(pooling), mix: mix, threads: 2)
        let result = Gradients(backbone: backbone, mix: mix)
        pass.backward(pass.output.map { $0 * 0.1 }, into: result)
        #expect(result.slots.map { $0.map(Array.init) ?? [] } == one)
    }

    @Test(arguments: ["bert", "llama", "falcon_mamba"])
    func `padded batches equal unpadded ones`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let tokens = try fixture.tokens()
        let longest = try #require(tokens.lengths.max())
        var ids: [Int32] = []
        var mask: [Int32] = []
        var start = 0
        for length in tokens.lengths {
            ids += tokens.ids[start..<start + length] + Array(repeating: 0, count: longest - length)
            mask += Array(repeating: 1, count: length) + Array(repeating: 0, count: longest - length)
            start += length
        }
        let padded = TokenBatch(padded: ids, mask: mask, length: longest)
        #expect(try backbone.hiddenStates(.tokens(padded)) == backbone.hiddenStates(.tokens(tokens)))
    }

    @Test(arguments: Fixture.decoders)
    func `a later token leaves everything before it bit-identical`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let mix = try Self.mix(fixture, backbone)
        let width = backbone.description.width
        let ids: [Int32] = [3, 9, 4, 17, 8, 5, 22, 11, 3, 7]
        let before = try backbone.hiddenStates(.tokens(TokenBatch([ids])), mix: mix)
        for t in [1, 4, 9] {
            var changed = ids
            changed[t] = 13
            let after = try backbone.hiddenStates(.tokens(TokenBatch([changed])), mix: mix)
            #expect(before[..<(t * width)] == after[..<(t * width)])
            #expect(before[(t * width)...] != after[(t * width)...])
        }
    }

    @Test(arguments: ["vit_hf", "bert", "qwen3", "mamba"])
    func `continuing from kept activations gives the same bits`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let sites = backbone.description.sites.filter { $0.layer == 1 }
        let slot = try LoRASlot<Float>(name: "upper", sites: sites.map { ($0, 3, 0.7) }, on: backbone.description)
        slot.fill(5)
        let mix = try AdapterMix([slot], on: backbone.description, trainable: [0])
        let order = (0..<40).map { ($0 * 3) % 4 }
        let input = try Self.input(fixture, order)
        let pooling = try #require(backbone.description.poolings.first)
        let prefix = try backbone.prefix(of: input, through: 1)
        let kept = NetworkInput.activations(prefix, samples: Array(0..<40))
        let whole = try backbone.features(input, pooling: pooling, mix: mix)
        #expect(try backbone.features(kept, pooling: pooling, mix: mix) == whole)
        func gradient(_ input: NetworkInput<Float>) throws -> [Float] {
            let result = Gradients(backbone: backbone, mix: mix)
            try backbone.step(input, pooling: pooling, mix: mix, into: result) { samples, features, gradient, _ in
                for i in 0..<samples.count * backbone.description.width { gradient[i] = features[i] }
            }
            return try Array(#require(result.slots[0]))
        }
        #expect(try gradient(kept) == gradient(input))
        // Samples may repeat: the fan-out of several experts on one batch.
        let twice = try backbone.features(
            .activations(prefix, samples: [7, 7, 0]), pooling: pooling, mix: mix)
        let width = backbone.description.width
        #expect(Array(twice[0..<width]) == Array(whole[7 * width..<8 * width]))
        #expect(Array(twice[width..<2 * width]) == Array(whole[7 * width..<8 * width]))
        // Below the kept layer nothing can learn.
        let all = try AdapterMix([fixture.slot(on: backbone)], on: backbone.description, trainable: [0])
        #expect(throws: (any Error).self) {
            try backbone.forward(kept, output: .features(pooling), mix: all)
        }
    }

    @Test(arguments: Fixture.all)
    func `learning leaves the backbone's weights alone`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let before = Array(backbone.parameters.values)
        let mix = try Self.mix(fixture, backbone)
        let pass = try backbone.forward(try fixture.input(), output: .hiddenStates, mix: mix)
        pass.backward(pass.output, into: Gradients(backbone: backbone, mix: mix))
        #expect(Array(backbone.parameters.values) == before)
    }
}
