import Foundation
import Testing

@testable import Networks

/// Forward and backward of every family against transformers and timm.
@Suite struct ParityTests {
    static let tolerance = 1e-5

    @Test(arguments: Fixture.all)
    func `hidden states and features without and with adapters`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let input = try fixture.input(Float.self)
        let base = try backbone.hiddenStates(input)
        #expect(relativeError(base, try fixture.numbers("base.hidden")) < Self.tolerance)
        let mix = try AdapterMix([try fixture.slot(on: backbone)], on: backbone.description)
        let adapted = try backbone.hiddenStates(input, mix: mix)
        #expect(relativeError(adapted, try fixture.numbers("hidden")) < Self.tolerance)
        for pooling in backbone.description.poolings where fixture.names.contains("features.\(pooling.rawValue)") {
            let features = try backbone.features(input, pooling: pooling, mix: mix)
            #expect(
                relativeError(features, try fixture.numbers("features.\(pooling.rawValue)")) < Self.tolerance,
                "\(pooling)")
        }
    }

    @Test(arguments: Fixture.all)
    func `gradients of every adapter factor`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let slot = try fixture.slot(on: backbone)
        let mix = try AdapterMix([slot], on: backbone.description, trainable: [0])
        let pass = try backbone.forward(try fixture.input(), output: .hiddenStates, mix: mix)
        let gradients = Gradients(backbone: backbone, mix: mix)
        pass.backward(try fixture.numbers("slope").map(Float.init), into: gradients)
        let found = try #require(gradients.slots[0])
        #expect(slot.pairs.count == fixture.names.filter { $0.hasPrefix("grad.") }.count / 2)
        for pair in slot.pairs {
            #expect(
                relativeError(found[pair.a], try fixture.numbers("grad.\(pair.site).a")) < Self.tolerance,
                "\(pair.site).a")
            #expect(
                relativeError(found[pair.b], try fixture.numbers("grad.\(pair.site).b")) < Self.tolerance,
                "\(pair.site).b")
        }
    }

    @Test(arguments: Fixture.images + ["bert"])
    func `gradients of every weight`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let mix = try AdapterMix([try fixture.slot(on: backbone)], on: backbone.description, trainable: [0])
        let pass = try backbone.forward(
            try fixture.input(), output: .hiddenStates, mix: mix, learning: [.adapters, .parameters])
        let gradients = Gradients(backbone: backbone, mix: mix, parameters: true)
        pass.backward(try fixture.numbers("slope").map(Float.init), into: gradients)
        let found = try #require(gradients.parameters)
        var checked = 0
        for source in backbone.checkpointTensors where fixture.names.contains("weight." + source.name) {
            let expected = try fixture.numbers("weight." + source.name)
            // A key bias shifts every score of a row alike: its gradient is zero but for rounding.
            if (expected.map(abs).max() ?? 0) < 1e-6 { continue }
            let error = relativeError(found[source.offset..<source.offset + source.count], expected)
            #expect(error < Self.tolerance, "\(source.name)")
            checked += 1
        }
        #expect(checked >= backbone.checkpointTensors.count - 6)
    }
}
