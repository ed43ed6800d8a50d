/// How many singular triples of a result are kept.
public enum RankBudget: Sendable, Hashable {
    /// All of the support.
    case all
    /// At most so many.
    case atMost(Int)
    /// The fewest that hold the share `energy` (0…1) of Σσ², at most `cap`.
    case energy(Double, cap: Int? = nil)
    /// The fewest whose relative Frobenius error is at most `tail`, at most `cap`.
    case tail(Double, cap: Int? = nil)

    /// The rank to keep for descending singular values: 1…sigma.count (0 only for an empty list).
    ///
    /// - Parameters:
    ///   - support: triples at or below `support · σ₀` are never kept.
    ///   - total: Σσ² of the whole matrix when `sigma` is only its beginning.
    public func rank(
        of sigma: [Double], support: Double = RankTolerance.double, total: Double? = nil
    ) -> Int {
        guard !sigma.isEmpty else { return 0 }
        let available = max(1, numericalRank(sigma, relative: support))
        let energies = sigma.map { $0 * $0 }
        let whole = total ?? energies.reduce(0, +)
        let wanted: Int
        switch self {
        case .all: wanted = available
        case .atMost(let limit): wanted = limit
        case .energy(let share, let cap):
            wanted = min(RankBudget.count(of: energies, reaching: share * whole), cap ?? available)
        case .tail(let error, let cap):
            wanted = min(RankBudget.count(of: energies, leaving: error * error * whole, whole), cap ?? available)
        }
        return min(max(1, wanted), available)
    }

    private static func count(of energies: [Double], reaching goal: Double) -> Int {
        var sum = 0.0
        for (i, energy) in energies.enumerated() {
            sum += energy
            if sum >= goal { return i + 1 }
        }
        return energies.count
    }

    /// Sums the tail from its small end, so that tails far below the whole are still told apart.
    private static func count(of energies: [Double], leaving allowed: Double, _ whole: Double) -> Int {
        var tail = max(0, whole - energies.reduce(0, +))
        for i in energies.indices.reversed() {
            tail += energies[i]
            if tail > allowed { return i + 1 }
        }
        return 0
    }
}

/// How the singular values are shared between the two factors; the raw values are those of recipes.
public enum FactorSplit: String, Sendable, Hashable, CaseIterable {
    /// B = U√Σ, A = √ΣVᵀ.
    case sqrt
    /// B = UΣ, A = Vᵀ.
    case left = "b"
    /// B = U, A = ΣVᵀ.
    case right = "a"

    /// The factors for the columns of B and the rows of A; a negative value gives its sign to B.
    public func shares(_ values: [Double]) -> (left: [Double], right: [Double]) {
        let ones = [Double](repeating: 1, count: values.count)
        switch self {
        case .sqrt:
            let roots = values.map { abs($0).squareRoot() }
            return (zip(roots, values).map { $1 < 0 ? -$0 : $0 }, roots)
        case .left: return (values, ones)
        case .right: return (values.map { $0 < 0 ? -1 : 1 }, values.map { abs($0) })
        }
    }
}

/// A low-rank result in factor form and what was cut off.
public struct Recompression: Sendable {
    /// Scale 1.
    public var factors: LowRankFactors
    /// All singular values before the cut, descending.
    public var singularValues: [Double]
    /// Σσ² of what was cut off.
    public var discardedEnergy: Double

    /// Share of Σσ² that was cut off, 0…1; 0 for a zero matrix.
    public var discardedShare: Double {
        let total = singularValues.reduce(0) { $0 + $1 * $1 }
        return total > 0 ? discardedEnergy / total : 0
    }
}
