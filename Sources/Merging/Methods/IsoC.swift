import LinearAlgebra
import Tensors

extension MergeMethod {
    /// Isotropic merging in a common subspace (merge-methods 3.15): with Σ w_i Δ_i = U Σ Vᵀ on its support,
    ///
    ///     Δ* = λ U ((1−β) Σ + β σ̄ I) Vᵀ
    ///
    /// Directions outside the support stay zero: the dense formula of the paper would fill them with arbitrary ones.
    static let isoC = MergeMethod(
        MethodDescription(
            id: "iso_c", title: "Isotropic merging, common subspace",
            summary: "Gives all directions of the summed update the same strength, so that strong tasks do not drown "
                + "weak ones.",
            exactness: .spectral, source: "Iso-C, arXiv 2502.04959; danielm1405/iso-merging",
            parameters: [.weight, .lambda(), .isotropy, .meanOver], cost: "O(R²(m+n)) per module, R = total rank"),
        .spectral { context, space in
            let flat = try context.isotropicSpectrum(try space.sum(context.weights))
            let lambda = try context.number("lambda")
            return MergedCore(u: flat.u, values: flat.sigma.map { lambda * $0 }, vt: flat.vt)
        })
}

extension PostStep {
    /// The flattening of `iso_c` after another method.
    static let isotropize = PostStep(
        description: MethodDescription(
            id: "isotropize", title: "Flatten the spectrum",
            summary: "Gives all directions of the merged update the same strength, or moves them towards it.",
            exactness: .spectral, role: .post(after: [.gram, .spectral, .coordinates]),
            source: "Iso-C, arXiv 2502.04959; used after TSV and TIES in Core Space, arXiv 2509.17786",
            parameters: [.isotropy, .meanOver], cost: "one decomposition of the merged core"),
        apply: { context, _, merged in try context.isotropic(merged) })
}

extension ParameterDeclaration {
    static let isotropy = ParameterDeclaration(
        "beta", .number, default: .number(1), range: .unit,
        summary: "0 keeps the singular values, 1 makes them all equal to their mean")
    static let meanOver = ParameterDeclaration(
        "mean_over", .choice(SpectrumMean.allCases.map(\.rawValue)), default: .text("rank"),
        summary: "divide the sum of the singular values by the rank, or by min(d_out, d_in) as the paper writes")
}

/// What the sum of the singular values is divided by.
enum SpectrumMean: String, CaseIterable {
    case rank
    case smallSide = "min_dim"
}

extension MethodContext {
    /// U ((1−β) Σ + β σ̄ I) Vᵀ on the support of a core.
    func isotropic(_ core: Matrix<Double>) throws -> Matrix<Double> { try isotropicSpectrum(core).product() }

    /// The same in parts; the vectors stay those of the core in the order of its singular values.
    func isotropicSpectrum(_ core: Matrix<Double>) throws -> ThinSVD<Double> {
        let beta = try number("beta")
        var svd = try supportSVD(core, place: module)
        guard !svd.sigma.isEmpty else { return svd }
        let divisor = try word("mean_over", as: SpectrumMean.self) == .rank ? svd.sigma.count : smallSide
        let mean = svd.sigma.reduce(0, +) / Double(divisor)
        svd.sigma = svd.sigma.map { (1 - beta) * $0 + beta * mean }
        return svd
    }
}
