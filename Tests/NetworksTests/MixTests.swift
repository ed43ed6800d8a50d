import Foundation
import Testing

@testable import Networks

/// Several slots on one backbone: coefficients, plans, masks, routers.
@Suite struct MixTests {
    static let names = ["vit_timm", "vit_hf", "bert", "qwen3", "falcon_mamba"]

    static func slots<S: NetworkScalar>(_ backbone: Backbone<S>, _ count: Int) throws -> [LoRASlot<S>] {
        // Ranks, scales and coverage differ.
        try (0..<count).map { index in
            let sites = backbone.description.sites.enumerated().filter { ($0.offset + index) % 3 != 0 }.map(\.element)
            let slot = try LoRASlot<S>(
                name: "s\(index)", sites: sites.map { ($0, 1 + index * 2, 0.3 + Double(index)) },
                on: backbone.description)
            slot.fill(UInt64(70 + index))
            return slot
        }
    }

    @Test(arguments: names)
    func `plans, and coefficients given in any form, agree`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let slots = try Self.slots(backbone, 4)
        let input = try fixture.input(Float.self)
        let packed = try AdapterMix(slots, on: backbone.description)
        let separate = try AdapterMix(slots, on: backbone.description, plan: .separate)
        let lengths = try backbone.lengths(of: input)
        let w: [Float] = [0.5, 0, -0.25, 1]
        let base = try backbone.hiddenStates(input, mix: packed, coefficients: .constant(w)).map(Double.init)
        let forms: [Coefficients<Float>] = [
            .constant(w), .perSample(lengths.flatMap { _ in w }),
            .perRow((0..<lengths.reduce(0, +)).flatMap { _ in w }),
        ]
        for form in forms {
            for mix in [packed, separate] {
                #expect(relativeError(try backbone.hiddenStates(input, mix: mix, coefficients: form), base) < 1e-5)
            }
        }
        // A slot with coefficient 0 is as good as absent.
        let without = try AdapterMix([slots[0], slots[2], slots[3]], on: backbone.description)
        let found = try backbone.hiddenStates(input, mix: without, coefficients: .constant([0.5, -0.25, 1]))
        #expect(relativeError(found, base) < 1e-5)
    }

    @Test(arguments: names)
    func `each sample goes through its own slot`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let slots = try Self.slots(backbone, 3)
        let mix = try AdapterMix(slots, on: backbone.description, plan: .separate)
        let input = try fixture.input(Float.self)
        let pooling = try #require(backbone.description.poolings.first)
        let width = backbone.description.width
        let count = try backbone.lengths(of: input).count
        let choice: [Int?] = (0..<count).map { $0 == 3 ? nil : $0 % 3 }
        let routed = try backbone.features(
            input, pooling: pooling, mix: mix, coefficients: .oneHot(choice, count: 3))
        for (sample, slot) in choice.enumerated() {
            let single = try slot.map { try AdapterMix([slots[$0]], on: backbone.description) }
            let expected = try backbone.features(input, pooling: pooling, mix: single)
            let row = sample * width..<(sample + 1) * width
            #expect(relativeError(routed[row], expected[row].map(Double.init)) < 1e-5)
        }
    }

    @Test(arguments: names)
    func `several experts on one batch train as they would alone`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let slots = try Self.slots(backbone, 3)
        let input = try fixture.input(Float.self)
        let pooling = try #require(backbone.description.poolings.first)
        let width = backbone.description.width
        let count = try backbone.lengths(of: input).count
        func gradient(_ mix: AdapterMix<Float>, _ input: NetworkInput<Float>, _ coefficients: Coefficients<Float>)
            throws -> [[Float]]
        {
            let result = Gradients(backbone: backbone, mix: mix)
            try backbone.step(input, pooling: pooling, mix: mix, coefficients: coefficients, into: result) {
                samples, features, gradient, _ in
                for i in 0..<samples.count * width { gradient[i] = features[i] * (i % 2 == 0 ? 1 : -0.5) }
            }
            return result.slots.map { $0.map(Array.init) ?? [] }
        }
        // The batch three times over, expert by expert, from one kept prefix.
        let prefix = try backbone.prefix(of: input, through: 0)
        let copies = NetworkInput.activations(prefix, samples: (0..<3 * count).map { $0 % count })
        let choice = (0..<3 * count).map { Optional($0 / count) }
        for plan in [AdapterMix<Float>.Plan.packed, .separate] {
            let mix = try AdapterMix(slots, on: backbone.description, trainable: [0, 1, 2], plan: plan)
            let together = try gradient(mix, copies, .oneHot(choice, count: 3))
            for index in 0..<3 {
                let alone = try AdapterMix([slots[index]], on: backbone.description, trainable: [0])
                let expected = try gradient(alone, input, .ones(1))[0]
                #expect(relativeError(together[index], expected.map(Double.init)) < 1e-5)
            }
        }
    }

    @Test(arguments: Fixture.all)
    func `a non-zero adapter on every single site changes the output`(_ name: String) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Float.self)
        let input = try fixture.input(Float.self)
        let base = try backbone.hiddenStates(input)
        let extra: [SiteKind] = name.contains("mamba") ? [.inX, .inZ] : name.hasPrefix("vit") ? [.qkv] : []
        let sites = try backbone.description.sites + backbone.description.sites(extra)
        #expect(sites.count >= backbone.description.depth * 4)
        for site in sites {
            let slot = try LoRASlot<Float>(name: "one", sites: [(site, 2, 1)], on: backbone.description)
            let mix = try AdapterMix([slot], on: backbone.description)
            #expect(try backbone.hiddenStates(input, mix: mix) == base, "zero factors at \(site)")
            slot.fill(3, scale: 1.5)
            mix.refresh()
            let found = try backbone.hiddenStates(input, mix: mix)
            #expect(relativeError(found, base.map(Double.init)) > 1e-4, "\(site)")
        }
    }

    @Test func `one pair on qkv is the three pairs that share its A`() throws {
        let fixture = try Fixture("vit_timm")
        let backbone = try fixture.backbone(Float.self)
        let fused = try fixture.slot(on: backbone)
        let width = backbone.description.width
        let sites = fused.pairs.flatMap { pair -> [(SiteID, Int, Double)] in
            let kinds = pair.site.kind.parts.isEmpty ? [pair.site.kind] : pair.site.kind.parts
            return kinds.map { (SiteID(layer: pair.site.layer, kind: $0), pair.rank, pair.scale) }
        }
        let split = try LoRASlot<Float>(name: "split", sites: sites, on: backbone.description)
        for pair in split.pairs {
            let kind: SiteKind = [.q, .k, .v].contains(pair.site.kind) ? .qkv : pair.site.kind
            let source = try #require(fused.pairs.first { $0.site == SiteID(layer: pair.site.layer, kind: kind) })
            let first = kind == .qkv ? (SiteKind.qkv.parts.firstIndex(of: pair.site.kind) ?? 0) * width * pair.rank : 0
            _ = split.a(pair).update(fromContentsOf: fused.a(source))
            _ = split.b(pair).update(fromContentsOf: fused.b(source)[first..<first + pair.b.count])
        }
        let input = try fixture.input(Float.self)
        let one = try backbone.hiddenStates(input, mix: AdapterMix([fused], on: backbone.description))
        let three = try backbone.hiddenStates(input, mix: AdapterMix([split], on: backbone.description))
        #expect(relativeError(three, one.map(Double.init)) < 1e-5)
    }

    @Test func `coefficients and inputs of the wrong size are refused`() throws {
        let fixture = try Fixture("bert")
        let backbone = try fixture.backbone(Float.self)
        let mix = try AdapterMix(Self.slots(backbone, 2), on: backbone.description)
        let input = try fixture.input(Float.self)
        func refused(_ body: () throws -> Void) { #expect(throws: (any Error).self) { try body() } }
        refused { _ = try backbone.hiddenStates(input, mix: mix, coefficients: .constant([1])) }
        refused { _ = try backbone.hiddenStates(input, mix: mix, coefficients: .perSample([1, 0])) }
        refused { _ = try backbone.hiddenStates(.images([0])) }
        refused { _ = try backbone.hiddenStates(.tokens(TokenBatch([[1], []]))) }
        refused { _ = try backbone.hiddenStates(.tokens(TokenBatch([[37]]))) }
        refused { _ = try backbone.hiddenStates(.tokens(TokenBatch([[-1]]))) }
        refused { _ = try backbone.hiddenStates(.tokens(TokenBatch([Array(repeating: 2, count: 21)]))) }
        refused { _ = try backbone.features(input, pooling: .last) }
    }
}

