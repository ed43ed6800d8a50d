/// What a consolidation made of one site.
public struct SiteConsolidation: Sendable, Equatable {
    /// ‖rule(S, F)‖_F before any cut.
    public var ruleNorm: Double
    /// ‖F‖_F
    public var fastNorm: Double
    /// ‖S⁺ − S‖_F
    public var change: Double
    /// Relative error of the cut to a rank: √(Σ_{i>ρ} σ_i² / Σ σ_i²), 0…1.
    public var truncationError: Double
    /// 1 − truncationError².
    public var keptEnergy: Double
    /// Σ|F| over the entries whose sign is opposite in S, divided by Σ|F|; nil for F = 0.
    public var conflictMass: Double?
    /// ‖S⁺ − rule(S, F)‖_F, measured on the factors that were returned.
    public var residual: Double
    /// Rank of S⁺.
    public var rank: Int
    /// The rule leaves S as it is whatever the entries of F are: its factor is 0, or F = 0.
    public var isInert: Bool

    /// Invariant I7, arithmetic: ‖S⁺ − rule(S, F)‖ ≤ truncation error · ‖rule(S, F)‖ + `slack`.
    public func isArithmeticRight(slack: Double = 1e-5) -> Bool {
        residual <= truncationError * ruleNorm + slack
    }
}

/// What a consolidation made of all sites.
public struct ConsolidationOutcome: Sendable {
    /// S⁺ by site, balanced factors.
    public var slow: [String: LowRankUpdate]
    public var sites: [String: SiteConsolidation]

    /// ‖S⁺ − S‖ over all sites.
    public var change: Double { Self.together(sites.values.map(\.change)) }
    /// ‖S⁺ − rule(S, F)‖ over all sites.
    public var residual: Double { Self.together(sites.values.map(\.residual)) }
    /// ‖rule(S, F)‖ over all sites.
    public var ruleNorm: Double { Self.together(sites.values.map(\.ruleNorm)) }
    /// Relative error of the cut over all sites together.
    public var truncationError: Double {
        let lost = Self.together(sites.values.map { $0.truncationError * $0.ruleNorm })
        return ruleNorm > 0 ? lost / ruleNorm : 0
    }
    /// Mean conflict mass of the sites that have one.
    public var conflictMass: Double? {
        let known = sites.keys.sorted().compactMap { sites[$0]?.conflictMass }
        return known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
    }
    /// True when no site could change (I7: slow changed iff α ≠ 0 and F ≠ 0).
    public var isInert: Bool { sites.values.allSatisfy(\.isInert) }
    /// Largest excess of a site over its bound in I7; at most 0 when the arithmetic is right.
    public func arithmeticExcess(slack: Double = 1e-5) -> Double {
        sites.values.map { $0.residual - $0.truncationError * $0.ruleNorm - slack }.max() ?? 0
    }

    private static func together(_ norms: [Double]) -> Double {
        norms.sorted().reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
}
