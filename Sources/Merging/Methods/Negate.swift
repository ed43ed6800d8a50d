extension MergeMethod {
    /// Forgetting: Δ* = −λ Σ w_i Δ_i (merge-methods 3.2).
    static let negate = MergeMethod(
        MethodDescription(
            id: "negate", title: "Negation",
            summary: "Subtracts the updates, so that a model forgets what the adapters taught it.", exactness: .gram,
            source: "Task Arithmetic, arXiv 2212.04089", parameters: [.weight, .lambda()],
            cost: "one pass over the factors"),
        .combination { context in
            let lambda = try context.number("lambda")
            return context.weights.map { -lambda * $0 }
        })
}
