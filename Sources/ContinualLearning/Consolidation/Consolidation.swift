import Diagnostics
import LinearAlgebra
import Tensors

/// The rank that the slow memory may have after a consolidation (`slow.storage`).
public enum SlowRank: Sendable, Hashable {
    /// At most ρ: the best approximation of that rank.
    case keep(Int)
    /// All of the numerical rank, up to min(d_out, d_in).
    case grow
    /// The same; the caller stores Δ itself.
    case dense

    var bound: Int? { if case .keep(let rank) = self { rank } else { nil } }
}

/// How the factors of slow and fast relate (`factor_mode`).
public enum FactorMode: String, Sendable, CaseIterable {
    case independent
    /// Both have the same A: Δ is linear in B, addition of B is exact, and signs of B may be compared.
    case sharedA = "shared-a"
}

/// Moves what the fast memory learned into the slow one (cil-engine 8).
///
/// ```swift
/// let rule = try ConsolidationRule("ta", ["alpha": .number(0.3)])
/// let outcome = try Consolidation.apply(rule: rule, slow: slow, fast: fast, rank: .keep(16), task: t)
/// ```
public enum Consolidation {
    /// The rules that the program ships; adding one here is all the registration there is.
    public static let rules: [ConsolidationMethod] = [
        .taskArithmetic,
        .exponentialAverage,
        .runningMean,
        .schedule,
        .magMax,
        .ties,
        .tiesLite,
        .pamLite,
        .svd,
        .taskSingularVectors,
        .isotropic,
        .orthogonal,
        .nothing,
        .naiveFactors,
    ]

    /// - Throws: `recipe.unknown_method` with the nearest known rule.
    static func method(_ id: String, place: String? = nil) throws -> ConsolidationMethod {
        guard let method = rules.first(where: { $0.description.id == id }) else {
            let known = rules.map(\.description.id)
            throw Failure(
                .recipeUnknownMethod, "there is no consolidation rule '\(id)'", place: place,
                hint: Spelling.hint(for: id, among: known) ?? "one of \(known.joined(separator: ", "))")
        }
        return method
    }

    /// S⁺ = rule(S, F) at every site, in balanced factors of scale 1.
    ///
    /// - Parameters:
    ///   - slow: S by site; a site that is missing counts as zero.
    ///   - fast: F by site. Sites of `slow` without F stay as they are.
    ///   - rank: rank that S⁺ may have. With `.sharedA` the rank is that of A, and nothing is cut.
    ///   - task: number of the task that ends, from 0.
    ///   - fastIsWhole: `fast` holds L itself, not what lies on top of S (`single-ema`): then F = L − S.
    ///   - factors: with `.sharedA`, S and F have the same A at every site, and S⁺ keeps it.
    /// - Throws: `merge.shape_mismatch`, `merge.non_finite`, `recipe.bad_parameter`, `numeric.no_convergence`.
    public static func apply(
        rule: ConsolidationRule, slow: [String: LowRankUpdate], fast: [String: LowRankUpdate], rank: SlowRank,
        task: Int, fastIsWhole: Bool = false, factors: FactorMode = .independent
    ) throws -> ConsolidationOutcome {
        let method = try method(rule.id)
        var outcome = ConsolidationOutcome(slow: slow, sites: [:])
        for site in fast.keys.sorted() {
            guard let top = fast[site] else { continue }
            let bottom = try slow[site] ?? .zero(site: site, outputs: top.outputs, inputs: top.inputs)
            guard bottom.outputs == top.outputs, bottom.inputs == top.inputs else {
                throw Failure(
                    .mergeShapeMismatch,
                    "slow is \(bottom.outputs)×\(bottom.inputs), fast is \(top.outputs)×\(top.inputs)", place: site)
            }
            let context = ConsolidationContext(rule: rule, site: site, task: task, slowRank: rank.bound)
            let work = SiteWork(
                method: method, context: context, slow: bottom, fast: top, rank: rank, fastIsWhole: fastIsWhole)
            let (update, record) = try factors == .sharedA ? work.sharedResult() : work.result()
            outcome.slow[site] = update
            outcome.sites[site] = record
        }
        return outcome
    }
}
