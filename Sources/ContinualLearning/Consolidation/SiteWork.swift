import Diagnostics
import LinearAlgebra
import Tensors

/// Applies a rule to one site.
struct SiteWork {
    let method: ConsolidationMethod
    let context: ConsolidationContext
    let slow: LowRankUpdate
    let fast: LowRankUpdate
    let rank: SlowRank
    let fastIsWhole: Bool

    /// What a rule gives before and after the cut to a rank.
    private struct Cut {
        var update: LowRankUpdate
        var norm: Double
        var error: Double
        var residual: Double
    }

    /// S⁺ and its record, for factors that have nothing in common.
    func result() throws -> (LowRankUpdate, SiteConsolidation) {
        let inert = try isInert()
        let basis = try JointBasis([slow, fast])
        let top = fastIsWhole ? basis.cores[1].minus(basis.cores[0]) : basis.cores[1]
        let cut: Cut
        switch method.action {
        case .blend(let rule):
            let blend = try rule(context)
            cut = try cutCore(basis.cores[0].scaled(by: blend.slow).plus(top, times: blend.fast), basis)
        case .cores(let rule):
            cut = try cutCore(rule(context, ConsolidationPair(slow: basis.cores[0], fast: top)), basis)
        case .entries(let rule):
            let bottom = try slow.dense()
            let whole = try fast.dense()
            cut = try cutDense(
                rule(context, ConsolidationPair(slow: bottom, fast: fastIsWhole ? whole.minus(bottom) : whole)))
        case .factors(let rule):
            let update = try rule(context, slow, fast)
            let basis = try JointBasis([update])
            cut = try cutCore(basis.cores[0], basis)
        }
        let record = try record(cut, isInert: inert)
        // A rule that gives back S leaves its factors bit by bit, unless they have to be cut.
        let returns = inert && slow.rank <= rank.bound ?? .max && record.change <= Self.rounding * cut.norm
        return returns ? (slow, try untouched(cut.norm)) : (cut.update, record)
    }

    /// Relative rounding of entries in single precision.
    private static let rounding = 1e-6

    // MARK: Ranks

    private func cutCore(_ core: Matrix<Double>, _ basis: JointBasis) throws -> Cut {
        let svd = try thinSVD(core, place: context.site)
        let kept = svd.truncated(to: keptRank(svd.sigma))
        let update = try basis.factors(kept, site: context.site)
        let residual = try basis.core(of: update).minus(core).frobeniusNorm
        return Cut(update: update, norm: norm(svd.sigma), error: error(svd.sigma, kept.sigma.count), residual: residual)
    }

    private func cutDense(_ matrix: Matrix<Double>) throws -> Cut {
        let svd = try thinSVD(matrix, place: context.site)
        let kept = svd.truncated(to: keptRank(svd.sigma))
        let roots = kept.sigma.map { $0.squareRoot() }
        let update = try LowRankUpdate(
            site: context.site, b: kept.u.scalingColumns(by: roots), a: kept.vt.scalingRows(by: roots))
        let residual = try update.dense().minus(matrix).frobeniusNorm
        return Cut(update: update, norm: norm(svd.sigma), error: error(svd.sigma, kept.sigma.count), residual: residual)
    }

    private func keptRank(_ sigma: [Double]) -> Int {
        guard let first = sigma.first, first > 0 else { return 0 }
        let budget: RankBudget = rank.bound.map { .atMost($0) } ?? .all
        return budget.rank(of: sigma)
    }

