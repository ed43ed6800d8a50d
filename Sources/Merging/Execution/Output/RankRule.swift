import LinearAlgebra

/// How many singular triples the output stage keeps (merge-methods 4.1).
struct RankRule: Sendable {
    let rule: OutputRank
    /// max r_i over the operands of the module.
    let largestRank: Int

    /// Relative distance below which two singular values count as equal.
    static let cluster = 1e-6

    struct Choice: Hashable, Sendable {
        /// 0 for a zero matrix.
        var rank: Int
        /// Share of Σσ² that is left out, in 0…1.
        var discardedEnergy: Double
        /// The cut goes through a group of equal singular values, so the result is one of many equally good ones.
        var cutsCluster: Bool
    }

    var budget: RankBudget {
        switch rule {
        case .keep: .all
        case .max: .atMost(largestRank)
        case .fixed(let rank): .atMost(rank)
        case .auto: .energy(0.99, cap: 4 * largestRank)
        case .energy(let share): .energy(share)
        case .tail(let error): .tail(error)
        }
    }

    /// The most that the rule can ask for, whatever the spectrum; nil when only the spectrum decides.
    var bound: Int? {
        switch rule {
        case .keep, .energy, .tail: nil
        case .max: largestRank
        case .auto: 4 * largestRank
        case .fixed(let rank): rank
        }
    }

    /// - Parameters:
    ///   - sigma: falling.
    ///   - total: Σσ² when `sigma` is only the beginning of the spectrum.
    func choose(_ sigma: [Double], total: Double? = nil) -> Choice {
        guard let first = sigma.first, first > 0 else {
            return Choice(rank: 0, discardedEnergy: 0, cutsCluster: false)
        }
        let energies = sigma.map { $0 * $0 }
        let whole = max(total ?? 0, energies.reduce(0, +))
        let support = numericalRank(sigma, relative: RankTolerance.double)
        let rank = budget.rank(of: sigma, total: total)
        let unseen = total == nil ? 0 : max(0, whole - energies.reduce(0, +))
        let lost = unseen + energies[rank..<max(rank, support)].reduce(0, +)
        let cuts = rank < support && sigma[rank] > sigma[rank - 1] * (1 - RankRule.cluster)
        return Choice(rank: rank, discardedEnergy: min(1, lost / whole), cutsCluster: cuts)
    }

    /// True when the largest singular values `sigma` of a matrix with Σσ² = `total` suffice to apply the rule.
    func isDecided(by sigma: [Double], total: Double) -> Bool {
        if let bound, bound <= sigma.count { return true }
        let kept = sigma.reduce(0) { $0 + $1 * $1 }
        switch rule {
        case .energy(let share): return kept >= share * total
        case .auto: return kept >= 0.99 * total
        case .tail(let error): return total - kept <= error * error * total
        case .keep, .max, .fixed: return false
        }
    }
}
