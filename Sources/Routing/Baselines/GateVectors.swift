import Diagnostics
import Foundation
import Networks
import Synchronization
import Tensors
import Training

/// Gate vectors (section 7.6; PHATGOOSE, Muqeeth et al. 2024): per expert and site one vector g, trained from zero with the
/// expert frozen and y = W·x + ΔW·x·σ(⟨g, x⟩) on samples of the expert's own task. Afterwards x and g are standardised
/// over their entries, z_e = ⟨ĝ_e, x̂⟩/√d, top 2, softmax.
struct GateVectors: RoutingBaseline {
    var steps = 100
    var learningRate = 1e-3
    var batch = 16
    var k = 2

    let id = "gate-vectors"
    let summary = "per token: experts by gates that each learned on its own task"
    let needsTraining = true

    func results(_ context: BaselineContext) throws -> [RoutedResult] {
        guard let training = context.training,
            let loss = try? TaskLoss(
                context.evaluation.head, unitLength: context.evaluation.loaded.suite.normalisation == .l2)
        else { return [] }
        var gates: [[SiteID: [Double]]?] = []
        for expert in 0..<context.experts.count {
            let own = training.domains.indices.filter { training.domains[$0] == expert }
            gates.append(own.isEmpty ? nil : try learn(expert, own, training.samples, loss, context))
        }
        let tables = try Self.tables(gates, context.experts)
        let router = ScoreRouter(tables, experts: context.experts.count, k: k)
        let subject = RoutingSubject(label: id, kind: .router(router), perSite: true)
        return [
            RoutedResult(try context.book.predictions(subject), detail: "k = \(k), \(steps) steps per expert")
        ]
    }

    static func tables(
        _ gates: [[SiteID: [Double]]?], _ experts: RoutedExperts
    ) throws -> [ExpertSite.Key: any SiteScores] {
        try ExpertSite.all(experts).reduce(into: [:]) { result, site in
            result[site.key] = GateScores(
                gates: gates.map { $0?[site.site].map(GateScores.standardised) }, inputs: site.inputs)
        }
    }

    /// Trains the gates of one expert on samples of its task.
    private func learn(
        _ expert: Int, _ own: [Int], _ samples: RoutedSamples, _ loss: TaskLoss, _ context: BaselineContext
    ) throws -> [SiteID: [Double]] {
        let experts = context.experts
        let backbone = experts.backbone
        let slot = experts.slots[expert]
        let mix = try AdapterMix([slot], on: backbone.description, perSite: true)
        let gate = try GateRouter<Float>(slot, on: backbone.description)
        let gradients = Gradients(backbone: backbone, mix: mix)
        let optimizer = Optimizer(
            .adamw,
            groups: [
                ParameterGroup(name: "gates", values: gate.values, gradient: gate.slopes, weightDecay: 0)
            ])
        let batches = BatchOrder.batches(own, size: batch, steps: steps, seed: context.seed, stage: "gates \(expert)")
        for batch in batches {
            if context.book.isCancelled() { throw CancellationError() }
            let pass = try backbone.forward(
                samples.encoded.input(batch), output: .features(context.evaluation.loaded.suite.feature), mix: mix,
                coefficients: .routed(gate), learning: .coefficients, threads: context.evaluation.threads)
            let (_, slope) = loss.evaluate(pass.output, labels: batch.map { samples.encoded.labels[$0] })
            gradients.zero()
            gate.begin()
            pass.backward(slope, into: gradients)
            gate.finish()
            optimizer.step(learningRate: learningRate)
        }
        return gate.gates
    }
}

/// Standardised gates of the experts at one site.
struct GateScores: SiteScores {
    /// Zero mean, unit variance over the entries; nil where an expert has none.
    let gates: [[Double]?]
    let inputs: Int

    var covered: [Bool] { gates.map { $0 != nil } }

    func score(_ x: UnsafePointer<Double>, into z: UnsafeMutablePointer<Double>) {
        // ⟨ĝ, x̂⟩ = ⟨ĝ, x⟩/deviation, because the entries of ĝ sum to zero.
        let n = Double(inputs)
        let mean = RowKernel.sum(inputs, x) / n
        let variance = max(0, RowKernel.dot(inputs, x, x) / n - mean * mean)
        let factor = variance > 0 ? 1 / (variance * n).squareRoot() : 0
        for (expert, gate) in gates.enumerated() {
            guard let gate else { continue }
            z[expert] = gate.withUnsafeBufferPointer { g in
                g.baseAddress.map { factor * RowKernel.dot(inputs, $0, x) } ?? 0
            }
        }
    }

