import Foundation
import Networks
import Tensors
import Testing

@testable import Routing

/// Tiny random backbones of every family, with experts on every linear.
struct TinyMixture<S: NetworkScalar> {
    let backbone: Backbone<S>
    let slots: [LoRASlot<S>]
    let input: NetworkInput<S>

    static func folder(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
            + "/NetworksTests/Fixtures/" + name
    }

    /// - Parameters:
    ///   - lengths: tokens of each sample; images ignore all but the number.
    ///   - skips: leave out every third site of an expert, so that coverage differs.
    init(_ name: String, experts: Int = 3, lengths: [Int] = [4, 2, 5], skips: Bool = false) throws {
        let backbone = try Backbone<S>(folder: Self.folder(name))
        self.backbone = backbone
        slots = try (0..<experts).map { index in
            let sites = backbone.description.sites.enumerated().filter { !skips || ($0.offset + index) % 3 != 0 }
            let slot = try LoRASlot<S>(
                name: "e\(index)", sites: sites.map { ($0.element, 1 + index % 3, 0.6 + 0.3 * Double(index)) },
                on: backbone.description)
            slot.assign(Noise.numbers(slot.count, seed: UInt64(100 + index), scale: 0.4))
            return slot
        }
        switch backbone.description.input {
        case .images(let channels, let height, let width):
            let pixels: [Double] = Noise.numbers(lengths.count * channels * height * width, seed: 3)
            input = .images(pixels.map(Float.init))
        case .tokens(let vocabulary, _):
            let random = CounterRandom(seed: 5, stream: "tokens")
            var next: UInt64 = 0
            input = .tokens(
                TokenBatch(
                    lengths.map { length in
                        (0..<length).map { _ in
                            next += 1
                            return Int32(Double(random.uniform(next)) * Double(vocabulary))
                        }
                    }))
        }
    }

    var coverage: ExpertCoverage { ExpertCoverage(slots.map(\.sites)) }

    func mix(perSite: Bool = false, trainable: Set<Int> = []) throws -> AdapterMix<S> {
        try AdapterMix(slots, on: backbone.description, trainable: trainable, perSite: perSite)
    }

    /// A model with random parameters.
    func model(_ options: RouterOptions, seed: UInt64 = 9, scale: Double = 0.5) throws -> RouterModel {
        let model = try RouterModel(
            options, coverage: coverage, on: backbone.description, classes: slots.indices.map { [2 * $0, 2 * $0 + 1] })
        model.values = Noise.numbers(model.count, seed: seed, scale: scale)
        for network in model.networks {
            if let gain = network.tensor("gain") { model.parameters[gain.range.lowerBound] = 3 }
        }
        return model
    }
}

enum Noise {
    /// Reproducible numbers in [−scale, scale).
    static func numbers<T: BinaryFloatingPoint>(_ count: Int, seed: UInt64, scale: Double = 1) -> [T] {
        let random = CounterRandom(seed: seed, stream: "noise")
        return (0..<count).map { T(scale * (2 * Double(random.uniform(UInt64($0))) - 1)) }
    }
}

/// Largest difference relative to the largest expected value.
func relativeError<A: BinaryFloatingPoint, B: BinaryFloatingPoint>(
    _ found: some Collection<A>, _ expected: some Collection<B>
) -> Double {
    guard found.count == expected.count else { return .infinity }
    let scale = expected.map { abs(Double($0)) }.max() ?? 0
    let error = zip(found, expected).map { abs(Double($0) - Double($1)) }.max() ?? 0
    return error.isNaN ? .infinity : error / max(scale, 1e-30)
}

/// Numeric gradient of a function of some numbers, fourth order.
func numericGradient(_ x: [Double], step: Double = 1e-3, _ f: ([Double]) -> Double) -> [Double] {
    x.indices.map { i in
        func at(_ t: Double) -> Double {
            var moved = x
            moved[i] += t
            return f(moved)
        }
        return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
    }
}

extension MixingRule {
    /// Probabilities and weights of one row of scores.
    func decide(_ z: [Double], covered: [Bool]? = nil, domain: Int? = nil) -> (p: [Double], logP: [Double], w: [Double])
    {
        var p = [Double](repeating: 0, count: outputs)
        var (logP, w) = (p, p)
        probabilities(z, covered: covered, p: &p, logP: &logP)
        weights(p: p, logP: logP, domain: domain, into: &w)
        return (p, logP, w)
    }

    func slope(_ a: [Double], _ z: [Double], covered: [Bool]? = nil) -> [Double] {
        let (p, logP, _) = decide(z, covered: covered)
        var dz = [Double](repeating: 0, count: outputs)
        backward(a, p: p, logP: logP, into: &dz)
        return dz
    }
}
