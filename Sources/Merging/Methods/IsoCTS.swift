import Diagnostics
import LinearAlgebra
import Tensors

extension MergeMethod {
    /// Isotropic merging in common and task-specific subspaces (merge-methods 3.15). Of P directions, k are the first
    /// ones of Σ w_i Δ_i and s per adapter are the first ones of what lies outside of them:
    ///
    ///     U = [U_0 … U_{T-1}, U_c],  V likewise,  Δ* = λ σ̄ · polar(U) · polar(V)ᵀ
    ///
    /// σ̄ is the mean of the chosen singular values. One common fraction of 1 is `iso_c`.
    static let isoCTS = MergeMethod(
        MethodDescription(
            id: "iso_cts", title: "Isotropic merging, common and task-specific subspaces",
            summary:
                "Like iso_c, but reserves a share of the directions for what single adapters do outside the common "
                + "subspace.",
            exactness: .spectral, source: "Iso-CTS, arXiv 2502.04959; danielm1405/iso-merging",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "common_space_fraction", .number, default: .number(0.8), range: .unit,
                    summary: "share of the directions that come from the sum of the updates"),
                ParameterDeclaration(
                    "dimensions", .choice(SpectrumMean.allCases.map(\.rawValue)), default: .text("rank"),
                    summary: "how many directions there are: the rank of the sum, or min(d_out, d_in)"),
                ParameterDeclaration(
                    "tol.polar", .number, default: .number(RankTolerance.polar), range: .nonNegative,
                    summary: "relative singular value below which a direction is left out of the polar factors"),
            ],
            cost: "O(R²(m+n)) per module, R = total rank, and one decomposition per adapter"),
        .spectral { context, space in
            let common = try supportSVD(try space.sum(context.weights), place: context.module)
            let budget = try DirectionBudget(context, rank: common.sigma.count, adapters: space.count)
            let kept = common.truncated(to: budget.common)
            var parts = [kept]
            for i in 0..<space.count where budget.perAdapter > 0 {
                let outside = try space.svd(i, scale: context.weights[i], outside: kept.u, place: context.module)
                parts.append(outside.truncated(to: budget.perAdapter))
            }
            let sigma = parts.flatMap(\.sigma)
            guard !sigma.isEmpty else { return MergedCore(space.zero) }
            let scale = try context.number("lambda") * sigma.reduce(0, +) / Double(sigma.count)
            let tolerance = try context.number("tol.polar")
            let (u, v) = (Matrix.sideBySide(parts.map(\.u)), Matrix.sideBySide(parts.map { $0.vt.transposed() }))
            return try MergedCore(
                left: PolarFactor(u, tolerance: tolerance, place: context.module),
                values: [Double](repeating: scale, count: sigma.count),
                right: PolarFactor(v, tolerance: tolerance, place: context.module))
        })
}

/// k = ⌊f P⌋, s = round((P−k)/T) with halves to even, then k = P − s·T.
private struct DirectionBudget {
    var common: Int
    var perAdapter: Int

    init(_ context: MethodContext, rank: Int, adapters: Int) throws {
        let fraction = try context.number("common_space_fraction")
        let all = try context.word("dimensions", as: SpectrumMean.self) == .rank ? rank : context.smallSide
        let wanted = Int((fraction * Double(all) + 1e-9).rounded(.down))
        perAdapter = Int((Double(all - wanted) / Double(max(1, adapters))).rounded(.toNearestOrEven))
        common = all - perAdapter * adapters
        guard common >= 0 else {
            throw Failure(
                .recipeBadParameter,
                "\(adapters) adapters with \(perAdapter) directions each exceed the \(all) directions there are",
                place: context.module, hint: "raise common_space_fraction")
        }
    }
}
