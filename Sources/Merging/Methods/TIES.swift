extension MergeMethod {
    /// Trim, elect sign, disjoint merge (merge-methods 3.4, 2.2–2.5):
    ///
    ///     1 trim : X_i ← Δ_i with all but the k = ⌊d N⌋ largest |.| set to 0
    ///     2 elect: γ = sign Σ w_i X_i  (or of the signs)
    ///     3 merge: Δ* = λ · disjoint(X, γ; w, reduce)
    static let ties = MergeMethod(
        MethodDescription(
            id: "ties", title: "TIES: trim, elect sign, merge",
            summary: "Keeps the largest entries of every update, lets the adapters vote on each entry's sign and "
                + "averages those that agree.",
            exactness: .elementwise, source: "TIES-Merging, arXiv 2306.01708; prateeky2806/ties-merging",
            parameters: [
                .weight, .lambda(),
                .density(default: 0.2, summary: "share of entries that is kept"),
                .trimScope, .tieBreak,
                ParameterDeclaration(
                    "elect", .choice(SignElection.Vote.allCases.map(\.rawValue)), default: .text("sum"),
                    summary: "vote with values or with signs"),
                ParameterDeclaration(
                    "zero_sign", .choice(SignElection.ZeroSign.allCases.map(\.rawValue)), default: .text("plus"),
                    summary: "sign of an entry whose vote is a draw"),
                ParameterDeclaration(
                    "reduce", .choice(SignElection.Reduction.allCases.map(\.rawValue)), default: .text("mean"),
                    summary: "what becomes of the entries that agree"),
            ],
            cost: "two passes over all m·n entries, then recompression"),
        .elements { context in
            let trim = try MagnitudeTrim(
                context, densities: context.densities(), scope: context.word("trim_scope"),
                tieBreak: context.word("tie_break"))
            let election = SignElection(
                votes: context.weights, weights: context.weights, vote: try context.word("elect"),
                reduction: try context.word("reduce"), scale: try context.number("lambda"))
            return ElementRule(
                trim, election: election, zeroSign: try context.word("zero_sign"),
                scope: try context.tallyScope())
        })
}

extension ParameterDeclaration {
    static let trimScope = ParameterDeclaration(
        "trim_scope", .choice(MagnitudeTrim.Scope.allCases.map(\.rawValue)), default: .text("tensor"),
        summary: "which entries compete: those of one module, of the whole adapter, or of one row")
    static let tieBreak = ParameterDeclaration(
        "tie_break", .choice(MagnitudeTrim.TieBreak.allCases.map(\.rawValue)), default: .text("threshold"),
        summary: "keep all entries at the threshold, or exactly k")
}

extension MethodContext {
    /// Which entries decide a drawn vote under `zero_sign: majority`.
    func tallyScope() throws -> SelectionScope {
        try word("trim_scope", as: MagnitudeTrim.Scope.self) == .adapter
            ? .adapter(SelectionScope.ScopeKey(operand: -1, share: 0)) : .tensor
    }
}
