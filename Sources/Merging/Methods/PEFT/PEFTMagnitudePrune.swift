import Tensors

extension MergeMethod {
    /// Magnitude pruning of every A_i and every B_i, then weighted sums.
    static let peftMagnitudePrune = MergeMethod.peft(
        id: "magnitude_prune", title: "PEFT magnitude_prune",
        summary: "Prunes the factors to their largest entries, then adds all A and all B.", exactness: .factors,
        parameters: [.peftDensity], cost: "a few passes over the factors",
        rule: .factors(
            rank: { try $0.peftFactorRank() },
            merge: { context, pairs in
                let padded = try context.padded(pairs)
                let weights = context.factorWeights(scaled: true)
                let trim = try context.peftTrim()
                return FactorPair(
                    a: try ElementRule(trim, coefficients: weights.map(\.a)).applied(to: padded.map(\.a)),
                    b: try ElementRule(trim, coefficients: weights.map(\.b)).applied(to: padded.map(\.b)))
            }))

    /// Magnitude pruning of the updates, their weighted sum, then the SVD of the result.
    static let peftMagnitudePruneSVD = MergeMethod.peft(
        id: "magnitude_prune_svd", title: "PEFT magnitude_prune_svd",
        summary: "Prunes the dense updates to their largest entries, adds them, then a truncated SVD.",
        exactness: .elementwise, parameters: [.peftDensity, .svdRank, .svdClamp],
        cost: "two passes over all m·n entries, then a truncated SVD",
        rule: .elements { context in
            ElementRule(try context.peftTrim(), coefficients: context.denseWeights)
        }, output: peftSVDOutput)
}
