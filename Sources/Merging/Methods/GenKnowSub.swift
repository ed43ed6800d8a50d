import Diagnostics
import Tensors

extension MergeMethod {
    /// General knowledge subtraction (merge-methods 3.2): Δ* = Σ w_i Δ_i over the task adapters, minus λ times the mean of
    /// the general ones for each of them. With `space: factor` on A and B separately, as PEFT's Arrow option does.
    static let genKnowSub = MergeMethod(
        MethodDescription(
            id: "genknowsub", title: "General knowledge subtraction",
            summary: "Takes the mean of adapters with general knowledge away from a task adapter, so that only what is "
                + "special about the task stays.",
            exactness: .gram, source: "GenKnowSub, arXiv 2505.10939; PEFT Arrow option",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "general", .bool, default: .bool(false), perAdapter: true,
                    summary: "the adapter holds general knowledge, which is subtracted"),
                ParameterDeclaration(
                    "space", .choice(["delta", "factor"]), default: .text("delta"),
                    summary: "subtract the updates exactly, or the factors separately as PEFT does"),
            ],
            minimumAdapters: 1, cost: "one pass over the factors"),
        choosing: { context in
            let coefficients = try context.knowledgeCoefficients()
            guard context.value("space")?.text == "factor" else { return .combination { _ in coefficients } }
            return .factors(
                rank: { try $0.commonRank() },
                merge: { context, pairs in
                    let padded = try context.padded(pairs)
                    let roots = context.scales.map { abs($0).squareRoot() }
                    let left = zip(coefficients, roots).map { $0 * $1 }
                    let right = zip(left, context.scales).map { $1 < 0 ? -$0 : $0 }
                    return FactorPair(
                        a: .weightedSum(padded.map(\.a), right), b: .weightedSum(padded.map(\.b), left))
                })
        })
}

extension MethodContext {
    /// w_i for a task adapter; for a general one −λ/G · Σ of the task weights.
    fileprivate func knowledgeCoefficients() throws -> [Double] {
        let general = operandParameters.map { $0["general"]?.bool ?? false }
        let tasks = zip(weights, general).reduce(0) { $0 + ($1.1 ? 0 : $1.0) }
        let count = general.count { $0 }
        guard count < general.count else {
            throw Failure(
                .recipeBadParameter, "all adapters are marked as general; there is none to subtract them from",
                place: module, hint: "leave 'general' out for the task adapter")
        }
        if count == 0 { remarks.add("no adapter is marked as general: nothing is subtracted") }
        let share = try number("lambda") * tasks / Double(max(1, count))
        return zip(weights, general).map { $1 ? -share : $0 }
    }
}
