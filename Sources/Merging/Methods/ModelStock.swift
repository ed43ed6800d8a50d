import Tensors

extension MergeMethod {
    /// Model Stock (merge-methods 3.12): with the mean cosine between pairs of updates,
    ///
    ///     t = T cos θ / (1 + (T−1) cos θ),   Δ* = λ t · mean Δ_i
    static let modelStock = MergeMethod(
        MethodDescription(
            id: "model_stock", title: "Model Stock",
            summary:
                "The mean of the updates, shrunk the more the less they point the same way; for several runs of one "
                + "task.",
            exactness: .gram, source: "Model Stock, arXiv 2403.19522",
            parameters: [
                .lambda(), .filterWise,
                ParameterDeclaration(
                    "clamp", .bool, default: .bool(true),
                    summary: "keep t between 0 and 1: without it a negative cosine turns the sign"),
            ],
            minimumAdapters: 2, cost: "one pass over the factors for the Gram matrix"),
        choosing: { context in
            .modelStock(
                filterWise: try context.flag("filter_wise"), clamps: try context.flag("clamp"),
                lambda: try context.number("lambda"))
        })
}

extension ParameterDeclaration {
    static let filterWise = ParameterDeclaration(
        "filter_wise", .bool, default: .bool(false), summary: "one t per output row instead of one per module")
}

extension MergeRule {
    /// The rule of `model_stock`, natively and for mergekit.
    static func modelStock(filterWise: Bool, clamps: Bool, lambda: Double) -> MergeRule {
        @Sendable func shares(_ gram: Matrix<Double>) -> [Double] {
            let count = gram.rows
            let cosines = gram.cosines()
            var (sum, pairs) = (0.0, 0.0)
            for i in 0..<count {
                for j in (i + 1)..<max(i + 1, count) {
                    sum += cosines[i][j]
                    pairs += 1
                }
            }
            let cosine = pairs > 0 ? sum / pairs : 1
            let t = Double(count) * cosine / (1 + Double(count - 1) * cosine)
            let kept = clamps ? min(1, max(0, t)) : t
            return [Double](repeating: lambda * kept / Double(max(1, count)), count: count)
        }
        guard filterWise else { return .gram { _, gram in shares(gram) } }
        return .slices(.rows) { context, slices in
            let count = context.operandCount
            var result = Matrix<Double>(rows: slices.rows, columns: count)
            for k in 0..<slices.rows {
                let block = Array(slices.elements[k * count * count..<(k + 1) * count * count])
                let row = shares(Matrix(rows: count, columns: count, elements: block))
                for i in 0..<count { result[k, i] = row[i] }
            }
            return result
        }
    }
}
