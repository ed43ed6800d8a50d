extension MergeMethod {
    /// Δ* = Δ · clamp(t / max(|Δ|, 1e-6), 0, 1): every entry goes at most t towards the other model.
    static let mergekitNearswap = mergekit(
        id: "nearswap", title: "mergekit nearswap", summary: "Goes at most t towards the other model in every entry.",
        exactness: .elementwise,
        parameters: [
            ParameterDeclaration("t", .number, required: true, range: .nonNegative, summary: "largest step of an entry")
        ],
        maximumAdapters: 1, cost: "one pass over all m·n entries, then recompression"
    ) { _ in
        .elements { context in
            let t = try context.number("t")
            return ElementRule { chunk, _, output in
                let x = chunk.operand(0)
                for e in 0..<chunk.count {
                    let value = Double(x[e])
                    output[e] = Float(value * min(1, t / max(abs(value), 1e-6)))
                }
            }
        }
    }
}
