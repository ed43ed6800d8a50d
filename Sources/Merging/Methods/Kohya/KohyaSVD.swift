extension MergeMethod {
    /// `networks/svd_merge_lora.py` of sd-scripts (merge-methods 6.4): the SVD of the weighted sum, entries of U·Σ and Vᵀ
    /// clamped at their joint 0.99 quantile.
    static let kohyaSVD = MergeMethod(
        MethodDescription(
            id: "svd", title: "kohya svd_merge_lora",
            summary: "The truncated SVD of the weighted sum with clamped factor entries, as sd-scripts makes it.",
            exactness: .spectral, compatibilities: [.kohya], source: "kohya-ss/sd-scripts, networks/svd_merge_lora.py",
            parameters: [
                .weight,
                ParameterDeclaration(
                    "new_rank", .integer, range: .atLeast(1), summary: "rank of the result; default: the largest rank"),
                ParameterDeclaration(
                    "clamp", .number, default: .number(0.99), range: .positiveUnit,
                    summary: "limit the factor entries to this quantile of their values"),
            ],
            dropsZeroWeight: false, defaultRank: .max, cost: "O(R²(m+n)) per module, R = total rank"),
        .spectral { context, space in MergedCore(try space.sum(context.weights)) },
        output: { context in
            OutputPreference(
                rank: context.value("new_rank")?.number.map { .fixed(Int($0)) }, split: .b,
                clampQuantile: try context.number("clamp"))
        })
}
