import Merging

extension ConsolidationMethod {
    /// U(σ̄I)Vᵀ of S + αF over its numerical rank, σ̄ the mean singular value: the method `iso_c` with weights (1, α).
    static let isotropic = ConsolidationMethod(
        id: "iso", summary: "gives all directions of slow + alpha fast the same strength",
        source: "Iso-C, arXiv 2502.04959; cil-engine 8.2", parameters: [.consolidationAlpha()],
        .cores { context, pair in
            try MatrixMerge("iso_c").merged(
                [pair.slow, pair.fast], weights: [1, try context.number("alpha")], module: context.site)
        })
}
