import Foundation
import LinearAlgebra
import Tensors

/// Singular values of one update and what they tell (cil-engine 16), through the core of its factors.
public struct UpdateSpectrum: Sendable, Hashable {
    /// Descending; min(d_out, d_in, rank) of them.
    public var sigma: [Double]

    /// - Throws: `numeric.no_convergence`.
    public init(_ update: LowRankUpdate) throws {
        guard update.rank > 0 else {
            sigma = []
            return
        }
        sigma = try thinSVD(JointBasis([update]).cores[0], place: update.site).sigma
    }

    public init(sigma: [Double]) { self.sigma = sigma }

    private var energy: Double { sigma.reduce(0) { $0 + $1 * $1 } }

    /// ‖Δ‖_F
    public var norm: Double { energy.squareRoot() }

    /// exp(−Σ p_i ln p_i), p_i = σ_i²/Σσ²: between 1 and the rank; nil for a zero update.
    public var effectiveRank: Double? {
        let whole = energy
        guard whole > 0 else { return nil }
        return exp(
            sigma.reduce(0) { sum, value in
                let p = value * value / whole
                return p > 0 ? sum - p * log(p) : sum
            })
    }

    /// ‖Δ‖_F²/σ_1²; nil for a zero update.
    public var stableRank: Double? {
        guard let first = sigma.first, first > 0 else { return nil }
        return energy / (first * first)
    }

    /// Share of Σσ² in the first k directions; nil for a zero update.
    public func energy(top k: Int) -> Double? {
        let whole = energy
        return whole > 0 ? sigma.prefix(k).reduce(0) { $0 + $1 * $1 } / whole : nil
    }
}
