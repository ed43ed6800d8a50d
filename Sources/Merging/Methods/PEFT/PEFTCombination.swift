/// What PEFT's `add_weighted_adapter` does for every `combination_type` (merge-methods 6.1).
extension MergeMethod {
    /// A combination type of `compat: peft`. One adapter alone always uses `linear`, whatever type is asked for.
    static func peft(
        id: String, title: String, summary: String, exactness: ExactnessClass, parameters: [ParameterDeclaration],
        random: Bool = false, cost: String, rule: MergeRule,
        output: @escaping @Sendable (MethodContext) throws -> OutputPreference = { _ in OutputPreference() }
    ) -> MergeMethod {
        MergeMethod(
            MethodDescription(
                id: id, title: title, summary: summary, exactness: exactness, compatibilities: [.peft, .peft020],
                source: "peft 0.21.2, tuners/lora/model.py and utils/merge_utils.py",
                parameters: [.weight] + parameters, random: random, dropsZeroWeight: false, cost: cost),
            choosing: { context in context.isAlone ? peftLinearRule : rule },
            output: { context in context.isAlone ? OutputPreference() : try output(context) })
    }

    /// Output of the types that end with an SVD: B = UΣ, A = Vᵀ, cut to `svd_rank` or the largest declared rank.
    @Sendable static func peftSVDOutput(_ context: MethodContext) throws -> OutputPreference {
        let rank = context.value("svd_rank")?.number.map { Int($0) } ?? context.declaredRanks.max() ?? 1
        return OutputPreference(
            rank: .fixed(max(1, rank)), split: .b, clampQuantile: context.value("svd_clamp")?.number)
    }
}

extension ParameterDeclaration {
    static let svdRank = ParameterDeclaration(
        "svd_rank", .integer, range: .atLeast(1), summary: "rank of the result; default: the largest declared rank")
    static let svdClamp = ParameterDeclaration(
        "svd_clamp", .number, range: .positiveUnit,
        summary: "limit the factor entries to this quantile of their signed values")
    static let majoritySign = ParameterDeclaration(
        "majority_sign_method", .choice(PEFTVote.allCases.map(\.rawValue)), default: .text("total"),
        summary: "elect the sign by the sum of values or by the number of signs")
    static let peftDensity = ParameterDeclaration.density(
        default: nil, summary: "share of entries that is kept; PEFT gives it no default")
}

/// PEFT's `majority_sign_method`.
enum PEFTVote: String, CaseIterable {
    case total, frequency

    var vote: SignElection.Vote { self == .total ? .sum : .count }
}

extension MethodContext {
    /// The stage lists a single adapter.
    var isAlone: Bool { declaredRanks.count == 1 }

    /// PEFT's weights of the types that work on Δ: w_i; before release 0.21 w_i·s_i, which applies the scaling twice.
    var denseWeights: [Double] {
        compatibility == .peft020 ? zip(weights, scales).map { $0 * $1 } : weights
    }

    /// Magnitude pruning as PEFT does it: k = int(d·N) per tensor, exactly k kept.
    func peftTrim() throws -> MagnitudeTrim {
        MagnitudeTrim(self, densities: try densities(), scope: .tensor, tieBreak: .exact, rounding: .truncate)
    }

    /// PEFT's TIES on one list of tensors.
    func peftTies(_ weights: [Double]) throws -> ElementRule {
        ElementRule(try peftTrim(), election: try peftElection(weights))
    }

    /// Election on pruned, unweighted tensors; weights multiply, the divisor counts.
    func peftElection(_ weights: [Double]) throws -> SignElection {
        SignElection(
            votes: weights.map { _ in 1 }, weights: weights,
            vote: try word("majority_sign_method", as: PEFTVote.self).vote, reduction: .mean, scale: 1)
    }

    /// The rank of a factor-wise result. PEFT refuses adapters whose largest ranks differ.
    ///
    /// - Throws: `merge.rank_mismatch`.
    func peftFactorRank() throws -> Int {
        let largest = operandIndices.map { declaredRanks[$0] }
        if !padsRanks, let other = largest.indices.first(where: { largest[$0] != largest[0] }) {
            throw rankMismatch(other, largest[0], largest[other])
        }
        return try commonRank()
    }
}
