import Foundation
import Networks
import Testing

@testable import Routing

@Suite struct MixingRuleTests {
    static func rule(
        _ mode: RoutingOptions.Mode, k: Int? = nil, experts: Int = 6, temperature: Double = 0.7, null: Bool = false,
        _ change: (inout RoutingOptions) -> Void = { _ in }
    ) -> MixingRule {
        var options = RoutingOptions(mode: mode, k: k)
        change(&options)
        return MixingRule(options, temperature: temperature, experts: experts, nullExpert: null)
    }

    static let z: [Double] = Noise.numbers(6, seed: 31, scale: 2)

    @Test func `weights sum to 1 and K of them are not zero`() throws {
        for k in 1...6 {
            let w = Self.rule(.topk, k: k).decide(Self.z).w
            #expect(abs(w.reduce(0, +) - 1) < 1e-12)
            #expect(w.filter { $0 != 0 }.count == k)
            let raw = Self.rule(.topkRaw, k: k).decide(Self.z)
            #expect(zip(raw.w, raw.p).allSatisfy { $0 == 0 || $0 == $1 })
            #expect(zip(w, raw.w).allSatisfy { ($0 == 0) == ($1 == 0) })
        }
        let soft = Self.rule(.soft).decide(Self.z)
        #expect(relativeError(Self.rule(.topk, k: 6).decide(Self.z).w, soft.w) < 1e-12)
        #expect(soft.w == soft.p)
    }

    @Test func `ties go to the lowest expert`() throws {
        let w = Self.rule(.topk, k: 2).decide([1, 2, 2, 2, 0, 2]).w
        #expect(w == [0, 0.5, 0.5, 0, 0, 0])
    }

    @Test func `the short way to the K largest agrees with the long one`() throws {
        for seed in 0..<40 {
            let z: [Double] = Noise.numbers(6, seed: UInt64(seed), scale: 2).map { ($0 * 2).rounded() / 2 }
            for k in 1...6 {
                let short = Self.rule(.topk, k: k).decide(z)
                // A threshold that drops nobody takes the long way.
                let long = Self.rule(.topk, k: k) { $0.threshold = 1e-12 }.decide(z)
                #expect(relativeError(short.w, long.w) < 1e-14)
                #expect(zip(short.w, long.w).allSatisfy { ($0 == 0) == ($1 == 0) })
            }
        }
    }

    @Test func `scores far apart neither overflow nor lose the chosen`() throws {
        let w = Self.rule(.topk, k: 2).decide([-900, 900, 800, 0, 0, 0]).w
        #expect(w[1] == 1 && w.reduce(0, +) == 1)
        #expect(Self.rule(.topk, k: 2).decide([-5000, -5001, -9000, -9000, -9000, -9000]).w[1] > 0.1)
    }

    /// ∂(a·w)/∂z for each mode; with a kink only where the chosen change.
    @Test func `gradients of every mode`() throws {
        let a: [Double] = Noise.numbers(6, seed: 32)
        for scale in RoutingOptions.Scale.allCases {
            for (mode, k) in [(RoutingOptions.Mode.soft, 6), (.topk, 6), (.topk, 2), (.topkRaw, 1), (.topkRaw, 3)] {
                let rule = Self.rule(mode, k: k) { $0.scale = scale }
                let numeric = numericGradient(Self.z) { z in zip(rule.decide(z).w, a).reduce(0) { $0 + $1.0 * $1.1 } }
                let found = rule.slope(a, Self.z)
                #expect(relativeError(found + [1], numeric + [1]) < 1e-7, "\(mode) \(k) \(scale)")
            }
        }
        let straight = Self.rule(.topkSTE, k: 2)
        #expect(straight.decide(Self.z).w == Self.rule(.topk, k: 2).decide(Self.z).w)
        #expect(straight.slope(a, Self.z) == Self.rule(.soft).slope(a, Self.z))
    }

    @Test func `one renormalised expert gives the router exactly no gradient`() throws {
        let a: [Double] = Noise.numbers(6, seed: 33)
        #expect(Self.rule(.topk, k: 1).slope(a, Self.z).allSatisfy { $0 == 0 })
        #expect(Self.rule(.topkRaw, k: 1).slope(a, Self.z).contains { $0 != 0 })
    }

    @Test func `a constant on all scores changes nothing`() throws {
        let (first, second) = (Self.rule(.soft).decide(Self.z), Self.rule(.soft).decide(Self.z.map { $0 + 7 }))
        #expect(relativeError(first.p, second.p) < 1e-12)
    }

