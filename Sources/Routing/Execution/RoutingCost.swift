/// Work of the experts at one linear, in floating point operations (a multiplication and an addition are two), by the
/// formulas of the reference (section 11).
public struct RoutingCost: Sendable, Hashable {
    /// d and o of the linear.
    public var inputs: Int
    public var outputs: Int
    /// Ranks of the experts there.
    public var ranks: [Int]
    /// K: experts with weight per token.
    public var active: Int

    public init(inputs: Int, outputs: Int, ranks: [Int], active: Int) {
        self.inputs = inputs
        self.outputs = outputs
        self.ranks = ranks
        self.active = active
    }

    /// ρ.
    public var rank: Int { ranks.reduce(0, +) }
    private var meanRank: Double { ranks.isEmpty ? 0 : Double(rank) / Double(ranks.count) }
    private var used: Double { Double(min(active, ranks.count)) }

    /// The frozen linear for so many tokens.
    public func base(tokens: Int) -> Double { 2 * Double(tokens * inputs * outputs) }

    /// A linear router with one row per expert.
    public func router(tokens: Int, experts: Int) -> Double { 2 * Double(tokens * inputs * experts) }

    /// The experts' part under a plan.
    public func experts(tokens: Int, plan: ExecutionPlan) -> Double {
        let (t, d, o) = (Double(tokens), Double(inputs), Double(outputs))
        switch plan {
        case .dense, .auto: return 2 * t * Double(rank) * (d + o) + t * Double(rank)
        case .gather, .segment: return 2 * used * t * meanRank * (d + o)
        case .hybrid: return 2 * t * (Double(rank) * d + used * meanRank * o)
        }
    }

    /// Bytes that gathering moves: rows in, rows out and back.
    public func traffic(tokens: Int) -> Double { 4 * Double(tokens) * used * Double(inputs + 2 * outputs) }
}
