import LinearAlgebra
import Tensors

extension MergeMethod {
    /// Task Singular Vectors, merge (merge-methods 3.13). With Δ_i = U_i Σ_i V_iᵀ on the support and the first k_i triples
    /// of each side by side,
    ///
    ///     Δ* = λ · polar(U) · blockdiag(w_i Σ_i) · polar(V)ᵀ
    ///
    /// where polar is the rank-restricted polar factor (1.3). Runs on the cores: Δ* = Q_B M Q_Aᵀ.
    static let tsvM = MergeMethod(
        MethodDescription(
            id: "tsv_m", title: "Task Singular Vectors, merge",
            summary: "Makes the singular vectors of all updates orthogonal to each other before adding them, which "
                + "takes away the interference between tasks.",
            exactness: .spectral,
            source: "TSV-Merge, arXiv 2412.00081; AntoAndGar/task_singular_vectors; rank-restricted as in Core Space, "
                + "arXiv 2509.17786",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "k", .rank(words: ["full", "paper"], keyed: ["energy"]), default: .text("full"),
                    summary: "triples per adapter: its rank, min(rank, p/T), a number, or {energy: e}"),
                ParameterDeclaration(
                    "tol.polar", .number, default: .number(RankTolerance.polar), range: .nonNegative,
                    summary: "relative singular value below which a direction is left out of the polar factors"),
            ],
            cost: "O(R²(m+n)) per module, R = total rank; never forms an m×n matrix"),
        .spectral { context, space in
            let (lambda, tolerance) = (try context.number("lambda"), try context.number("tol.polar"))
            let parts = try (0..<space.count).map { i in
                let svd = try space.svd(i)
                return svd.truncated(to: try kept(svd.sigma, context))
            }
            let u = Matrix.sideBySide(parts.map(\.u))
            let v = Matrix.sideBySide(parts.map { $0.vt.transposed() })
            let sigma = zip(parts, context.weights).flatMap { part, weight in part.sigma.map { lambda * weight * $0 } }
            guard !sigma.isEmpty else { return MergedCore(space.zero) }
            return try MergedCore(
                left: PolarFactor(u, tolerance: tolerance, place: context.module), values: sigma,
                right: PolarFactor(v, tolerance: tolerance, place: context.module))
        })

    /// k_i for the singular values of one adapter's support.
    private static func kept(_ sigma: [Double], _ context: MethodContext) throws -> Int {
        switch context.value("k") {
        case .text("paper"): return min(sigma.count, max(1, context.smallSide / context.operandCount))
        case .number(let k): return min(sigma.count, Int(k))
        case .choice(_, let share): return RankBudget.energy(share).rank(of: sigma)
        default: return sigma.count
        }
    }
}
