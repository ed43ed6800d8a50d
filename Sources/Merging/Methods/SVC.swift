import LinearAlgebra
import Tensors

extension PostStep {
    /// Singular value calibration (merge-methods 3.20). With Δ* = U Σ Vᵀ, a_j = u_jᵀ Δ* and a_j^i = u_jᵀ Δ_i,
    ///
    ///     s_j^i = ⟨a_j, a_j^i⟩ / ‖a_j^i‖²,   γ_j = T / Σ_i max(α, s_j^i),   Δ** = U diag(γ Σ) Vᵀ
    ///
    /// so that directions which several adapters share are not counted several times.
    static let svc = PostStep(
        description: MethodDescription(
            id: "svc", title: "Singular value calibration",
            summary: "Weakens the directions of the merged update that several adapters push together.",
            exactness: .spectral, role: .post(after: [.gram, .spectral, .coordinates]), source: "SVC, arXiv 2602.05536",
            parameters: [
                ParameterDeclaration(
                    "alpha", .number, default: .number(1), range: .positive,
                    summary: "least strength that an adapter is taken to have; lower keeps more"),
                ParameterDeclaration(
                    "reference", .choice(Reference.allCases.map(\.rawValue)), default: .text("raw"),
                    summary: "compare with the updates themselves, or with their weights folded in"),
            ],
            cost: "one decomposition of the merged core"),
        apply: { context, space, merged in
            let alpha = try context.number("alpha")
            let weighted = try context.word("reference", as: Reference.self) == .weighted
            let svd = try supportSVD(merged, place: context.module)
            guard !svd.sigma.isEmpty, space.count > 0 else { return merged }
            let own = svd.vt.scalingRows(by: svd.sigma)
            var strengths = [Double](repeating: 0, count: svd.sigma.count)
            for i in 0..<space.count {
                let core = try space.core(i).scaled(by: weighted ? context.weights[i] : 1)
                let part = try multiply(svd.u, core, transposeA: true)
                for j in svd.sigma.indices {
                    let (inner, square) = (dot(own, part, row: j), dot(part, part, row: j))
                    let isAbsent = square < 1e-12 * svd.sigma[j] * svd.sigma[j]
                    strengths[j] += isAbsent ? alpha : max(alpha, inner / square)
                }
            }
            let calibrated = zip(svd.sigma, strengths).map { $0 * Double(space.count) / $1 }
            return try multiply(svd.u.scalingColumns(by: calibrated), svd.vt)
        })

    private enum Reference: String, CaseIterable { case raw, weighted }

    private static func dot(_ x: Matrix<Double>, _ y: Matrix<Double>, row: Int) -> Double {
        (0..<x.columns).reduce(0) { $0 + x[row, $1] * y[row, $1] }
    }
}
