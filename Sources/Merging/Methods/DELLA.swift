extension MergeMethod {
    /// Drop by magnitude rank and rescale, then sign election and disjoint merge as in TIES (merge-methods 3.8).
    static let della = MergeMethod(
        dellaDescription(
            id: "della", title: "DELLA, then sign election",
            summary: "Drops random entries of every row, small ones more often, rescales the rest, elects signs and "
                + "averages what agrees.",
            extra: ParameterDeclaration.election),
        .elements { context in
            ElementRule(
                try context.rankedDrop(), election: try context.weightedElection(),
                zeroSign: try context.word("zero_sign"))
        })

    /// Drop by magnitude rank and rescale, then Δ* = λ Σ w_i X_i.
    static let dellaLinear = MergeMethod(
        dellaDescription(
            id: "della_linear", title: "DELLA, weighted sum",
            summary: "Drops random entries of every row, small ones more often, rescales the rest, and adds up.",
            extra: []),
        .elements { context in
            ElementRule(try context.rankedDrop(), coefficients: try context.scaledWeights())
        })

    private static func dellaDescription(
        id: String, title: String, summary: String, extra: [ParameterDeclaration]
    ) -> MethodDescription {
        MethodDescription(
            id: id, title: title, summary: summary, exactness: .elementwise,
            source: "DELLA-Merging, arXiv 2406.11617; declare-lab/della",
            parameters: [
                .weight, .lambda(), .density(default: 0.5, summary: "mean probability with which an entry is kept"),
                .epsilon(default: 0.15), .rescale(default: .inverse),
            ] + extra + [.maskFile],
            random: true, cost: "one pass with a sort of every row (two with rescale: l1), then recompression")
    }
}

extension ParameterDeclaration {
    static func epsilon(default value: Double) -> ParameterDeclaration {
        ParameterDeclaration(
            "epsilon", .number, default: .number(value), range: .unit, perAdapter: true,
            summary: "the keep probability runs from density - epsilon to density + epsilon")
    }
}

extension MethodContext {
    fileprivate func rankedDrop() throws -> RankedDrop {
        try RankedDrop(self, densities: densities(), epsilons: numbers("epsilon"), rescaling: word("rescale"))
    }
}
