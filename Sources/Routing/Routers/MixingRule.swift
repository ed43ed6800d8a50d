import Foundation

/// Scores of one row → probabilities → mixing weights, and back (sections 3.2 and 4.1).
///
/// `outputs` counts the null expert when there is one; it stands last.
public struct MixingRule: Sendable {
    public let options: RoutingOptions
    public let temperature: Double
    public let outputs: Int
    /// Experts that change something.
    public let experts: Int
    /// K.
    public let active: Int

    public init(_ options: RoutingOptions, temperature: Double, experts: Int, nullExpert: Bool) {
        self.options = options
        self.temperature = temperature
        self.experts = experts
        outputs = experts + (nullExpert ? 1 : 0)
        active = options.active(of: outputs)
    }

    /// p = softmax(z/τ) and ln p = z/τ − logsumexp(z/τ); outputs that are not covered have p = 0, ln p = −∞.
    ///
    /// - Parameter covered: nil: all; with nobody covered every p is 0.
    public func probabilities(
        _ z: UnsafePointer<Double>, covered: [Bool]?, p: UnsafeMutablePointer<Double>,
        logP: UnsafeMutablePointer<Double>
    ) {
        var top = -Double.infinity
        for i in 0..<outputs where covered?[i] ?? true { top = max(top, z[i]) }
        var sum = 0.0
        for i in 0..<outputs where covered?[i] ?? true { sum += exp((z[i] - top) / temperature) }
        let logSum = top / temperature + log(sum)
        for i in 0..<outputs {
            let isIn = (covered?[i] ?? true) && sum > 0
            logP[i] = isIn ? z[i] / temperature - logSum : -.infinity
            p[i] = isIn ? exp(logP[i]) : 0
        }
    }

    /// Mixing weights [outputs] from probabilities.
    ///
    /// - Parameter domain: the expert of the sample's task, for mode `hard`; nil: none.
    public func weights(
        p: UnsafePointer<Double>, logP: UnsafePointer<Double>, domain: Int?, into w: UnsafeMutablePointer<Double>
    ) {
        w.update(repeating: 0, count: outputs)
        switch options.mode {
        case .hard: if let domain { w[domain] = 1 }
        case .soft: w.update(from: p, count: outputs)
        case .uniform: for i in 0..<experts { w[i] = 1 / Double(experts) }
        case .fixed: for i in 0..<min(experts, options.fixed.count) { w[i] = options.fixed[i] }
        case .topk, .topkSTE:
            if options.topP == nil, options.threshold == 0 {
                largest(logP, into: w)
            } else {
                renormalised(chosen(p, logP), logP, into: w)
                dropSmall(w, logP)
            }
        case .topkRaw: for i in chosen(p, logP) { w[i] = p[i] }
        }
        if options.scale == .unit, options.mode.isRouted { scaleToUnit(w) }
    }

    /// Softmax over the K likeliest, without arrays: this runs for every token. The lower index wins a tie.
    private func largest(_ logP: UnsafePointer<Double>, into w: UnsafeMutablePointer<Double>) {
        withUnsafeTemporaryAllocation(of: Int.self, capacity: active) { kept in
            var count = 0
            for i in 0..<outputs where logP[i] > -.infinity {
                var place = count
                while place > 0, logP[kept[place - 1]] < logP[i] { place -= 1 }
                if place == active { continue }
                count = min(count + 1, active)
                var moved = count - 1
                while moved > place {
                    kept[moved] = kept[moved - 1]
                    moved -= 1
                }
                kept[place] = i
            }
            guard count > 0 else { return }
            let top = logP[kept[0]]
            var sum = 0.0
            for i in 0..<count {
                let power = exp(logP[kept[i]] - top)
                w[kept[i]] = power
                sum += power
            }
            for i in 0..<count { w[kept[i]] /= sum }
        }
    }

