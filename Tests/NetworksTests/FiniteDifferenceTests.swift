import Foundation
import Testing

@testable import Networks

/// Every kind of gradient against central differences in double precision.
@Suite struct FiniteDifferenceTests {
    /// loss = Σ slope ⊙ hidden + ½·0.1·Σ hidden² of a fixture's input.
    struct Probe {
        let backbone: Backbone<Double>
        let input: NetworkInput<Double>
        let slope: [Double]
        let mix: AdapterMix<Double>
        var coefficients: Coefficients<Double>?

        func loss() throws -> Double {
            mix.refresh()
            let y = try backbone.hiddenStates(input, mix: mix, coefficients: coefficients, threads: 1)
            return zip(y, slope).reduce(0) { $0 + $1.0 * $1.1 + 0.05 * $1.0 * $1.0 }
        }

        func gradients(_ learning: Learning, parameters: Bool = false) throws -> Gradients<Double> {
            mix.refresh()
            let pass = try backbone.forward(
                input, output: .hiddenStates, mix: mix, coefficients: coefficients, learning: learning)
            let result = Gradients(backbone: backbone, mix: mix, parameters: parameters)
            pass.backward(zip(pass.output, slope).map { $1 + 0.1 * $0 }, into: result)
            return result
        }

        /// Error of the directional derivative along a random direction, relative to the gradient's size.
        func error(
            of gradient: some Collection<Double>, at values: UnsafeMutableBufferPointer<Double>, seed: UInt64,
            changed: () -> Void = {}
        ) throws -> Double {
            var noise = Noise(seed)
            let direction: [Double] = noise.numbers(values.count)
            let before = Array(values)
            let h = 1e-4
            func moved(_ t: Double) throws -> Double {
                for i in values.indices { values[i] = before[i] + t * direction[i] }
                changed()
                return try loss()
            }
            // Fourth order: the error of the difference itself stays below 1e-9.
            let near = try moved(h) - moved(-h)
            let far = try moved(2 * h) - moved(-2 * h)
            _ = try moved(0)
            let numeric = (8 * near - far) / (12 * h)
            let exact = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
            let size = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return abs(numeric - exact) / max(size, 1e-3)
        }
    }

