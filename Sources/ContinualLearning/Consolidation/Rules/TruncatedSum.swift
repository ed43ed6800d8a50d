import LinearAlgebra
import Merging

extension ConsolidationMethod {
    /// The best approximation of rank ρ of S + αF.
    static let svd = ConsolidationMethod(
        id: "svd", summary: "task arithmetic cut to a rank, even where slow may grow",
        source: "Eckart and Young 1936; cil-engine 8.2",
        parameters: [
            .consolidationAlpha(),
            ParameterDeclaration(
                "rank", .integer, default: nil, range: .atLeast(1),
                summary: "rank of the result; default: that of the slow memory, else no cut"),
        ],
        .cores { context, pair in
            let sum = pair.slow.plus(pair.fast, times: try context.number("alpha"))
            guard let rank = try context.rule.value("rank")?.number.map({ Int($0) }) ?? context.slowRank else {
                return sum
            }
            return try thinSVD(sum, place: context.site).truncated(to: rank).product()
        })
}
