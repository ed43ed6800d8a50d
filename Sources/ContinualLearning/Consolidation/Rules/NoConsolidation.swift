extension ConsolidationMethod {
    /// S⁺ = S, a control.
    static let nothing = ConsolidationMethod(
        id: "none", summary: "leaves the slow memory as it is", source: "control; cil-engine 8.2", parameters: [],
        .blend { _ in Blend(slow: 1, fast: 0) })
}
