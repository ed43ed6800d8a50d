import Networks
import Synchronization

/// The routers of a model at a backbone's linears (scopes `input`, `site` and `layer`).
///
/// ```swift
/// let router = LearnedRouter<Float>(model, routing: RoutingOptions(mode: .soft))
/// router.begin(lengths: try backbone.lengths(of: input))
/// let pass = try backbone.forward(input, output: .features(.mean), mix: mix, coefficients: .routed(router), learning: .coefficients)
/// var batches = router.batches()            // losses add their gradients
/// router.finish(batches)
/// pass.backward(gradient, into: gradients)  // router.gradient() has ∂L/∂parameters
/// ```
/// Passes without `begin` keep nothing. One pass at a time.
public final class LearnedRouter<S: NetworkScalar>: SiteRouter, @unchecked Sendable {
    public let model: RouterModel
    public let rule: MixingRule
    /// Set by `begin`; nil: nothing is kept.
    var tape: RouterTape?
    private let form: DecisionRows.Form
    /// What the layer's router decided, by (layer, first row).
    private let shared = Mutex<[LayerPlace: SharedDecision]>([:])
    /// Sums of rows by network, while a decoder runs; nil outside of generation.
    private let sums: Mutex<[Int: RowSum]>?

    private struct LayerPlace: Hashable {
        let layer: Int
        let row: Int
    }

    private struct SharedDecision {
        var decision: Decision
        let ofRow: [Int]
        /// ∂L/∂w [decisions, outputs], summed over the layer's linears.
        var gradient: [Double]
    }

    /// - Parameter generating: the passes extend one sequence, token by token: prefix means go on where they stopped.
    public init(_ model: RouterModel, routing: RoutingOptions, generating: Bool = false) {
        self.model = model
        rule = MixingRule(
            routing, temperature: model.options.temperature, experts: model.experts,
            nullExpert: model.options.nullExpert)
        form = DecisionRows.form(model)
        sums = generating ? Mutex([:]) : nil
    }

    // MARK: Forward

    public func coefficients(at point: RoutingPoint, rows: RoutedRows<S>, into weights: UnsafeMutablePointer<S>) {
        let experts = model.experts
        if model.options.scope == .layer {
            let known = shared.withLock { $0[LayerPlace(layer: point.layer, row: rows.firstRow)] }
            guard let known else { return weights.update(repeating: 0, count: rows.count * rows.columns) }
            write(known.decision, known.ofRow, column: 0, rows, into: weights)
            return
        }
        weights.update(repeating: 0, count: rows.count * rows.columns)
        for site in 0..<max(1, rows.columns / experts) {
            guard let index = model.network(layer: point.layer, group: point.group, kind: site) else { continue }
            let (read, decision) = decide(index, rows)
            write(decision, read.decisionOfRow, column: site * experts, rows, into: weights)
        }
    }

    public func enter(layer: Int, rows: RoutedRows<S>) {
        guard let index = model.layerNetwork(layer) else { return }
        let (read, decision) = decide(index, rows)
        let entry = SharedDecision(
            decision: decision, ofRow: read.decisionOfRow, gradient: Array(repeating: 0, count: decision.w.count))
        shared.withLock { $0[LayerPlace(layer: layer, row: rows.firstRow)] = entry }
    }

    private func decide(_ index: Int, _ rows: RoutedRows<S>) -> (DecisionRows, Decision) {
        var carry = sums?.withLock { $0[index] ?? RowSum(width: rows.width) }
        var read = DecisionRows(form, rows, carry: &carry)
        if let carry { sums?.withLock { $0[index] = carry } }
        let sample = read.sampleOfDecision
        let count = read.count
        let decision = read.values.withUnsafeMutableBufferPointer { buffer in
            model.decide(index, buffer, rows: count, rule: rule) { row in
                self.tape?.domain(rows.firstSample + sample[row])
            }
        }
        if rows.isRecorded || tape != nil {
            tape?.store(decision, network: index, at: place(rows))
        }
        return (read, decision)
    }

    /// The first decision's place in the batch.
    private func place(_ rows: RoutedRows<S>) -> Int { form == .means ? rows.firstSample : rows.firstRow }

    private func write(
        _ decision: Decision, _ ofRow: [Int], column: Int, _ rows: RoutedRows<S>,
        into weights: UnsafeMutablePointer<S>
    ) {
        let (experts, outputs) = (model.experts, model.outputs)
        let sites = model.options.scope == .layer ? max(1, rows.columns / experts) : 1
        for row in 0..<rows.count {
            for site in 0..<sites {
                let target = weights + row * rows.columns + column + site * experts
                for e in 0..<experts { target[e] = S(decision.w[ofRow[row] * outputs + e]) }
            }
        }
    }

    // MARK: Backward

