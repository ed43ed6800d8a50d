/// mergekit's generalised task arithmetic: sparsify, then a weighted sum or a sign consensus.
extension MergeMethod {
    static let mergekitTies = sparse(
        id: "ties", title: "mergekit ties",
        summary: "TIES with election on weighted updates and division by the agreeing weights.", normalize: true,
        parameters: [.mergekitDensity], cost: "two passes over all m·n entries"
    ) { context in
        let trim = try MagnitudeTrim(
            context, densities: context.densities(), scope: .tensor, tieBreak: .exact, rounding: .truncateToOne)
        return ElementRule(trim, election: try context.mergekitElection())
    }

    static let mergekitDareLinear = sparse(
        id: "dare_linear", title: "mergekit dare_linear",
        summary: "Random drop, rescaled to the old L1 norm; weighted sum.",
        normalize: false, parameters: [.mergekitDensity, .mergekitRescale, .maskFile], random: true,
        cost: "two passes over all m·n entries"
    ) { context in ElementRule(try context.drop(), coefficients: try context.mergekitCoefficients()) }

    static let mergekitDareTies = sparse(
        id: "dare_ties", title: "mergekit dare_ties",
        summary: "Random drop, rescaled to the old L1 norm; sign consensus.",
        normalize: false, parameters: [.mergekitDensity, .mergekitRescale, .maskFile], random: true,
        cost: "two passes over all m·n entries"
    ) { context in ElementRule(try context.drop(), election: try context.mergekitElection()) }

    static let mergekitBreadcrumbs = sparse(
        id: "breadcrumbs", title: "mergekit breadcrumbs", summary: "Drops outliers at both ends; weighted sum.",
        normalize: false, parameters: [.mergekitDensity, .gamma(default: 0.01)],
        cost: "two passes over all m·n entries"
    ) { context in ElementRule(try context.outliers(), coefficients: try context.mergekitCoefficients()) }

    static let mergekitBreadcrumbsTies = sparse(
        id: "breadcrumbs_ties", title: "mergekit breadcrumbs_ties",
        summary: "Drops outliers at both ends; sign consensus.", normalize: false,
        parameters: [.mergekitDensity, .gamma(default: 0.01)], cost: "two passes over all m·n entries"
    ) { context in ElementRule(try context.outliers(), election: try context.mergekitElection()) }

    static let mergekitDella = sparse(
        id: "della", title: "mergekit della",
        summary: "Drop by magnitude rank, rescaled to the old L1 norm; sign consensus.",
        normalize: true, parameters: [.mergekitDensity, .epsilon(default: 0.15), .mergekitRescale, .maskFile],
        random: true, cost: "two passes with a sort of every row"
    ) { context in ElementRule(try context.rankedDropL1(), election: try context.mergekitElection()) }

    static let mergekitDellaLinear = sparse(
        id: "della_linear", title: "mergekit della_linear",
        summary: "Drop by magnitude rank, rescaled to the old L1 norm; weighted sum.", normalize: false,
        parameters: [.mergekitDensity, .epsilon(default: 0.15), .mergekitRescale, .maskFile], random: true,
        cost: "two passes with a sort of every row"
    ) { context in ElementRule(try context.rankedDropL1(), coefficients: try context.mergekitCoefficients()) }

    static let mergekitSCE = mergekit(
        id: "sce", title: "mergekit sce", summary: "Select by variance, weight by energy, erase minority signs.",
        exactness: .elementwise, parameters: [.selectTopK], cost: "two to five passes over all m·n entries"
    ) { _ in
        .elements { context in
            try SCERule(
                adapters: context.operandCount, topK: context.number("select_topk"), erases: true, scale: 1,
                rounding: .truncate
            ).elementRule()
        }
    }

    private static func sparse(
        id: String, title: String, summary: String, normalize: Bool, parameters: [ParameterDeclaration],
        random: Bool = false, cost: String, _ rule: @escaping @Sendable (MethodContext) throws -> ElementRule
    ) -> MergeMethod {
        mergekit(
            id: id, title: title, summary: summary, exactness: .elementwise,
            parameters: [.mergekitWeight, .lambda(), .normalize(default: normalize)] + parameters, random: random,
            cost: cost + ", then recompression"
        ) { _ in .elements(rule) }
    }
}

extension MethodContext {
    fileprivate func drop() throws -> RandomDrop {
        try RandomDrop(self, probabilities: densities(), rescaling: mergekitRescaling())
    }

    fileprivate func outliers() throws -> OutlierTrim {
        OutlierTrim(self, densities: try densities(), gammas: try numbers("gamma"), rounding: .truncate)
    }

    fileprivate func rankedDropL1() throws -> RankedDrop {
        try RankedDrop(
            self, densities: densities(), epsilons: numbers("epsilon"), rescaling: mergekitRescaling())
    }
}
