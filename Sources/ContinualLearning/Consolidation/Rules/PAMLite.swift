import Merging

extension ConsolidationMethod {
    /// S⁺ = S + α·F∘m, m = 0 where F opposes the sign of S and |S| is among the top p of its site: the method `pam` of
    /// [S, F] with `space: delta`, `resolve: zero`, `combine: add`.
    static let pamLite = ConsolidationMethod(
        id: "pam-lite", summary: "adds fast except where it opposes the important entries of slow",
        source: "after PAM, Sokar et al. 2025, arXiv 2506.03189; cil-engine 8.2 and 9.2",
        parameters: [
            .consolidationAlpha(),
            ParameterDeclaration(
                "p", .number, default: .number(0.5), range: .unit,
                summary: "share of the entries of slow that counts as important"),
        ],
        .entries { context, pair in
            let merge = try MatrixMerge(
                "pam",
                parameters: [
                    "space": .text("delta"), "share": .number(try context.number("p")), "resolve": .text("zero"),
                    "combine": .text("add"), "alpha": .number(try context.number("alpha")),
                ])
            return try merge.merged([pair.slow, pair.fast], module: context.site)
        })
}
