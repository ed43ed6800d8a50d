extension MergeMethod {
    /// Best rank-q approximation of the weighted sum: C = Σ w_i C_i = U Σ Vᵀ, keep q triples (merge-methods 3.3).
    static let svd = MergeMethod(
        MethodDescription(
            id: "svd", title: "Truncated weighted sum",
            summary:
                "The best approximation of the weighted sum with a given rank (default: the largest rank among the "
                + "adapters; output.rank: {energy: 0.99} adapts it to the data).",
            exactness: .spectral, source: "Eckart–Young; PEFT add_weighted_adapter, combination_type svd",
            parameters: [
                .weight, .lambda(),
                .normalize(default: false),
                ParameterDeclaration(
                    "clamp", .number, range: .positiveUnit,
                    summary: "limit the factor entries to this quantile of their values; changes the update"),
            ],
            dropsZeroWeight: false, defaultRank: .max, cost: "O(R²(m+n)) per module, R = total rank"),
        .spectral { context, space in MergedCore(try space.sum(try context.weightedSum())) },
        output: { context in OutputPreference(clampQuantile: context.value("clamp")?.number) })
}
