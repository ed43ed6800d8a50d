import Merging

extension ConsolidationMethod {
    /// S⁺ = S + α·F̃∘m, F̃ = F trimmed to density δ, m = 0 where sign(F̃)·sign(S) < 0: slow is never changed against its
    /// sign.
    static let tiesLite = ConsolidationMethod(
        id: "ties-lite", summary: "adds the largest entries of fast that do not oppose the sign of slow",
        source: "after TIES-Merging, arXiv 2306.01708; cil-engine 8.2",
        parameters: [
            .consolidationAlpha(),
            ParameterDeclaration(
                "density", .number, default: .number(0.5), range: .unit,
                summary: "share of the entries of fast that is kept"),
        ],
        .entries { context, pair in
            let trim = try MatrixMerge(
                "magnitude_prune", parameters: ["density": .number(try context.number("density"))])
            let trimmed = try trim.merged([pair.fast], module: context.site)
            let alpha = try context.number("alpha")
            var result = pair.slow
            for i in result.elements.indices where trimmed.elements[i] * pair.slow.elements[i] >= 0 {
                result.elements[i] += alpha * trimmed.elements[i]
            }
            return result
        })
}