    public func backward(
        at point: RoutingPoint, rows: RoutedRows<S>, weights: UnsafePointer<S>, weightGradient: UnsafePointer<S>,
        inputGradient: UnsafeMutablePointer<S>?
    ) {
        let experts = model.experts
        if model.options.scope == .layer {
            addShared(point, rows, weightGradient)
            return
        }
        for site in 0..<max(1, rows.columns / experts) {
            guard let index = model.network(layer: point.layer, group: point.group, kind: site) else { continue }
            var carry: RowSum?
            let read = DecisionRows(form, rows, carry: &carry)
            let outputs = model.outputs
            let slope = read.gathered(outputs) { row, e in
                e < experts ? Double(weightGradient[row * rows.columns + site * experts + e]) : 0
            }
            learn(index, read, rows, slope, inputGradient)
        }
    }

    private func addShared(_ point: RoutingPoint, _ rows: RoutedRows<S>, _ weightGradient: UnsafePointer<S>) {
        let (experts, outputs) = (model.experts, model.outputs)
        shared.withLock { table in
            let place = LayerPlace(layer: point.layer, row: rows.firstRow)
            guard var entry = table[place] else { return }
            for row in 0..<rows.count {
                for column in 0..<rows.columns {
                    entry.gradient[entry.ofRow[row] * outputs + column % experts] +=
                        Double(weightGradient[row * rows.columns + column])
                }
            }
            table[place] = entry
        }
    }

    public func leave(layer: Int, rows: RoutedRows<S>, inputGradient: UnsafeMutablePointer<S>?) {
        guard let index = model.layerNetwork(layer) else { return }
        let entry = shared.withLock { $0.removeValue(forKey: LayerPlace(layer: layer, row: rows.firstRow)) }
        guard let entry else { return }
        var carry: RowSum?
        learn(index, DecisionRows(form, rows, carry: &carry), rows, entry.gradient, inputGradient)
    }

    /// From ∂L/∂w [decisions, outputs] to the parameters and the input.
    private func learn(
        _ index: Int, _ read: DecisionRows, _ rows: RoutedRows<S>, _ slope: [Double],
        _ inputGradient: UnsafeMutablePointer<S>?
    ) {
        guard let tape else { return }
        let outputs = model.outputs
        let decision = tape.decision(network: index, at: place(rows), rows: read.count)
        var (dz, du) = tape.losses(network: index, at: place(rows), rows: read.count)
        for row in 0..<read.count {
            let first = row * outputs
            slope.withUnsafeBufferPointer { a in
                decision.p.withUnsafeBufferPointer { p in
                    decision.logP.withUnsafeBufferPointer { logP in
                        dz.withUnsafeMutableBufferPointer { dz in
                            guard let a = a.baseAddress, let p = p.baseAddress, let logP = logP.baseAddress,
                                let dz = dz.baseAddress
                            else { return }
                            rule.backward(a + first, p: p + first, logP: logP + first, into: dz + first)
                        }
                    }
                }
            }
        }
        let gradient = tape.accumulator(rows.accumulator)
        let wanted = inputGradient != nil && !model.options.detachInput
        var dx = [Double](repeating: 0, count: wanted ? read.values.count : 0)
        read.values.withUnsafeBufferPointer { raw in
            dx.withUnsafeMutableBufferPointer { dx in
                du.withUnsafeMutableBufferPointer { du in
                    dz.withUnsafeBufferPointer { dz in
                        guard let raw = raw.baseAddress, let dz = dz.baseAddress else { return }
                        model.learn(
                            index, raw: raw, decision: decision, dz: dz, du: du.baseAddress.map { UnsafePointer($0) },
                            gradient: gradient, dx: wanted ? dx.baseAddress : nil)
                        if wanted, let inputGradient, let dx = dx.baseAddress { read.spread(dx, to: inputGradient) }
                    }
                }
            }
        }
    }

    // MARK: Training

    /// Prepares for one recorded batch.
    ///
    /// - Parameters:
    ///   - domains: expert of each sample's task, for mode `hard` and losses that want it.
    ///   - labels: unit of each sample's class.
    public func begin(lengths: [Int], domains: [Int?] = [], labels: [Int?] = []) {
        tape = RouterTape(model, rule: rule, form: form, lengths: lengths, domains: domains, labels: labels)
        shared.withLock { $0.removeAll(keepingCapacity: true) }
    }

    /// What every network decided, after the forward pass.
    public func batches() -> [RouterBatch] { tape?.batches() ?? [] }

    /// Takes the losses' gradients over, before the backward pass.
    public func finish(_ batches: [RouterBatch]) { tape?.extra = batches }

    /// ∂L/∂parameters, after the backward pass.
    public func gradient() -> [Double] { tape?.gradient() ?? Array(repeating: 0, count: model.count) }

    /// Ends recording.
    public func end() { tape = nil }
}
