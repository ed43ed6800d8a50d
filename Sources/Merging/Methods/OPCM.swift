import LinearAlgebra
import Tensors

extension MergeMethod {
    /// Orthogonal projection of a stream of adapters (merge-methods 3.18). The state starts as Δ_1; with its support
    /// U Σ Vᵀ a newcomer loses what it has in the leading κ×κ block and on the diagonal of Uᵀ Δ_t V, and is then added. At
    /// the end the state gets the mean norm of the adapters.
    ///
    /// The published steps rescale the state to n̄/‖S_t‖ after each addition and undo that in the next one by
    /// λ_t = ‖S_t‖/n̄, so that only the last rescaling is left. Norms are those of whole adapters.
    static let opcm = MergeMethod(
        MethodDescription(
            id: "opcm", title: "Continual merging by orthogonal projection",
            summary: "Adds adapters one after the other and keeps newcomers out of the leading directions of what is "
                + "there already.",
            exactness: .spectral, source: "OPCM, arXiv 2501.09522; tanganke/fusion_bench",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "alpha", .number, default: .number(0.5), range: .unit,
                    summary: "share of the sum of the singular values that is protected"),
                ParameterDeclaration(
                    "step_rank", .rank(words: ["keep"], keyed: ["energy"]), default: .text("keep"),
                    summary: "rank to which the state is cut before each newcomer"),
            ],
            sequential: true, cost: "one R×R decomposition per adapter and module, R = total rank"),
        .spectralTogether(
            rule: { context, space in
                var state = space.zero
                var quantities = [Double](repeating: 0, count: 1 + context.adapterCount)
                for t in 0..<space.count {
                    let update = try space.core(t).scaled(by: context.weights[t])
                    quantities[1 + context.operandIndices[t]] = squaredNorm(update)
                    state = t == 0 ? update : try joined(state, update, context)
                }
                quantities[0] = squaredNorm(state)
                return ScaledTogether(core: state.scaled(by: try context.number("lambda")), quantities: quantities)
            },
            scale: { sums in
                let norms = sums.dropFirst().filter { $0 > 0 }.map { $0.squareRoot() }
                guard sums[0] > 0, !norms.isEmpty else { return 1 }
                return norms.reduce(0, +) / Double(norms.count) / sums[0].squareRoot()
            }))

    private static func squaredNorm(_ core: Matrix<Double>) -> Double { core.frobeniusNorm * core.frobeniusNorm }

    /// The state, cut to its rank, and what of a newcomer does not oppose or repeat it.
    private static func joined(
        _ state: Matrix<Double>, _ update: Matrix<Double>, _ context: MethodContext
    ) throws -> Matrix<Double> {
        let whole = try supportSVD(state, place: context.module)
        guard !whole.sigma.isEmpty else { return update }
        let svd = whole.truncated(to: stepRank(whole.sigma, context))
        let protected = protectedCount(svd.sigma, share: try context.number("alpha"))
        let projection = try multiply(multiply(svd.u, update, transposeA: true), svd.vt, transposeB: true)
        var removed = Matrix<Double>(rows: projection.rows, columns: projection.columns)
        for k in 0..<removed.rows {
            for l in 0..<removed.columns where k == l || (k < protected && l < protected) {
                removed[k, l] = -projection[k, l]
            }
        }
        let rest = update.adding(try multiply(multiply(svd.u, removed), svd.vt))
        let kept = svd.sigma.count < whole.sigma.count ? try svd.product() : state
        return kept.adding(rest)
    }

    private static func stepRank(_ sigma: [Double], _ context: MethodContext) -> Int {
        switch context.value("step_rank") {
        case .number(let rank): min(sigma.count, Int(rank))
        case .choice(_, let share): RankBudget.energy(share).rank(of: sigma)
        default: sigma.count
        }
    }

    /// κ: the first index at which the running share of the singular values exceeds α.
    private static func protectedCount(_ sigma: [Double], share: Double) -> Int {
        let total = sigma.reduce(0, +)
        var sum = 0.0
        for (j, value) in sigma.enumerated() {
            sum += value
            if sum > share * total { return j }
        }
        return sigma.count
    }
}
