import Foundation

extension MergeMethod {
    /// Keeps the entries of one update whose importance |Δ| · KL(softmax W ‖ softmax W_base) reaches
    /// median + 1.5 · (q3 − q1) over the whole tensor (merge-methods 6.2).
    static let mergekitArceeFusion = mergekit(
        id: "arcee_fusion", title: "mergekit arcee_fusion",
        summary: "Takes over only the entries of a model that matter most beside the base.", exactness: .elementwise,
        parameters: [], maximumAdapters: 1, cost: "seven passes over all m·n entries", baseUse: .beside
    ) { context in
        guard let base = context.baseOperand else { throw context.missing("base_model", "the base weights") }
        return .elements { context in
            FusionRule(base: base, axis: context.shape.last ?? context.columns).elementRule()
        }
    }
}

/// The rule of `arcee_fusion`; operand 0 is the update.
private struct FusionRule: Sendable {
    let base: Int
    /// Length of the tensor's last axis, over which the softmax goes; divides the columns.
    let axis: Int

    func elementRule() -> ElementRule {
        let quantiles = [0.25, 0.5, 0.75].map { share in
            // The sorted entry at index ⌊q(N−1)⌋ is the one with rank N − index from the top.
            MagnitudeSelection(quantity: .derived { chunk, _, values in importance(chunk, into: values) }) { count, _ in
                count - Int(share * Double(count - 1))
            }
        }
        return ElementRule(rounds: [.select(quantiles)], needsWholeRows: true) { chunk, state, output in
            let q = state.thresholds[0].map { Float(bitPattern: UInt32(bitPattern: $0.bits)) }
            let limit = q[1] + 1.5 * (q[2] - q[0])
            importance(chunk, into: output)
            let x = chunk.operand(0)
            for e in 0..<chunk.count { output[e] = output[e] >= limit ? x[e] : 0 }
        }
    }

    private func importance(_ chunk: ElementChunk, into target: UnsafeMutablePointer<Float>) {
        let n = axis
        for start in stride(from: 0, to: chunk.count, by: n) {
            let x = chunk.operand(0) + start
            let divergence = max(0, FusionRule.divergence(x, chunk.operand(base) + start, n))
            for e in 0..<n { target[start + e] = Float(abs(Double(x[e])) * divergence) }
        }
    }

    /// Σ p ln(p/q) with p, q = softmax + 1e-8 of W_base + Δ and of W_base.
    private static func divergence(_ x: UnsafePointer<Float>, _ base: UnsafePointer<Float>, _ n: Int) -> Double {
        var (largestP, largestQ) = (-Double.infinity, -Double.infinity)
        for e in 0..<n {
            largestP = max(largestP, Double(base[e]) + Double(x[e]))
            largestQ = max(largestQ, Double(base[e]))
        }
        var (sumP, sumQ) = (0.0, 0.0)
        for e in 0..<n {
            sumP += exp(Double(base[e]) + Double(x[e]) - largestP)
            sumQ += exp(Double(base[e]) - largestQ)
        }
        var total = 0.0
        for e in 0..<n {
            let p = exp(Double(base[e]) + Double(x[e]) - largestP) / sumP + 1e-8
            let q = exp(Double(base[e]) - largestQ) / sumQ + 1e-8
            total += p * log(p / q)
        }
        return total
    }
}
