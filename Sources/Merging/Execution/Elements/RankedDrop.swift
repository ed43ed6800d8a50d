import Diagnostics
import Tensors

/// DELLA's drop: within each row the keep probability grows with the rank of the magnitude, from density − ε for the
/// smallest to density + ε for the largest entry (merge-methods 3.8).
struct RankedDrop: Sparsifier {
    private let densities: [Double]
    private let epsilons: [Double]
    private let rescaling: Rescaling
    private let masks: EntryMasks

    /// - Throws: `recipe.bad_parameter` unless 0 < density − ε and density + ε < 1 where density lies between 0 and 1.
    init(_ context: MethodContext, densities: [Double], epsilons: [Double], rescaling: Rescaling) throws {
        for (name, (density, epsilon)) in zip(context.adapterNames, zip(densities, epsilons)) {
            if density <= 0 { context.remarks.add("density 0 drops '\(name)' altogether") }
            guard density > 0, density < 1 else { continue }
            guard density - epsilon > 0, density + epsilon < 1 else {
                throw Failure(
                    .recipeBadParameter,
                    "density \(density) ± epsilon \(epsilon) of '\(name)' leaves the range between 0 and 1",
                    place: context.module, hint: "choose a smaller epsilon")
            }
        }
        self.densities = densities
        self.epsilons = epsilons
        self.rescaling = rescaling
        let entries = context.rows * context.columns
        masks = try EntryMasks(
            context, stream: "della", part: "delta", counts: densities.map { $0 > 0 && $0 < 1 ? entries : nil })
    }

    let needsWholeRows = true

    /// For `l1`: Σ|x| and Σ|x|·mask of every operand.
    var rounds: [StatisticsRound] {
        guard rescaling == .l1 else { return [] }
        return [
            .sums(count: 2 * densities.count) { chunk, _, sums in
                for (i, density) in densities.enumerated() where density > 0 && density < 1 {
                    let x = chunk.operand(i)
                    forEachEntry(chunk, i) { e, _, isKept in
                        let size = Double(abs(x[e]))
                        sums[2 * i] += size
                        sums[2 * i + 1] += isKept ? size : 0
                    }
                }
            }
        ]
    }

    func apply(_ chunk: ElementChunk, _ state: inout ElementState) {
        for (i, density) in densities.enumerated() {
            let x = chunk.operand(i)
            state.examined += chunk.count
            if density >= 1 { continue }
            if density <= 0 {
                x.update(repeating: 0, count: chunk.count)
                state.trimmed += chunk.count
                continue
            }
            let common = factor(i, state)
            var dropped = 0
            forEachEntry(chunk, i) { e, probability, isKept in
                let factor = rescaling == .inverse ? 1 / probability : common
                x[e] = isKept ? Float(Double(x[e]) * factor) : 0
                dropped += isKept ? 0 : 1
            }
            state.trimmed += dropped
        }
    }

    private func factor(_ i: Int, _ state: ElementState) -> Double {
        guard rescaling == .l1 else { return 1 }
        let (all, kept) = (state.sums[0][2 * i], state.sums[0][2 * i + 1])
        return kept > 0 ? all / kept : 0
    }

    /// Calls `body` with every entry of an operand: its position in the chunk, its keep probability, and whether it is
    /// kept. Of equal magnitudes the one further left has the lower rank.
    private func forEachEntry(_ chunk: ElementChunk, _ operand: Int, _ body: (Int, Double, Bool) -> Void) {
        let n = chunk.columns
        let (low, slope) = (
            densities[operand] - epsilons[operand], 2 * epsilons[operand] / Double(max(1, n - 1))
        )
        let x = chunk.operand(operand)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: n) { draws in
            withUnsafeTemporaryAllocation(of: UInt64.self, capacity: n) { scratch in
                var keys = scratch
                for start in stride(from: 0, to: chunk.count, by: n) {
                    masks.fill(operand, from: chunk.start + start, draws)
                    for j in 0..<n {
                        keys[j] = UInt64(x[start + j].bitPattern & 0x7FFF_FFFF) << 32 | UInt64(j)
                    }
                    keys.sort()
                    for rank in 0..<n {
                        let j = Int(truncatingIfNeeded: keys[rank] & 0xFFFF_FFFF)
                        let probability = n == 1 ? densities[operand] : low + slope * Double(rank)
                        body(start + j, probability, Double(draws[j]) < probability)
                    }
                }
            }
        }
    }
}
