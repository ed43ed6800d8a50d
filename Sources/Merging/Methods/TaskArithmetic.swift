extension MergeMethod {
    /// Weighted sum Δ* = λ Σ w_i Δ_i (merge-methods 3.2). The paper tunes one λ on held-out data, about 0.3 to 0.4 for
    /// eight tasks.
    static let taskArithmetic = MergeMethod(
        MethodDescription(
            id: "task_arithmetic", title: "Task arithmetic",
            summary: "The weighted sum of the updates, exact for any ranks; negative weights subtract.",
            exactness: .gram, source: "Task Arithmetic, arXiv 2212.04089",
            parameters: [.weight, .lambda(), .normalize(default: false)], cost: "one pass over the factors"),
        .combination { context in try context.weightedSum() })
}