    @Test func `order of experts is only an order`() throws {
        let order = [3, 0, 5, 1, 4, 2]
        for mode in [RoutingOptions.Mode.soft, .topk, .topkRaw, .topkSTE] {
            let rule = Self.rule(mode, k: 2)
            let plain = rule.decide(Self.z).w
            #expect(relativeError(rule.decide(order.map { Self.z[$0] }).w, order.map { plain[$0] }) < 1e-12)
        }
    }

    @Test func `uncovered experts are left out, or lose their share`() throws {
        let covered = [true, false, true, true, false, true]
        let masked = Self.rule(.soft).decide(Self.z, covered: covered)
        #expect(masked.p[1] == 0 && masked.p[4] == 0)
        #expect(abs(masked.p.reduce(0, +) - 1) < 1e-12)
        let a: [Double] = Noise.numbers(6, seed: 34)
        #expect(Self.rule(.soft).slope(a, Self.z, covered: covered)[1] == 0)
    }

    @Test func `thresholds and shares choose how many stay`() throws {
        let z = [log(0.5), log(0.3), log(0.15), log(0.04), log(0.01), -40]
        let byShare = Self.rule(.topk, temperature: 1) { $0.topP = 0.9 }.decide(z).w
        #expect(byShare.filter { $0 > 0 }.count == 3)
        #expect(abs(byShare.reduce(0, +) - 1) < 1e-12)
        let byThreshold = Self.rule(.topk, k: 6, temperature: 1) { $0.threshold = 0.1 }.decide(z).w
        #expect(byThreshold.filter { $0 > 0 }.count == 3)
        #expect(Self.rule(.topk, k: 6, temperature: 1) { $0.threshold = 0.9 }.decide(z).w == [1, 0, 0, 0, 0, 0])
    }

    @Test func `fixed modes and the null expert`() throws {
        #expect(Self.rule(.uniform, experts: 4).decide([1, 2, 3, 4]).w == [0.25, 0.25, 0.25, 0.25])
        #expect(Self.rule(.fixed, experts: 2) { $0.fixed = [0.2, -1] }.decide([1, 2]).w == [0.2, -1])
        #expect(Self.rule(.hard, experts: 3).decide([1, 2, 3], domain: 1).w == [0, 1, 0])
        let rule = Self.rule(.topk, k: 1, experts: 2, null: true)
        #expect(rule.decide([1, 2, 3]).w == [0, 0, 1])
        let unit = Self.rule(.soft) { $0.scale = .unit }.decide(Self.z).w
        #expect(abs(unit.reduce(0) { $0 + $1 * $1 } - 1) < 1e-12)
    }

    /// Every kind of network with every norm: parameters, input, units.
    @Test func `gradients of every kind of router`() throws {
        for kind in RouterOptions.Kind.allCases {
            for norm in RouterOptions.Norm.allCases {
                var options = RouterOptions()
                (options.kind, options.bias, options.hidden) = (kind, kind != .cosine, 5)
                let network = RouterNetwork(
                    id: "r", options: options, norm: norm, inputs: 7, outputs: 3,
                    owners: kind == .prototypes ? [0, 0, 1, 2, 2] : nil, offset: 2)
                var parameters: [Double] = Noise.numbers(network.count + 2, seed: 41)
                let x: [Double] = Noise.numbers(7, seed: 42)
                let slope: [Double] = Noise.numbers(3, seed: 43)
                let unitSlope: [Double] = Noise.numbers(network.units, seed: 44)
                func run(_ parameters: [Double], _ x: [Double]) -> (x: [Double], u: [Double], z: [Double]) {
                    var x = x
                    var (u, z) = (Array(repeating: 0.0, count: network.units), Array(repeating: 0.0, count: 3))
                    RowNorm.forward(norm, &x, count: 7)
                    network.forward(parameters, x, units: &u, scores: &z)
                    return (x, u, z)
                }
                func loss(_ parameters: [Double], _ x: [Double]) -> Double {
                    let (_, u, z) = run(parameters, x)
                    return zip(z, slope).reduce(0) { $0 + $1.0 * $1.1 }
                        + zip(u, unitSlope).reduce(0) { $0 + $1.0 * $1.1 }
                }
                let (normed, u, z) = run(parameters, x)
                var gradient = Array(repeating: 0.0, count: parameters.count)
                var dx = Array(repeating: 0.0, count: 7)
                network.backward(
                    parameters, normed, units: u, scores: z, dz: slope, du: unitSlope, gradient: &gradient, dx: &dx)
                RowNorm.backward(norm, x, gradient: &dx, count: 7)
                #expect(relativeError(gradient, numericGradient(parameters) { loss($0, x) }) < 1e-6, "\(kind) \(norm)")
                let fixed = parameters
                #expect(relativeError(dx, numericGradient(x) { loss(fixed, $0) }) < 1e-6, "\(kind) \(norm) input")
                parameters[0] = 0
            }
        }
    }
}
