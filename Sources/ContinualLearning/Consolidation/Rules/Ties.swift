import Merging

extension ConsolidationMethod {
    /// Trim S and X to density δ, elect a sign by the weighted sum, average what agrees with weights w = (t, 1), times λ.
    /// X = L (absolute, default): agreement leaves S in place, and old tasks keep their weight.
    static let ties = ConsolidationMethod(
        id: "ties", summary: "trims slow and slow + fast, elects a sign for each entry and averages what agrees",
        source: "TIES-Merging, arXiv 2306.01708; cil-engine 8.2",
        parameters: [
            ParameterDeclaration(
                "density", .number, default: .number(0.5), range: .unit, summary: "share of entries that is kept"),
            ParameterDeclaration("lambda", .number, default: .number(1), summary: "scale of the result"),
            .basis(default: "absolute"),
            ParameterDeclaration(
                "combine", .choice(["mean", "sum"]), default: .text("mean"),
                summary: "weighted mean of the entries that agree, or their weighted sum"),
            ParameterDeclaration(
                "weights", .choice(["tasks", "equal"]), default: nil,
                summary: "weights of slow and fast: (t, 1), the default for the mean, or (1, 1), that for the sum"),
        ],
        .entries { context, pair in
            let sums = try context.word("combine") == "sum"
            let other = try context.word("basis") == "absolute" && !sums ? pair.live : pair.fast
            let weights = try context.rule.value("weights")?.text ?? (sums ? "equal" : "tasks")
            let old = weights == "tasks" ? Double(context.task) : 1
            let merge = try MatrixMerge(
                "ties",
                parameters: [
                    "density": .number(try context.number("density")),
                    "lambda": .number(try context.number("lambda")), "zero_sign": .text("zero"),
                    "reduce": .text(sums ? "sum" : "weighted_mean"),
                ])
            return try merge.merged([pair.slow, other], weights: [old, 1], module: context.site)
        })
}
