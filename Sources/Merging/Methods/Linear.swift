extension MergeMethod {
    /// Weighted mean Δ* = λ Σ w_i Δ_i / Σ w_i, the meaning of model soups (merge-methods 3.2).
    static let linear = MergeMethod(
        MethodDescription(
            id: "linear", title: "Weighted mean",
            summary: "The weighted mean of the updates, exact for any ranks; with normalize: false their weighted sum.",
            exactness: .gram, source: "Model Soups, arXiv 2203.05482",
            parameters: [.weight, .lambda(), .normalize(default: true)], cost: "one pass over the factors",
            baseUse: .optional),
        .combination { context in try context.weightedSum() })
}

extension MethodContext {
    /// c_i = λ w_i / (normalize ? Σ w : 1).
    ///
    /// - Throws: `recipe.zero_weight_sum`.
    func weightedSum() throws -> [Double] {
        let factor = try number("lambda") / weightDivisor(normalize: flag("normalize"))
        return weights.map { factor * $0 }
    }
}
