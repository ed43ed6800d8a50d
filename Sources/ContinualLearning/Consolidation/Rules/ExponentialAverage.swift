import Merging

extension ConsolidationMethod {
    /// residual: S⁺ = (1−β)S + βF. absolute: S⁺ = (1−β)S + βL with L = S + F, which is S + βF.
    static let exponentialAverage = ConsolidationMethod(
        id: "ema", summary: "moves the slow memory towards the fast one, or towards slow + fast, by the share beta",
        source: "cil-engine 8.2",
        parameters: [
            ParameterDeclaration(
                "beta", .number, default: .number(0.3), range: .unit, summary: "share of the new value"),
            .basis(default: "residual"),
        ],
        .blend { context in
            let beta = try context.number("beta")
            return Blend(slow: try context.word("basis") == "residual" ? 1 - beta : 1, fast: beta)
        })
}