/// A linear router per linear: p = softmax(R·x), as the routing engine will have it; keeps p per row.
final class ProbeRouter: SiteRouter, @unchecked Sendable {
    typealias S = Double
    let slots: Int
    let perSite: Bool
    var weights: [String: [Double]] = [:]
    var gradients: [[String: [Double]]] = Array(repeating: [:], count: ForwardPass<Double>.accumulators)
    var entered = 0
    var left = 0

    init(slots: Int, perSite: Bool) {
        self.slots = slots
        self.perSite = perSite
    }

    private func key(_ point: RoutingPoint) -> String { "\(point.layer).\(point.group)" }

    func matrix(_ point: RoutingPoint, columns: Int) -> [Double] {
        if let found = weights[key(point)] { return found }
        var noise = Noise(UInt64(point.layer * 10 + point.group))
        let made: [Double] = noise.numbers(columns * point.inputs, scale: 0.5)
        weights[key(point)] = made
        return made
    }

    func coefficients(at point: RoutingPoint, rows: RoutedRows<Double>, into w: UnsafeMutablePointer<Double>) {
        let r = matrix(point, columns: rows.columns)
        for row in 0..<rows.count {
            let x = rows.input + row * rows.stride
            for block in stride(from: 0, to: rows.columns, by: slots) {
                let z = (block..<block + slots).map { c in
                    (0..<rows.width).reduce(0) { $0 + r[c * rows.width + $1] * x[$1] }
                }
                let total = z.reduce(0) { $0 + exp($1) }
                for (i, value) in z.enumerated() { w[row * rows.columns + block + i] = exp(value) / total }
            }
        }
    }

