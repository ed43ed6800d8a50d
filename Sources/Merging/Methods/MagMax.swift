extension MergeMethod {
    /// Δ*[k] = λ · w_j Δ_j[k] with j = argmax |w_i Δ_i[k]|; of equal magnitudes the later adapter wins (merge-methods
    /// 3.9). Meant for snapshots of one model that was tuned task after task; the paper scales by 0.5.
    static let magMax = MergeMethod(
        MethodDescription(
            id: "magmax", title: "MagMax: largest change wins",
            summary:
                "Takes every entry from the adapter that changes it most; meant for snapshots that were trained one "
                + "after the other.",
            exactness: .elementwise, source: "MagMax, arXiv 2407.06322", parameters: [.weight, .lambda()],
            cost: "one pass over all m·n entries, then recompression"),
        .elements { context in
            let (weights, lambda) = (context.weights, try context.number("lambda"))
            return ElementRule { chunk, _, output in
                for e in 0..<chunk.count { output[e] = 0 }
                for (i, w) in weights.enumerated() {
                    let x = chunk.operand(i)
                    for e in 0..<chunk.count {
                        let value = Float(w * Double(x[e]))
                        output[e] = abs(value) >= abs(output[e]) ? value : output[e]
                    }
                }
                for e in 0..<chunk.count { output[e] = Float(lambda * Double(output[e])) }
            }
        })
}
