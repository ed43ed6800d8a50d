import Tensors

extension MergeMethod {
    /// TIES on the list of the A_i and separately on the B_i, with weights sgn(u)√|u| and √|u|.
    static let peftTies = MergeMethod.peft(
        id: "ties", title: "PEFT ties", summary: "TIES on the factors: on all A, and separately on all B.",
        exactness: .factors, parameters: [.peftDensity, .majoritySign], cost: "a few passes over the factors",
        rule: .factors(
            rank: { try $0.peftFactorRank() },
            merge: { context, pairs in
                let padded = try context.padded(pairs)
                let weights = context.factorWeights(scaled: true)
                return FactorPair(
                    a: try context.peftTies(weights.map(\.a)).applied(to: padded.map(\.a)),
                    b: try context.peftTies(weights.map(\.b)).applied(to: padded.map(\.b)))
            }))

    /// TIES on the updates, then the SVD of the result.
    static let peftTiesSVD = MergeMethod.peft(
        id: "ties_svd", title: "PEFT ties_svd", summary: "TIES on the dense updates, then a truncated SVD.",
        exactness: .elementwise, parameters: [.peftDensity, .majoritySign, .svdRank, .svdClamp],
        cost: "two passes over all m·n entries, then a truncated SVD",
        rule: .elements { context in try context.peftTies(context.denseWeights) }, output: peftSVDOutput)
}
