import Diagnostics

extension MergeMethod {
    /// Exact concatenation: B* = [B_0 … B_{T-1}], A* = [w_0 s_0 A_0; …], rank R = Σ r_i. No arithmetic error beyond the
    /// scaling product (merge-methods 3.1).
    static let cat = MergeMethod(
        MethodDescription(
            id: "cat", title: "Exact concatenation",
            summary: "Puts the factors of all adapters side by side: the exact weighted sum, at the price of the total "
                + "rank.",
            exactness: .gram, source: "PEFT add_weighted_adapter, combination_type cat",
            parameters: [
                .weight,
                ParameterDeclaration(
                    "split", .choice(FactorSplit.allCases.map(\.rawValue)), default: .text("a"),
                    summary: "which factor takes weight and scaling: a, b, or the square root in both"),
                ParameterDeclaration(
                    "allow_overcomplete", .bool, default: .bool(false),
                    summary: "allow a total rank above min(d_out, d_in), where svd gives the same with fewer numbers"),
            ],
            cost: "one pass over the factors; no arithmetic but the scaling"),
        .combination { context in
            let allowed = try context.flag("allow_overcomplete")
            guard allowed || context.totalRank <= context.smallSide else {
                throw Failure(
                    .mergeRankLimit,
                    "the total rank \(context.totalRank) exceeds min(d_out, d_in) = \(context.smallSide)",
                    place: context.module, hint: "use svd or linear, or set allow_overcomplete: true")
            }
            return context.weights
        },
        output: { context in
            OutputPreference(
                split: try context.word("split"), allowsOvercomplete: try context.flag("allow_overcomplete"))
        })
}
