import Foundation
import Merging

extension ConsolidationMethod {
    /// S⁺ = S + α_t F with α_t = max(α_min, α/(t+1)^κ): between a constant factor and the running mean.
    static let schedule = ConsolidationMethod(
        id: "schedule", summary: "task arithmetic with a factor that falls from task to task",
        source: "cil-engine 8.2",
        parameters: [
            .consolidationAlpha(default: 1),
            ParameterDeclaration("alpha_min", .number, default: .number(0), summary: "the factor never falls below it"),
            ParameterDeclaration(
                "kappa", .number, default: .number(0.5), range: .nonNegative,
                summary: "0 keeps the factor constant, 1 gives the running mean"),
        ],
        .blend { context in
            let falling = try context.number("alpha") / pow(Double(context.task + 1), try context.number("kappa"))
            return Blend(slow: 1, fast: max(try context.number("alpha_min"), falling))
        })
}
