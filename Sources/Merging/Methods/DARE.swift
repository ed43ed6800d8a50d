extension MergeMethod {
    /// Drop and rescale, then Δ* = λ Σ w_i X_i (merge-methods 3.6). With `rescale: inverse` the expectation is the
    /// weighted sum.
    static let dareLinear = MergeMethod(
        dareDescription(
            id: "dare_linear", title: "DARE, weighted sum",
            summary: "Drops random entries of every update, rescales the rest, and adds the updates up.", extra: []),
        .elements { context in try context.dareLinear() })

    /// Drop and rescale, then sign election and disjoint merge as in TIES.
    static let dareTies = MergeMethod(
        dareDescription(
            id: "dare_ties", title: "DARE, then sign election",
            summary: "Drops random entries of every update, rescales the rest, elects signs and averages what agrees.",
            extra: ParameterDeclaration.election),
        .elements { context in try context.dareTies() })

    private static func dareDescription(
        id: String, title: String, summary: String, extra: [ParameterDeclaration]
    ) -> MethodDescription {
        MethodDescription(
            id: id, title: title, summary: summary, exactness: .elementwise,
            source: "DARE, arXiv 2311.03099; yule-BUAA/MergeLM",
            parameters: [
                .weight, .lambda(),
                .density(default: 0.5, summary: "probability with which an entry is kept"), .rescale(default: .inverse),
            ] + extra + [.maskFile],
            random: true, cost: "one pass over all m·n entries (two with rescale: l1), then recompression")
    }
}

extension ParameterDeclaration {
    static func rescale(default value: Rescaling) -> ParameterDeclaration {
        ParameterDeclaration(
            "rescale", .choice(Rescaling.allCases.map(\.rawValue)), default: .text(value.rawValue),
            summary: "divide kept entries by their probability, restore the sum of magnitudes, or leave them")
    }

    /// Parameters of sign election and disjoint merge (merge-methods 2.5).
    static let election = [
        ParameterDeclaration(
            "elect", .choice(SignElection.Vote.allCases.map(\.rawValue)), default: .text("sum"),
            summary: "vote with values or with signs"),
        ParameterDeclaration(
            "zero_sign", .choice(SignElection.ZeroSign.allCases.map(\.rawValue)), default: .text("plus"),
            summary: "sign of an entry whose vote is a draw"),
        ParameterDeclaration(
            "reduce", .choice(SignElection.Reduction.allCases.map(\.rawValue)), default: .text("mean"),
            summary: "what becomes of the entries that agree"),
    ]
}

extension MethodContext {
    /// λ w_i.
    func scaledWeights() throws -> [Double] {
        let lambda = try number("lambda")
        return weights.map { lambda * $0 }
    }

    /// The election that `elect` and `reduce` describe, with the weights in vote and merge.
    func weightedElection() throws -> SignElection {
        SignElection(
            votes: weights, weights: weights, vote: try word("elect"), reduction: try word("reduce"),
            scale: try number("lambda"))
    }

    private func drop() throws -> RandomDrop {
        try RandomDrop(self, probabilities: densities(), rescaling: word("rescale"))
    }

    fileprivate func dareLinear() throws -> ElementRule { ElementRule(try drop(), coefficients: try scaledWeights()) }

    fileprivate func dareTies() throws -> ElementRule {
        ElementRule(try drop(), election: try weightedElection(), zeroSign: try word("zero_sign"))
    }
}
