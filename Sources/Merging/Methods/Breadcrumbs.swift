extension MergeMethod {
    /// Drops outliers at both ends, then Δ* = λ Σ w_i X_i (merge-methods 3.7).
    static let breadcrumbs = MergeMethod(
        breadcrumbsDescription(
            id: "breadcrumbs", title: "Model breadcrumbs",
            summary: "Drops the few largest and the smallest entries of every update and adds up what is left.",
            extra: []),
        .elements { context in
            ElementRule(try context.outlierTrim(), coefficients: try context.scaledWeights())
        })

    /// Drops outliers at both ends, then sign election and disjoint merge as in TIES.
    static let breadcrumbsTies = MergeMethod(
        breadcrumbsDescription(
            id: "breadcrumbs_ties", title: "Model breadcrumbs, then sign election",
            summary: "Drops the few largest and the smallest entries of every update, elects signs and averages what "
                + "agrees.",
            extra: ParameterDeclaration.election),
        .elements { context in
            ElementRule(
                try context.outlierTrim(), election: try context.weightedElection(),
                zeroSign: try context.word("zero_sign"))
        })

    private static func breadcrumbsDescription(
        id: String, title: String, summary: String, extra: [ParameterDeclaration]
    ) -> MethodDescription {
        MethodDescription(
            id: id, title: title, summary: summary, exactness: .elementwise,
            source: "Model Breadcrumbs, arXiv 2312.06795",
            parameters: [
                .weight, .lambda(), .density(default: 0.9, summary: "share of entries that is kept"),
                .gamma(default: 0.01),
            ] + extra, cost: "two passes over all m·n entries, then recompression")
    }
}

extension ParameterDeclaration {
    static func gamma(default value: Double) -> ParameterDeclaration {
        ParameterDeclaration(
            "gamma", .number, default: .number(value), range: .unit, perAdapter: true,
            summary: "share of the largest entries that is dropped")
    }
}

extension MethodContext {
    fileprivate func outlierTrim() throws -> OutlierTrim {
        OutlierTrim(self, densities: try densities(), gammas: try numbers("gamma"))
    }
}
