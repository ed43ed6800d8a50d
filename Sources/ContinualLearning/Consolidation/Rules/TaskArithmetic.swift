extension ConsolidationMethod {
    /// S⁺ = S + αF. α = 1 preserves the function of slow + fast.
    static let taskArithmetic = ConsolidationMethod(
        id: "ta", summary: "adds alpha times the fast memory to the slow one",
        source: "Task Arithmetic, arXiv 2212.04089; cil-engine 8.2", parameters: [.consolidationAlpha()],
        .blend { context in Blend(slow: 1, fast: try context.number("alpha")) })
}
