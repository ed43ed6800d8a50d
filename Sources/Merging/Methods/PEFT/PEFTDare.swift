import Tensors

/// PEFT's random pruning: Bernoulli(density), divided by the density (merge-methods 6.1). Its generator is not
/// reproduced; with `mask_file` the masks of a run can be given.
extension MergeMethod {
    static let peftDareLinear = MergeMethod.peft(
        id: "dare_linear", title: "PEFT dare_linear",
        summary: "Drops random entries of the factors, rescales the rest, then adds all A and all B.",
        exactness: .factors, parameters: [.peftDensity, .maskFile], random: true, cost: "one pass over the factors",
        rule: .factors(
            rank: { try $0.peftFactorRank() },
            merge: { context, pairs in
                try context.peftDropped(pairs) { drop, weights in ElementRule(drop, coefficients: weights) }
            }))

    static let peftDareTies = MergeMethod.peft(
        id: "dare_ties", title: "PEFT dare_ties",
        summary: "Drops random entries of the factors, rescales the rest, then elects signs on all A and on all B.",
        exactness: .factors, parameters: [.peftDensity, .majoritySign, .maskFile], random: true,
        cost: "one pass over the factors",
        rule: .factors(
            rank: { try $0.peftFactorRank() },
            merge: { context, pairs in
                try context.peftDropped(pairs) { drop, weights in
                    ElementRule(drop, election: try context.peftElection(weights))
                }
            }))

    static let peftDareLinearSVD = MergeMethod.peft(
        id: "dare_linear_svd", title: "PEFT dare_linear_svd",
        summary: "Drops random entries of the dense updates, rescales the rest, adds up, then a truncated SVD.",
        exactness: .elementwise, parameters: [.peftDensity, .svdRank, .svdClamp, .maskFile], random: true,
        cost: "one pass over all m·n entries, then a truncated SVD",
        rule: .elements { context in
            ElementRule(try context.peftDrop(), coefficients: context.denseWeights)
        }, output: peftSVDOutput)

    static let peftDareTiesSVD = MergeMethod.peft(
        id: "dare_ties_svd", title: "PEFT dare_ties_svd",
        summary: "Drops random entries of the dense updates, rescales the rest, elects signs, then a truncated SVD.",
        exactness: .elementwise, parameters: [.peftDensity, .majoritySign, .svdRank, .svdClamp, .maskFile],
        random: true, cost: "one pass over all m·n entries, then a truncated SVD",
        rule: .elements { context in
            ElementRule(try context.peftDrop(), election: try context.peftElection(context.denseWeights))
        }, output: peftSVDOutput)
}

extension MethodContext {
    fileprivate func peftDrop(part: String = "delta", count: Int? = nil) throws -> RandomDrop {
        try RandomDrop(self, probabilities: densities(), rescaling: .inverse, part: part, count: count)
    }

    /// Applies a rule to all A and, with draws of its own, to all B.
    fileprivate func peftDropped(
        _ pairs: [FactorPair], _ rule: (RandomDrop, [Double]) throws -> ElementRule
    ) throws -> FactorPair {
        let padded = try padded(pairs)
        let weights = factorWeights(scaled: true)
        let rank = try commonRank()
        let onA = try rule(peftDrop(part: "lora_A", count: rank * columns), weights.map(\.a))
        let onB = try rule(peftDrop(part: "lora_B", count: rows * rank), weights.map(\.b))
        return FactorPair(a: try onA.applied(to: padded.map(\.a)), b: try onB.applied(to: padded.map(\.b)))
    }
}