    func backward(
        at point: RoutingPoint, rows: RoutedRows<Double>, weights p: UnsafePointer<Double>,
        weightGradient: UnsafePointer<Double>, inputGradient: UnsafeMutablePointer<Double>?
    ) {
        let r = matrix(point, columns: rows.columns)
        var target = gradients[rows.accumulator][key(point)] ?? r.map { _ in 0 }
        for row in 0..<rows.count {
            let x = rows.input + row * rows.stride
            for block in stride(from: 0, to: rows.columns, by: slots) {
                let place = row * rows.columns + block
                let mean = (0..<slots).reduce(0) { $0 + p[place + $1] * weightGradient[place + $1] }
                for i in 0..<slots {
                    let dz = p[place + i] * (weightGradient[place + i] - mean)
                    for k in 0..<rows.width {
                        target[(block + i) * rows.width + k] += dz * x[k]
                        inputGradient?[row * rows.width + k] += dz * r[(block + i) * rows.width + k]
                    }
                }
            }
        }
        gradients[rows.accumulator][key(point)] = target
    }

    func enter(layer: Int, rows: RoutedRows<Double>) { entered += 1 }
    func leave(layer: Int, rows: RoutedRows<Double>, inputGradient: UnsafeMutablePointer<Double>?) { left += 1 }
}

@Suite struct RouterTests {
    @Test(arguments: ["vit_hf", "bert", "llama", "falcon_mamba"], [false, true])
    func `a router at every linear receives its gradient and passes one on`(_ name: String, _ perSite: Bool) throws {
        let fixture = try Fixture(name)
        let backbone = try fixture.backbone(Double.self)
        let slots = try MixTests.slots(backbone, 3)
        let mix = try AdapterMix(slots, on: backbone.description, trainable: [1], perSite: perSite)
        let router = ProbeRouter(slots: 3, perSite: perSite)
        let input = try fixture.input(Double.self)
        func run() throws -> [Double] {
            try backbone.hiddenStates(input, mix: mix, coefficients: .routed(router), threads: 1)
        }
        var noise = Noise(4)
        let slope: [Double] = noise.numbers(try run().count)
        let pass = try backbone.forward(
            input, output: .hiddenStates, mix: mix, coefficients: .routed(router),
            learning: [.adapters, .coefficients], threads: 1)
        let gradients = Gradients(backbone: backbone, mix: mix)
        pass.backward(slope, into: gradients)
        #expect(router.entered >= 2 * backbone.description.depth && router.left == backbone.description.depth)
        #expect(router.weights.count == mix.points.count)
        func check(_ exact: Double, _ size: Double, _ move: (Double) throws -> Void, _ what: String) throws {
            func loss(_ t: Double) throws -> Double {
                try move(t)
                return zip(try run(), slope).reduce(0) { $0 + $1.0 * $1.1 }
            }
            let h = 1e-4
            let numeric = try (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
            try move(0)
            #expect(abs(numeric - exact) / max(size, 1e-3) < 1e-6, "\(what)")
        }
        for (key, start) in router.weights {
            let found = router.gradients.compactMap { $0[key] }.reduce(start.map { _ in 0 }) { zip($0, $1).map(+) }
            let direction: [Double] = noise.numbers(start.count)
            let exact = zip(found, direction).reduce(0) { $0 + $1.0 * $1.1 }
            let size = found.reduce(0) { $0 + $1 * $1 }.squareRoot()
            try check(exact, size, { t in router.weights[key] = zip(start, direction).map { $0 + t * $1 } }, key)
        }
        // Adapters below a router see what it passes on.
        let slot = slots[1]
        let before = Array(slot.values)
        let direction: [Double] = noise.numbers(slot.count)
        let found = try Array(#require(gradients.slots[1]))
        let exact = zip(found, direction).reduce(0) { $0 + $1.0 * $1.1 }
        let size = found.reduce(0) { $0 + $1 * $1 }.squareRoot()
        try check(
            exact, size,
            { t in
                slot.assign(zip(before, direction).map { $0 + t * $1 })
                mix.refresh()
            }, "slot")
    }
}