    private func norm(_ sigma: [Double]) -> Double { sigma.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    private func error(_ sigma: [Double], _ kept: Int) -> Double {
        let whole = norm(sigma)
        return whole > 0 ? min(1, norm(Array(sigma.dropFirst(kept))) / whole) : 0
    }

    // MARK: Rules that change nothing

    /// The factor of F is 0, or F is.
    private func isInert() throws -> Bool {
        if try difference() == 0 { return true }
        if case .blend(let rule) = method.action { return try rule(context).fast == 0 }
        return try context.rule.value("alpha")?.number == 0
    }

    /// ‖F‖; F = L − S where fast holds L.
    private func difference() throws -> Double {
        fastIsWhole ? try fast.distance(to: slow) : fast.isZero ? 0 : try fast.norm()
    }

    private func untouched(_ norm: Double) throws -> SiteConsolidation {
        SiteConsolidation(
            ruleNorm: norm, fastNorm: try difference(), change: 0, truncationError: 0, keptEnergy: 1,
            conflictMass: try conflictMass(), residual: 0, rank: slow.rank, isInert: true)
    }

    private func record(_ cut: Cut, isInert: Bool) throws -> SiteConsolidation {
        SiteConsolidation(
            ruleNorm: cut.norm, fastNorm: try difference(), change: try cut.update.distance(to: slow),
            truncationError: cut.error, keptEnergy: 1 - cut.error * cut.error, conflictMass: try conflictMass(),
            residual: cut.residual, rank: cut.update.rank, isInert: isInert)
    }

    private func conflictMass() throws -> Double? {
        let bottom = try slow.dense()
        let whole = try fast.dense()
        return SignConflictMass.share(fastIsWhole ? whole.minus(bottom) : whole, against: bottom)
    }

    // MARK: A common A

    /// S⁺ = B⁺·A with the A of both. Blends are exact; rules on entries look at the entries of B; rules on cores have
    /// their row space inside that of A, so that B⁺ = S⁺Aᵀ(AAᵀ)⁻¹ loses nothing.
    func sharedResult() throws -> (LowRankUpdate, SiteConsolidation) {
        guard slow.rank == 0 || slow.a == fast.a else {
            throw Failure(
                .mergeRankMismatch, "slow and fast do not have the same A, as factor_mode: shared-a promises",
                place: context.site)
        }
        let inert = try isInert()
        let bottom = slow.rank == 0 ? Matrix<Double>(rows: slow.outputs, columns: fast.rank) : slow.b
        let top = fastIsWhole ? fast.b.minus(bottom) : fast.b
        var lost = 0.0
        let b: Matrix<Double>
        switch method.action {
        case .blend(let rule):
            let blend = try rule(context)
            b = bottom.scaled(by: blend.slow).plus(top, times: blend.fast)
        case .entries(let rule): b = try rule(context, ConsolidationPair(slow: bottom, fast: top))
        case .factors: b = bottom.plus(top, times: try context.number("alpha"))
        case .cores(let rule):
            let basis = try JointBasis([slow, fast])
            let change = fastIsWhole ? basis.cores[1].minus(basis.cores[0]) : basis.cores[1]
            let merged = try rule(context, ConsolidationPair(slow: basis.cores[0], fast: change))
            let whole = try basis.factors(thinSVD(merged, place: context.site), site: context.site)
            b = try solvedB(whole)
            lost = try LowRankUpdate(site: context.site, b: b, a: fast.a).distance(to: whole)
        }
        let update = try LowRankUpdate(site: context.site, b: b, a: fast.a)
        let norm = try update.norm()
        let cut = Cut(update: update, norm: norm, error: norm > 0 ? min(1, lost / norm) : 0, residual: lost)
        return (update, try record(cut, isInert: inert))
    }

    /// B with B·A = Δ for a Δ whose rows lie in the span of A.
    private func solvedB(_ update: LowRankUpdate) throws -> Matrix<Double> {
        let gram = try multiply(fast.a, fast.a, transposeB: true)
        let right = try multiply(update.b, multiply(update.a, fast.a, transposeB: true))
        return try solve(gram, right.transposed(), place: context.site).transposed()
    }
}

/// How much of one update opposes another.
public enum SignConflictMass {
    /// Σ|F| over entries with sign(F) ≠ sign(S), both non-zero, divided by Σ|F|; nil for F = 0.
    public static func share(_ fast: Matrix<Double>, against slow: Matrix<Double>) -> Double? {
        var opposed = 0.0
        var whole = 0.0
        for (f, s) in zip(fast.elements, slow.elements) {
            whole += abs(f)
            if f * s < 0 { opposed += abs(f) }
        }
        return whole > 0 ? opposed / whole : nil
    }
}
