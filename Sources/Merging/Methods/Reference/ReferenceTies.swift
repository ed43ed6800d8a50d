/// `compat: reference`: the numbers of the authors' code (merge-methods 6.3).
extension MergeMethod {
    /// TIES as published: all modules of an adapter compete together, everything from the (N−k)-th smallest magnitude
    /// on survives (k+1 entries), a drawn vote takes the sign of the majority, λ multiplies after the reduction.
    static let referenceTies = MergeMethod(
        MethodDescription(
            id: "ties", title: "TIES of its authors",
            summary: "TIES with the count of kept entries, the scope and the tie rule of the authors' code.",
            exactness: .elementwise, compatibilities: [.reference],
            source: "prateeky2806/ties-merging, src/utils/merge_utils.py", parameters: referenceParameters,
            cost: "four passes over all m·n entries, then recompression"),
        .elements { context in try context.referenceTies() })

    /// The same rule in the coordinates of KnOTS, with the authors' absolute bound of 1e-5 on singular values.
    static let referenceKnotsTies = MergeMethod(
        knotsDescription(
            id: "knots_ties", compatibilities: [.reference],
            source: "KnOTS, arXiv 2410.19735; gstoica27/KnOTS, task_merger.py and masking_ops.py",
            parameters: referenceParameters + [.concat], of: .referenceTies),
        choosing: { context in .coordinates(try context.word("concat"), { try $0.referenceTies() }) })

    private static let referenceParameters: [ParameterDeclaration] = [
        .weight, .lambda(), .density(default: 0.2, summary: "share of entries that is kept, and one more"),
        ParameterDeclaration(
            "reduce", .choice(["mean", "sum", "max"]), default: .text("mean"),
            summary: "what becomes of the entries that agree"),
        ParameterDeclaration(
            "trim_scope", .choice([MagnitudeTrim.Scope.adapter.rawValue]), default: .text("adapter"),
            summary: "the authors' code knows only this one: all modules of an adapter together"),
    ]
}

extension MethodContext {
    fileprivate func referenceTies() throws -> ElementRule {
        let trim = try MagnitudeTrim(
            self, densities: densities(), scope: .adapter, tieBreak: .threshold, rounding: .oneMore)
        let election = SignElection(
            votes: weights, weights: weights, vote: .sum, reduction: try word("reduce"), scale: try number("lambda"))
        return ElementRule(
            trim, election: election, zeroSign: .majority,
            scope: .adapter(SelectionScope.ScopeKey(operand: -1, share: 0)))
    }
}