    /// (v − mean)/deviation; constant vectors become zero.
    static func standardised(_ v: [Double]) -> [Double] {
        let n = Double(max(1, v.count))
        let mean = v.reduce(0, +) / n
        let variance = v.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
        guard variance > 0 else { return Array(repeating: 0, count: v.count) }
        return v.map { ($0 - mean) / variance.squareRoot() }
    }
}

/// One expert's gates: w = σ(⟨g, x⟩) per token and site, with the gradient at g.
final class GateRouter<S: NetworkScalar>: SiteRouter, @unchecked Sendable {
    private struct Place {
        let site: SiteID
        let range: Range<Int>
    }

    /// All gates one after another, and their gradient.
    let values: UnsafeMutableBufferPointer<Double>
    let slopes: UnsafeMutableBufferPointer<Double>
    private var places: [ExpertSite.Key: Place] = [:]
    /// Sums of blocks, one per accumulator of the pass.
    private var sums: [UnsafeMutablePointer<Double>] = []
    private let count: Int

    init(_ slot: LoRASlot<S>, on description: BackboneDescription) throws {
        var next = 0
        for pair in slot.pairs {
            let shape = try description.shape(of: pair.site)
            let kind = description.groups[shape.group].kinds.firstIndex(of: pair.site.kind) ?? 0
            places[.init(layer: pair.site.layer, group: shape.group, kind: kind)] = Place(
                site: pair.site, range: next..<next + pair.inputs)
            next += pair.inputs
        }
        count = next
        values = .allocate(capacity: max(1, next))
        slopes = .allocate(capacity: max(1, next))
        values.initialize(repeating: 0)
        slopes.initialize(repeating: 0)
        sums = (0..<ForwardPass<Double>.accumulators).map { _ in
            let buffer = UnsafeMutablePointer<Double>.allocate(capacity: max(1, next))
            buffer.initialize(repeating: 0, count: max(1, next))
            return buffer
        }
    }

    deinit {
        values.deallocate()
        slopes.deallocate()
        for buffer in sums { buffer.deallocate() }
    }

    var gates: [SiteID: [Double]] {
        places.values.reduce(into: [:]) { $0[$1.site] = Array(values[$1.range]) }
    }

    func coefficients(at point: RoutingPoint, rows: RoutedRows<S>, into weights: UnsafeMutablePointer<S>) {
        weights.update(repeating: 0, count: rows.count * rows.columns)
        for site in 0..<rows.columns {
            guard let place = places[.init(layer: point.layer, group: point.group, kind: site)] else { continue }
            let first = place.range.lowerBound
            for row in 0..<rows.count {
                let x = rows.input + row * rows.stride
                var sum = 0.0
                for i in 0..<rows.width { sum += values[first + i] * Double(x[i]) }
                weights[row * rows.columns + site] = S(1 / (1 + exp(-sum)))
            }
        }
    }

    func backward(
        at point: RoutingPoint, rows: RoutedRows<S>, weights: UnsafePointer<S>, weightGradient: UnsafePointer<S>,
        inputGradient: UnsafeMutablePointer<S>?
    ) {
        let target = sums[rows.accumulator]
        for site in 0..<rows.columns {
            guard let place = places[.init(layer: point.layer, group: point.group, kind: site)] else { continue }
            for row in 0..<rows.count {
                let w = Double(weights[row * rows.columns + site])
                let slope = Double(weightGradient[row * rows.columns + site]) * w * (1 - w)
                let x = rows.input + row * rows.stride
                let first = place.range.lowerBound
                for i in 0..<rows.width { target[first + i] += slope * Double(x[i]) }
                guard let back = inputGradient.map({ $0 + row * rows.width }) else { continue }
                for i in 0..<rows.width { back[i] = back[i] + S(slope * values[first + i]) }
            }
        }
    }

    /// Forgets the gradient.
    func begin() { for buffer in sums { buffer.update(repeating: 0, count: max(1, count)) } }

    /// Sums the blocks in their order.
    func finish() {
        for i in 0..<count { slopes[i] = sums.reduce(0) { $0 + $1[i] } }
    }
}
