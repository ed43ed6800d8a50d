/// DARE's drop: every entry of operand i is kept with probability p_i, independently of all others (merge-methods 3.6).
struct RandomDrop: Sparsifier {
    private let probabilities: [Double]
    private let rescaling: Rescaling
    private let masks: EntryMasks

    /// - Parameters:
    ///   - part: which tensor of the module the entries are, see `EntryMasks`.
    ///   - count: entries of one operand; nil where the rule works in other coordinates, for which no masks are given.
    init(
        _ context: MethodContext, probabilities: [Double], rescaling: Rescaling, part: String = "delta",
        count: Int? = nil
    ) throws {
        self.probabilities = probabilities
        self.rescaling = rescaling
        for (name, p) in zip(context.adapterNames, probabilities) where p <= 0 {
            context.remarks.add("density 0 drops '\(name)' altogether")
        }
        let entries = count ?? context.rows * context.columns
        masks = try EntryMasks(
            context, stream: "dare", part: part, counts: probabilities.map { $0 > 0 && $0 < 1 ? entries : nil })
    }

    let needsWholeRows = false

    /// For `l1`: Σ|x| and Σ|x|·mask of every operand.
    var rounds: [StatisticsRound] {
        guard rescaling == .l1 else { return [] }
        return [
            .sums(count: 2 * probabilities.count) { chunk, _, sums in
                for (i, p) in probabilities.enumerated() where p > 0 && p < 1 {
                    let x = chunk.operand(i)
                    Stretches.forEach(chunk.count) { start, count, draws in
                        masks.fill(i, from: chunk.start + start, draws)
                        for e in 0..<count {
                            let size = Double(abs(x[start + e]))
                            sums[2 * i] += size
                            sums[2 * i + 1] += draws[e] < Float(p) ? size : 0
                        }
                    }
                }
            }
        ]
    }

    func apply(_ chunk: ElementChunk, _ state: inout ElementState) {
        for (i, p) in probabilities.enumerated() {
            let x = chunk.operand(i)
            state.examined += chunk.count
            if p >= 1 { continue }
            if p <= 0 {
                x.update(repeating: 0, count: chunk.count)
                state.trimmed += chunk.count
                continue
            }
            let factor = factor(i, p, state)
            var dropped = 0
            Stretches.forEach(chunk.count) { start, count, draws in
                masks.fill(i, from: chunk.start + start, draws)
                for e in 0..<count {
                    let keep = draws[e] < Float(p)
                    x[start + e] = keep ? Float(Double(x[start + e]) * factor) : 0
                    dropped += keep ? 0 : 1
                }
            }
            state.trimmed += dropped
        }
    }

    private func factor(_ i: Int, _ p: Double, _ state: ElementState) -> Double {
        switch rescaling {
        case .none: return 1
        case .inverse: return 1 / p
        case .l1:
            let (all, kept) = (state.sums[0][2 * i], state.sums[0][2 * i + 1])
            return kept > 0 ? all / kept : 0
        }
    }
}
