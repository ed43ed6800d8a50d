import Tensors

extension JointCore {
    /// Q_B·M·Q_Aᵀ in factor form, cut to a rank: the SVD of the b×a core M gives the singular triples of the whole.
    ///
    /// A zero matrix gives rank-1 factors of zeros.
    /// - Throws: `merge.non_finite`, `numeric.no_convergence`.
    public func lowRank(
        _ core: Matrix<Double>, budget: RankBudget = .all, split: FactorSplit = .sqrt
    ) throws -> Recompression {
        let svd = try thinSVD(core, place: "merged core")
        let kept = budget.rank(of: svd.sigma)
        let part = svd.truncated(to: kept)
        return try Recompression(
            factors: lowRank(left: part.u, right: part.vt.transposed(), values: part.sigma, split: split),
            singularValues: svd.sigma, discardedEnergy: svd.sigma.dropFirst(kept).reduce(0) { $0 + $1 * $1 })
    }

    /// (Q_B·P)·diag(d)·(Q_A·Q)ᵀ in factor form without a further SVD, for P b×k, Q a×k; negative values are allowed.
    public func lowRank(
        left: Matrix<Double>, right: Matrix<Double>, values: [Double], split: FactorSplit = .sqrt
    ) throws -> LowRankFactors {
        let shares = split.shares(values)
        return try LowRankFactors(
            b: self.left(left.scalingColumns(by: shares.left)), a: self.right(right.scalingColumns(by: shares.right)))
    }
}

extension LowRankFactors {
    /// The best approximation of ΔW within a rank budget, with balanced factors and scale 1; `.all` rebalances only.
    ///
    /// - Throws: `merge.non_finite`, `numeric.no_convergence`.
    public func recompressed(
        budget: RankBudget, split: FactorSplit = .sqrt, place: String = "low-rank factors"
    ) throws -> Recompression {
        let core = try JointCore([self], place: place)
        return try core.lowRank(core.core(0), budget: budget, split: split)
    }
}
