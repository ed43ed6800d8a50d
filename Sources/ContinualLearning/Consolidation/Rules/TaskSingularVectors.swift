import LinearAlgebra
import Merging

extension ConsolidationMethod {
    /// The top-k triplets of S and αF side by side, their U and V stacks replaced by the nearest orthonormal matrices,
    /// multiplied back with the stacked Σ: the method `tsv_m` of [S, F] with weights (1, α).
    static let taskSingularVectors = ConsolidationMethod(
        id: "tsv", summary: "makes the singular vectors of slow and fast orthogonal to each other before adding them",
        source: "TSV-Merge, arXiv 2412.00081; cil-engine 8.2",
        parameters: [
            .consolidationAlpha(),
            ParameterDeclaration(
                "k", .rank(words: ["full"], keyed: []), default: .text("full"),
                summary: "triplets of each: all, or a number"),
        ],
        .cores { context, pair in
            let merge = try MatrixMerge("tsv_m", parameters: ["k": try context.rule.value("k") ?? .text("full")])
            return try merge.merged(
                [pair.slow, pair.fast], weights: [1, try context.number("alpha")], module: context.site)
        })
}