    /// The outputs that stay: the K likeliest, or the likeliest that reach `topP` together; the lower index wins a tie.
    public func chosen(_ p: UnsafePointer<Double>, _ logP: UnsafePointer<Double>) -> [Int] {
        let order = (0..<outputs).filter { logP[$0] > -.infinity }.sorted { (-logP[$0], $0) < (-logP[$1], $1) }
        guard let share = options.topP else { return Array(order.prefix(active)) }
        var mass = 0.0
        var kept: [Int] = []
        for i in order where kept.isEmpty || mass < share {
            kept.append(i)
            mass += p[i]
        }
        return kept
    }

    /// Softmax over the chosen: the same as dividing their p by its sum, but without underflow.
    private func renormalised(
        _ chosen: [Int], _ logP: UnsafePointer<Double>, into w: UnsafeMutablePointer<Double>
    ) {
        let top = chosen.map { logP[$0] }.max() ?? 0
        let sum = chosen.reduce(0.0) { $0 + exp(logP[$1] - top) }
        for i in 0..<outputs { w[i] = 0 }
        for i in chosen { w[i] = exp(logP[i] - top) / sum }
    }

    private func dropSmall(_ w: UnsafeMutablePointer<Double>, _ logP: UnsafePointer<Double>) {
        guard options.threshold > 0 else { return }
        let kept = (0..<outputs).filter { w[$0] >= options.threshold && w[$0] > 0 }
        // The strongest stays whatever the threshold.
        let strongest = (0..<outputs).max { (w[$0], -$0) < (w[$1], -$1) }
        renormalised(kept.isEmpty ? [strongest ?? 0] : kept, logP, into: w)
    }

    private func length(_ w: UnsafePointer<Double>) -> Double {
        var sum = 0.0
        for i in 0..<outputs { sum += w[i] * w[i] }
        return sum.squareRoot()
    }

    private func scaleToUnit(_ w: UnsafeMutablePointer<Double>) {
        let length = length(w)
        guard length > 0 else { return }
        for i in 0..<outputs { w[i] /= length }
    }

    /// Adds ∂L/∂z to `dz` from a = ∂L/∂w [outputs].
    public func backward(
        _ a: UnsafePointer<Double>, p: UnsafePointer<Double>, logP: UnsafePointer<Double>,
        into dz: UnsafeMutablePointer<Double>
    ) {
        guard options.mode.isRouted else { return }
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * outputs) { buffer in
            guard let g = buffer.baseAddress else { return }
            let w = g + outputs
            MixingRule(convex: self).weights(p: p, logP: logP, domain: nil, into: w)
            slope(a, convexWeights: w, into: g)
            switch options.mode {
            case .topk:
                chain(w, g, into: dz)
            case .topkRaw:
                for i in 0..<outputs where w[i] == 0 { g[i] = 0 }
                chain(p, g, into: dz)
            default: chain(p, g, into: dz)
            }
        }
    }

    /// ∂L/∂(weights before scaling).
    private func slope(
        _ a: UnsafePointer<Double>, convexWeights w: UnsafePointer<Double>, into g: UnsafeMutablePointer<Double>
    ) {
        guard options.scale == .unit else {
            g.update(from: a, count: outputs)
            return
        }
        let length = length(w)
        var along = 0.0
        for i in 0..<outputs { along += a[i] * w[i] }
        for i in 0..<outputs { g[i] = length > 0 ? (a[i] - along * w[i] / (length * length)) / length : 0 }
    }

    /// The chain through a softmax: dz_i += (1/τ) q_i (g_i − Σ_j q_j g_j).
    private func chain(
        _ q: UnsafePointer<Double>, _ g: UnsafePointer<Double>, into dz: UnsafeMutablePointer<Double>
    ) {
        var mean = 0.0
        for i in 0..<outputs { mean += q[i] * g[i] }
        for i in 0..<outputs { dz[i] += q[i] * (g[i] - mean) / temperature }
    }

    /// The same rule without scaling to unit length.
    private init(convex rule: MixingRule) {
        var options = rule.options
        options.scale = .convex
        self.options = options
        temperature = rule.temperature
        outputs = rule.outputs
        experts = rule.experts
        active = rule.active
    }
}
