/// Methods under mergekit's names, parameters and defaults (merge-methods 6.2).
extension MergeMethod {
    static func mergekit(
        id: String, title: String, summary: String, exactness: ExactnessClass, parameters: [ParameterDeclaration],
        minimumAdapters: Int = 1, maximumAdapters: Int? = nil, random: Bool = false, cost: String,
        baseUse: BaseUse = .required, _ rule: @escaping @Sendable (MethodContext) throws -> MergeRule
    ) -> MergeMethod {
        MergeMethod(
            MethodDescription(
                id: id, title: title, summary: summary, exactness: exactness, compatibilities: [.mergekit],
                source: "arcee-ai/mergekit, merge_methods", parameters: parameters, minimumAdapters: minimumAdapters,
                maximumAdapters: maximumAdapters, random: random, dropsZeroWeight: false, cost: cost,
                baseUse: baseUse),
            choosing: rule)
    }
}

extension ParameterDeclaration {
    /// mergekit gives `weight` no default.
    static let mergekitWeight = ParameterDeclaration(
        "weight", .number, required: true, perAdapter: true, summary: "factor of this adapter")
    static let mergekitDensity = ParameterDeclaration.density(default: 1, summary: "share of entries that is kept")
    static let mergekitRescale = ParameterDeclaration(
        "rescale", .bool, default: .bool(true), summary: "restore the sum of magnitudes of the tensor")
}

extension MethodContext {
    /// mergekit's consensus: election on weighted updates; normalised by the agreeing weights, or their sum.
    func mergekitElection() throws -> SignElection {
        SignElection(
            votes: weights, weights: weights, vote: .sum, reduction: try flag("normalize") ? .weightedMean : .sum,
            scale: try number("lambda"))
    }

    /// λ w_i, divided by Σ w where asked for; mergekit leaves a sum near zero out.
    func mergekitCoefficients() throws -> [Double] {
        let sum = weights.reduce(0, +)
        let divisor = try flag("normalize") && abs(sum) >= 1e-8 ? sum : 1
        let lambda = try number("lambda")
        return weights.map { lambda * $0 / divisor }
    }

    func mergekitRescaling() throws -> Rescaling { try flag("rescale") ? .l1 : .none }
}
