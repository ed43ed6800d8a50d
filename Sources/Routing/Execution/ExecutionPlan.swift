import Networks

/// How the experts' products are arranged (LoRA-Mixer reference, section 11). Every plan gives the same result to
/// rounding.
public enum ExecutionPlan: String, Sendable, CaseIterable {
    /// The cheapest by the rule of the reference.
    case auto
    /// One product with all experts side by side.
    case dense
    /// Per expert the rows that use it, gathered.
    case gather
    /// One product for all A, gathered rows for B.
    case hybrid
    /// Blocks of samples in which an expert has no weight skip it: for weights that hold for whole samples.
    case segment

    /// The rule: `dense` if ρ ≤ 64 or K/E > 0.5 or T·K < 8, else the sparse one.
    ///
    /// - Parameters:
    ///   - rank: ρ, the sum of the experts' ranks at a linear.
    ///   - active: K, experts with weight per row.
    ///   - rows: T.
    ///   - perSample: weights hold for whole samples.
    public static func automatic(
        rank: Int, active: Int, experts: Int, rows: Int, perSample: Bool
    ) -> ExecutionPlan {
        if rank <= 64 || 2 * active > experts || rows * active < 8 { return .dense }
        return perSample ? .segment : .gather
    }

    /// The mix for weights [samples, experts] that hold for whole samples, when samples use at most half of the experts:
    /// one product per expert where each sample uses one, row by row where they use more (measured: docs/routing.md). The
    /// choice looks at the largest number in use, so it fits every sample.
    static func mix(
        for weights: [Float], _ experts: RoutedExperts, _ plan: ExecutionPlan
    ) throws -> AdapterMix<Float> {
        if let chosen = plan.arrangement { return try experts.mix(plan: chosen) }
        let count = experts.count
        var most = 0
        for start in stride(from: 0, to: weights.count, by: count) {
            most = max(most, weights[start..<start + count].reduce(0) { $0 + ($1 == 0 ? 0 : 1) })
        }
        if 2 * most > count { return experts.packed }
        return most > 1 ? try experts.mix(plan: .gather) : experts.separate
    }

    /// The arrangement for weights that differ from token to token.
    static func rowPlan(_ subject: RoutingSubject, _ experts: RoutedExperts) -> AdapterMix<Float>.Plan {
        if let chosen = subject.plan.arrangement { return chosen }
        let automatic = automatic(
            rank: experts.widestRank, active: subject.active ?? experts.count, experts: experts.count, rows: 1 << 10,
            perSample: false)
        return automatic.arrangement ?? .packed
    }

    /// nil: to be chosen.
    private var arrangement: AdapterMix<Float>.Plan? {
        switch self {
        case .auto: nil
        case .dense: .packed
        case .gather: .gather
        case .hybrid: .hybrid
        case .segment: .separate
        }
    }
}
