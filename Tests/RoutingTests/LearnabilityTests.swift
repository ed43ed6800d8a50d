import Foundation
import Networks
import Tensors
import Testing
import Training

@testable import Routing

/// One routed linear learns from the task loss alone which expert a token wants (reference, section 12, 18).
@Suite struct LearnabilityTests {
    static let width = 32
    static let experts = 4

    struct Data {
        let x: [[Double]]
        let task: [Int]
    }

    static func normals(_ count: Int, _ name: String) -> [Double] {
        CounterRandom(seed: 4, stream: name).normalMatrix(rows: 1, columns: count).elements.map(Double.init)
    }

    static func data(_ count: Int, _ name: String) -> Data {
        let centres = normals(experts * width, "centres").map { 1.5 * $0 }
        let noise = normals(count * width, name)
        let tasks = (0..<count).map { $0 % experts }
        return Data(
            x: tasks.enumerated().map { row, task in
                (0..<width).map { centres[task * width + $0] + noise[row * width + $0] }
            }, task: tasks)
    }

    @Test(arguments: [LossOptions.Preset.none, .rslPrinted, .rslSharpen])
    func `the router finds the right expert`(_ preset: LossOptions.Preset) throws {
        let updates = (0..<Self.experts).map { Self.normals(Self.width, "expert \($0)") }
        var options = RouterOptions()
        options.norm = RouterOptions.Norm.none
        let network = RouterNetwork(
            id: "r", options: options, norm: .none, inputs: Self.width, outputs: Self.experts, offset: 0)
        let values = UnsafeMutableBufferPointer<Double>.allocate(capacity: network.count)
        let gradient = UnsafeMutableBufferPointer<Double>.allocate(capacity: network.count)
        defer {
            values.deallocate()
            gradient.deallocate()
        }
        _ = values.initialize(from: Self.normals(network.count, "router").map { 0.02 * $0 })
        gradient.initialize(repeating: 0)
        let optimizer = Optimizer(
            .adamw, groups: [ParameterGroup(name: "router", values: values, gradient: gradient)])
        let train = Self.data(200, "train")
        let rule = MixingRule(
            RoutingOptions(mode: .soft), temperature: 1, experts: Self.experts, nullExpert: false)
        var loss = LossOptions()
        loss.preset = preset
        let terms = LossTerms(losses: loss.terms)
        for step in 0..<400 {
            gradient.update(repeating: 0)
            self.step(network, values, gradient, train, updates, rule, terms, step: step)
            optimizer.step(learningRate: 1e-2)
        }
        let test = Self.data(2000, "test")
        var right = 0
        for (x, task) in zip(test.x, test.task) {
            var (u, z) = ([Double](repeating: 0, count: 4), [Double](repeating: 0, count: 4))
            guard let base = values.baseAddress else { continue }
            network.forward(base, x, units: &u, scores: &z)
            right += z.indices.max { (z[$0], -$0) < (z[$1], -$1) } == task ? 1 : 0
        }
        #expect(Double(right) / 2000 >= 0.99, "\(right) of 2000")
    }

    /// Experts of rank 1: y = Σ w_e ⟨b_e, x⟩·1/√d summed to one number per expert; the target is the task's own.
    private func step(
        _ network: RouterNetwork, _ values: UnsafeMutableBufferPointer<Double>,
        _ gradient: UnsafeMutableBufferPointer<Double>, _ data: Data, _ updates: [[Double]], _ rule: MixingRule,
        _ terms: LossTerms, step: Int
    ) {
        guard let parameters = values.baseAddress, let target = gradient.baseAddress else { return }
        let rows = data.x.count
        var batch = RouterBatch(
            rows: rows, outputs: 4, units: 4, temperature: 1, active: 2, offsets: Array(0...rows))
        for row in 0..<rows {
            var (u, z) = ([Double](repeating: 0, count: 4), [Double](repeating: 0, count: 4))
            network.forward(parameters, data.x[row], units: &u, scores: &z)
            let (p, logP, w) = rule.decide(z)
            // Output Σ_e w_e·b_e (a vector); the MSE's derivative in w_e is 2⟨y − t, b_e⟩/(rows·d).
            var miss = updates[data.task[row]].map { -$0 }
            for e in 0..<4 { for i in miss.indices { miss[i] += w[e] * updates[e][i] } }
            let scale = 2 / Double(rows * Self.width)
            let a = (0..<4).map { e in scale * zip(miss, updates[e]).reduce(0) { $0 + $1.0 * $1.1 } }
            var dz = [Double](repeating: 0, count: 4)
            rule.backward(a, p: p, logP: logP, into: &dz)
            batch.z.replaceSubrange(row * 4..<row * 4 + 4, with: z)
            batch.p.replaceSubrange(row * 4..<row * 4 + 4, with: p)
            batch.logP.replaceSubrange(row * 4..<row * 4 + 4, with: logP)
            batch.dz.replaceSubrange(row * 4..<row * 4 + 4, with: dz)
        }
        var batches = [batch]
        _ = terms.evaluate(&batches, coefficients: terms.losses.map { $0.coefficient(at: step, of: 400) })
        for row in 0..<rows {
            let z = Array(batch.z[row * 4..<row * 4 + 4])
            let dz = Array(batches[0].dz[row * 4..<row * 4 + 4])
            network.backward(
                parameters, data.x[row], units: z, scores: z, dz: dz, du: nil, gradient: target, dx: nil)
        }
    }
}
