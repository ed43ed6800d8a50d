/// How the factors of one merged module are made; small enough to be kept for all modules at once.
struct MergedModule: Sendable {
    enum Source: Sendable {
        /// B* = [β_i B_i], A* = [α_i A_i]: plain concatenation, one pair (α, β) per operand.
        case concatenation([OperandScaling])
        /// B* = Bcat · left (R×q), A* = right (q×R) · Acat; `left` then `right` row-major in double precision.
        case projection(Spool.Handle, precise: Bool)
        /// A* (q×n) then B* (m×q), row-major floats.
        case stored(Spool.Handle)
        /// Factors that are cheap to form again, so that they need not be kept; without padding.
        case deferred(@Sendable () throws -> FactorPair)
        /// A class F rule that makes its factors from those of the operands.
        case factorwise
        /// Nothing but zeros.
        case zero
    }

    struct OperandScaling: Sendable, Hashable {
        var a: Double
        var b: Double
    }

    var source: Source
    /// Rank that the source makes.
    var rank: Int
    /// Rank in the file: `rank` and zeros.
    var paddedRank: Int
    /// Columns of B* are singular vectors: fix their signs.
    var hasFreeSigns = false
    var clampQuantile: Double?
    /// Factor of the whole update, applied last; shared between A and B as `split` says.
    var scale = 1.0
    var split = FactorSplit.sqrt
    /// Numbers that are added up over all modules (`MergeRule.spectralTogether`).
    var quantities: [Double] = []
    /// c_i of class G, with which `lora_B.bias` is merged; nil: the method's usual weights.
    var biasCoefficients: [Double]?
    var discardedEnergy = 0.0
    /// nil: computed while writing.
    var frobenius: Double?
    var trimmedShare: Double?
    var cosines: [[Double]]?
    /// ‖Δ_i‖² of the operands, where their Gram matrix was needed.
    var operandEnergies: [Double]?
}

/// U·diag(σ)·Vᵀ as two factors (merge-methods 4.2).
extension FactorSplit {
    /// Shares of σ in (B, A).
    func shares(_ sigma: Double) -> (b: Double, a: Double) {
        switch self {
        case .sqrt: (sigma.squareRoot(), sigma.squareRoot())
        case .b: (sigma, 1)
        case .a: (1, sigma)
        }
    }

    /// Where a signed coefficient u goes in a concatenation.
    func shares(signed u: Double) -> (b: Double, a: Double) {
        switch self {
        case .sqrt: (abs(u).squareRoot(), u < 0 ? -abs(u).squareRoot() : abs(u).squareRoot())
        case .b: (u, 1)
        case .a: (1, u)
        }
    }
}
