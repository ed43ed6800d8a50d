import Tensors

extension MergeMethod {
    /// A* = Σ sgn(u_i)√|u_i| A_i and B* = Σ √|u_i| B_i with u_i = w_i s_i. Contains the cross terms B_i A_j: not the
    /// weighted sum of the updates.
    static let peftLinear = MergeMethod.peft(
        id: "linear", title: "PEFT linear",
        summary: "Adds the factors of A and of B separately, as PEFT does; contains products of different adapters.",
        exactness: .factors, parameters: [], cost: "one pass over the factors", rule: peftLinearRule)

    static let peftLinearRule = MergeRule.factors(
        rank: { try $0.peftFactorRank() },
        merge: { context, pairs in
            let padded = try context.padded(pairs)
            let weights = context.factorWeights(scaled: true)
            return FactorPair(
                a: .weightedSum(padded.map(\.a), weights.map(\.a)), b: .weightedSum(padded.map(\.b), weights.map(\.b)))
        })
}
