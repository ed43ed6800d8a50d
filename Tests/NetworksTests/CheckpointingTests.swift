import Diagnostics
import Testing

@testable import Networks

/// Activations that are formed again instead of kept.
@Suite struct CheckpointingTests {
    @Test(arguments: ["vit_timm", "bert", "llama", "qwen3", "mamba", "falcon_mamba"])
    func `gradients keep every bit, and less is remembered`(_ name: String) throws {
        let fixture = try Fixture(name)
        let order = (0..<40).map { ($0 * 3) % 4 }
        let input = try IndependenceTests.input(fixture, order)
        var bytes: [Int] = []
        var found: [[[Float]]] = []
        for checkpoints in [false, true] {
            let backbone = try fixture.backbone(Float.self)
            backbone.usesGradientCheckpointing = checkpoints
            let mix = try IndependenceTests.mix(fixture, backbone)
            let pooling = try #require(backbone.description.poolings.first)
            let table = (0..<order.count * 3).map { Float(1 + $0 % 5) / 5 }
            let result = Gradients(backbone: backbone, mix: mix)
            try backbone.step(
                input, pooling: pooling, mix: mix, coefficients: .perSample(table),
                learning: [.adapters, .coefficients], into: result, threads: 2
            ) { samples, features, gradient, _ in
                for i in 0..<samples.count * backbone.description.width { gradient[i] = features[i] * 0.1 }
            }
            bytes.append(backbone.activationBytes)
            let pass = try backbone.forward(
                input, output: .hiddenStates, mix: mix, coefficients: .perSample(table),
                learning: [.adapters, .coefficients])
            pass.backward(pass.output.map { $0 * 0.1 }, into: result)
            found.append(result.slots.map { $0.map(Array.init) ?? [] } + [result.coefficients, pass.output])
        }
        #expect(found[0] == found[1])
        #expect(found[0][0].contains { $0 != 0 } && found[0][3].contains { $0 != 0 })
        #expect(bytes[1] < bytes[0], "\(bytes)")
    }

    @Test(arguments: ["vit_hf", "bert"]) func `gradients of all weights keep every bit`(_ name: String) throws {
        let fixture = try Fixture(name)
        let found = try [false, true].map { checkpoints in
            let backbone = try fixture.backbone(Float.self)
            backbone.usesGradientCheckpointing = checkpoints
            let pass = try backbone.forward(
                try fixture.input(), output: .hiddenStates, learning: .parameters, threads: 1)
            let result = Gradients(backbone: backbone, parameters: true)
            pass.backward(pass.output, into: result)
            return try Array(#require(result.parameters))
        }
        #expect(found[0] == found[1])
    }
}

/// Linears that multiply bfloat16 numbers.
@Suite struct PrecisionTests {
    @Test(arguments: Fixture.all) func `features in bf16 are near those in float32, and the same in any batch`(
        _ name: String
    ) throws {
        let fixture = try Fixture(name)
        let exact = try fixture.backbone(Float.self)
        let rounded = try Backbone<Float>(folder: fixture.folder, precision: .bfloat16)
        let pooling = try #require(exact.description.poolings.first)
        let order = (0..<50).map { ($0 * $0) % 4 }
        let input = try IndependenceTests.input(fixture, order)
        let mix = try IndependenceTests.mix(fixture, rounded)
        let reference = try exact.features(input, pooling: pooling)
        let features = try rounded.features(input, pooling: pooling)
        #expect(features != reference)
        #expect(relativeError(features, reference.map(Double.init)) < 0.06)
        let width = exact.description.width
        let mixed = try rounded.features(input, pooling: pooling, mix: mix, threads: 3)
        for position in [0, 13, 49] {
            let alone = try rounded.features(
                IndependenceTests.input(fixture, [order[position]]), pooling: pooling, mix: mix, threads: 1)
            #expect(alone == Array(mixed[position * width..<(position + 1) * width]))
        }
        // The switch works both ways, and a copy keeps the precision.
        #expect(try rounded.adding([:]).features(input, pooling: pooling) == features)
        rounded.precision = .float32
        #expect(try rounded.features(input, pooling: pooling) == reference)
    }

    @Test func `float32 sums of rounded numbers agree with double precision sums`() throws {
        let fixture = try Fixture("vit_timm")
        let single = try Backbone<Float>(folder: fixture.folder, precision: .bfloat16)
        let double = try Backbone<Double>(folder: fixture.folder, precision: .bfloat16)
        let pooling = try #require(single.description.poolings.first)
        let found = try single.features(fixture.input(), pooling: pooling)
        let expected = try double.features(fixture.input(), pooling: pooling)
        // Inputs that lie near the middle between two numbers may be rounded to either side.
        #expect(relativeError(found, expected) < 0.01)
    }

    @Test func `nothing learns in bf16`() throws {
        let fixture = try Fixture("bert")
        let backbone = try Backbone<Float>(folder: fixture.folder, precision: .bfloat16)
        let mix = try IndependenceTests.mix(fixture, backbone)
        let failure = #expect(throws: Failure.self) {
            try backbone.forward(try fixture.input(), output: .hiddenStates, mix: mix)
        }
        #expect(failure?.code == .configFeatureUnsupported)
    }
}
