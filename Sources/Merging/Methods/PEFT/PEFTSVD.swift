extension MergeMethod {
    /// The SVD of Σ w_i Δ_i, cut to one rank: B* = UΣ, A* = Vᵀ.
    static let peftSVD = MergeMethod.peft(
        id: "svd", title: "PEFT svd", summary: "The truncated SVD of the weighted sum of the updates.",
        exactness: .spectral, parameters: [.svdRank, .svdClamp], cost: "O(R²(m+n)) per module, R = total rank",
        rule: .spectral { context, space in MergedCore(try space.sum(context.denseWeights)) }, output: peftSVDOutput)
}
