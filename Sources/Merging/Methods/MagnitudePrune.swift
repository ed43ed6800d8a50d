extension MergeMethod {
    /// Trim as in TIES, then Δ* = λ Σ w_i X_i (merge-methods 3.5).
    static let magnitudePrune = MergeMethod(
        MethodDescription(
            id: "magnitude_prune", title: "Magnitude pruning",
            summary: "Keeps the largest entries of every update and adds them up.", exactness: .elementwise,
            source: "PEFT utils/merge_utils.py, magnitude_prune",
            parameters: [
                .weight, .lambda(),
                .density(default: 0.2, summary: "share of entries that is kept"),
                .trimScope, .tieBreak,
            ],
            cost: "two passes over all m·n entries, then recompression"),
        .elements { context in
            let lambda = try context.number("lambda")
            return ElementRule(
                try MagnitudeTrim(
                    context, densities: context.densities(), scope: context.word("trim_scope"),
                    tieBreak: context.word("tie_break")),
                coefficients: context.weights.map { lambda * $0 })
        })
}

/// Σ c_i X_i over the entries of a chunk.
enum WeightedEntries {
    private static let stretch = 1024

    static func sum(_ chunk: ElementChunk, _ coefficients: [Double], into output: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(of: Double.self, capacity: stretch) { scratch in
            guard let sums = scratch.baseAddress else { return }
            for start in stride(from: 0, to: chunk.count, by: stretch) {
                let count = min(stretch, chunk.count - start)
                for e in 0..<count { sums[e] = 0 }
                for (i, c) in coefficients.enumerated() {
                    let x = chunk.operand(i) + start
                    for e in 0..<count { sums[e] += c * Double(x[e]) }
                }
                for e in 0..<count { output[start + e] = Float(sums[e]) }
            }
        }
    }
}