    static func probe(_ name: String, slots: Int = 1, coefficients: Coefficients<Double>? = nil) throws -> Probe {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Double.self)
        let all = try (0..<slots).map { index in
            let slot = try fixture.slot(on: backbone, name: "s\(index)")
            slot.fill(UInt64(40 + index), scale: 0.4)
            return slot
        }
        let mix = try AdapterMix(all, on: backbone.description, trainable: Set(0..<slots))
        var noise = Noise(7)
        let input = try fixture.input(Double.self)
        let rows = try backbone.lengths(of: input).reduce(0, +)
        return Probe(
            backbone: backbone, input: input, slope: noise.numbers(rows * backbone.description.width), mix: mix,
            coefficients: coefficients)
    }

    @Test(arguments: Fixture.all)
    func `both factors at every site`(_ name: String) throws {
        let probe = try Self.probe(name)
        let slot = probe.mix.slots[0]
        let gradients = try probe.gradients(.adapters)
        let found = try Array(#require(gradients.slots[0]))
        for pair in slot.pairs {
            for (range, what) in [(pair.a, "A"), (pair.b, "B")] {
                let values = UnsafeMutableBufferPointer(rebasing: slot.values[range])
                let error = try probe.error(of: found[range], at: values, seed: 5)
                #expect(error < 1e-6, "\(what) at \(pair.site): \(error)")
            }
        }
    }

    @Test(arguments: Fixture.images + ["bert"])
    func `every weight of a backbone`(_ name: String) throws {
        let probe = try Self.probe(name)
        let gradients = try probe.gradients([.adapters, .parameters], parameters: true)
        let found = try Array(#require(gradients.parameters))
        for entry in probe.backbone.parameters.entries {
            if entry.name.hasPrefix("pooler") { continue }
            let values = probe.backbone.parameters.elements(of: entry)
            let error = try probe.error(
                of: found[entry.offset..<entry.offset + entry.count], at: values, seed: 6,
                changed: { probe.backbone.weightsChanged() })
            #expect(error < 1e-6, "\(entry.name): \(error)")
        }
    }

    @Test(arguments: ["vit_timm", "bert", "qwen3", "falcon_mamba"])
    func `coefficients of several slots`(_ name: String) throws {
        let samples = try Self.probe(name).backbone.lengths(of: Self.probe(name).input).count
        let rows = try Self.probe(name).backbone.lengths(of: Self.probe(name).input).reduce(0, +)
        for (kind, count) in [("constant", 3), ("sample", 3 * samples), ("row", 3 * rows)] {
            var noise = Noise(11)
            let start: [Double] = noise.numbers(count)
            func make(_ values: [Double]) -> Coefficients<Double> {
                switch kind {
                case "constant": .constant(values)
                case "sample": .perSample(values)
                default: .perRow(values)
                }
            }
            var probe = try Self.probe(name, slots: 3, coefficients: make(start))
            let found = try probe.gradients([.adapters, .coefficients])
            #expect(found.coefficients.count == count)
            let direction: [Double] = noise.numbers(count)
            let h = 1e-4
            var values: [Double] = []
            for t in [h, -h, 2 * h, -2 * h] {
                probe.coefficients = make(zip(start, direction).map { $0 + t * $1 })
                values.append(try probe.loss())
            }
            let numeric = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)
            let exact = zip(found.coefficients, direction).reduce(0) { $0 + $1.0 * $1.1 }
            let size = found.coefficients.reduce(0) { $0 + $1 * $1 }.squareRoot()
            #expect(abs(numeric - exact) / size < 1e-6, "\(kind)")
            probe.coefficients = make(start)
            for (index, slot) in probe.mix.slots.enumerated() {
                let error = try probe.error(of: try #require(found.slots[index]), at: slot.values, seed: 8)
                #expect(error < 1e-6, "\(kind), slot \(index)")
            }
        }
    }

    @Test(arguments: [Pooling.cls, .mean, .pooler])
    func `features behind every pooling`(_ pooling: Pooling) throws {
        let fixture = try Fixture(pooling == .pooler ? "bert" : "vit_hf")
        let backbone = try fixture.backbone(Double.self)
        let slot = try fixture.slot(on: backbone)
        let mix = try AdapterMix([slot], on: backbone.description, trainable: [0])
        let input = try fixture.input(Double.self)
        var noise = Noise(1)
        let count = try backbone.features(input, pooling: pooling, mix: mix).count
        let slope: [Double] = noise.numbers(count)
        let gradients = Gradients(backbone: backbone, mix: mix)
        try backbone.step(input, pooling: pooling, mix: mix, into: gradients) { samples, _, gradient, _ in
            let width = backbone.description.width
            for i in 0..<samples.count * width { gradient[i] = slope[samples.lowerBound * width + i] }
        }
        let direction: [Double] = noise.numbers(slot.count)
        let before = Array(slot.values)
        func loss(_ t: Double) throws -> Double {
            slot.assign(zip(before, direction).map { $0 + t * $1 })
            mix.refresh()
            return zip(try backbone.features(input, pooling: pooling, mix: mix), slope).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let h = 1e-4
        let numeric = try (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
        let found = try #require(gradients.slots[0])
        let exact = zip(found, direction).reduce(0) { $0 + $1.0 * $1.1 }
        let size = found.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(abs(numeric - exact) / size < 1e-6)
    }

    @Test(arguments: ["llama", "qwen2", "mamba"])
    func `token losses`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Double.self)
        let slot = try fixture.slot(on: backbone)
        let mix = try AdapterMix([slot], on: backbone.description, trainable: [0])
        let tokens = try fixture.tokens()
        var noise = Noise(2)
        let weights: [Double] = noise.numbers(try backbone.tokenLosses(tokens).count)
        let gradients = Gradients(backbone: backbone, mix: mix)
        let losses = try backbone.languageStep(tokens, mix: mix, weights: weights, into: gradients)
        #expect(losses == (try backbone.tokenLosses(tokens, mix: mix)))
        let direction: [Double] = noise.numbers(slot.count)
        let before = Array(slot.values)
        func loss(_ t: Double) throws -> Double {
            slot.assign(zip(before, direction).map { $0 + t * $1 })
            mix.refresh()
            return zip(try backbone.tokenLosses(tokens, mix: mix), weights).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let h = 1e-4
        let numeric = try (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
        let found = try #require(gradients.slots[0])
        let exact = zip(found, direction).reduce(0) { $0 + $1.0 * $1.1 }
        let size = found.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(abs(numeric - exact) / size < 1e-6)
    }
}
