import LinearAlgebra
import Tensors

extension MergeMethod {
    /// A rule in Core Space (merge-methods 3.17): on the cores C_i of Δ_i = Q_B C_i Q_Aᵀ with the singular bases of
    /// [B_0 …] and [A_0; …]. For rules of class G and S the result equals theirs on the updates; for elementwise rules the
    /// basis is part of the definition.
    static func core(_ rule: String, of method: MergeMethod) -> MergeMethod {
        let own = method.description
        let isElementwise = own.exactness == .elementwise
        let description = MethodDescription(
            id: "core_" + rule, title: "Core Space, " + own.id,
            summary: isElementwise
                ? "Applies \(own.id) to the small cores of the updates in the bases that their factors share; needs no "
                    + "recompression."
                : "The same as \(own.id), which is computed on the cores anyway.",
            exactness: isElementwise ? .coordinates : own.exactness,
            source: "Core Space, arXiv 2509.17786; apanariello4/core-space-merging; " + own.source,
            parameters: own.parameters.filter { $0.name != "mask_file" }, random: own.random,
            dropsZeroWeight: isElementwise ? nil : own.dropsZeroWeight,
            cost: "O(R²(m+n)) per module, then work on R×R numbers, R = total rank")
        return MergeMethod(
            description,
            choosing: { context in
                guard isElementwise else { return try method.rule(context) }
                return .coordinates(.core, try elements(try method.rule(context), method))
            })
    }

    /// Mean core plus the leading directions of what sets each adapter apart from it:
    /// θ = mean w_i C_i, M* = λ (θ + c Σ top_k(w_i C_i − θ)), k = ⌈share · rank⌉.
    static let coreCart = MergeMethod(
        MethodDescription(
            id: "core_cart", title: "Core Space, CART",
            summary:
                "Centres the updates at their mean and adds the leading directions of each adapter's distance to it.",
            exactness: .spectral, source: "Core Space, arXiv 2509.17786; CART, arXiv 2412.12153",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "rank_share", .number, default: .number(0.04), range: .unit,
                    summary: "share of the directions of each difference that is kept"),
                ParameterDeclaration(
                    "scale", .number, default: .number(0.1), summary: "factor of the differences"),
            ],
            cost: "O(R²(m+n)) per module and one decomposition per adapter, R = total rank"),
        .spectral { context, space in
            guard space.count > 0 else { return MergedCore(space.zero) }
            let (share, scale) = (try context.number("rank_share"), try context.number("scale"))
            let mean = try space.sum(context.weights.map { $0 / Double(space.count) })
            var sum = mean
            for i in 0..<space.count {
                let difference = try space.core(i).scaled(by: context.weights[i]).adding(mean.scaled(by: -1))
                let floor = RankTolerance.fromFiles * mean.frobeniusNorm
                let svd = try supportSVD(difference, absolute: floor, place: context.module)
                let kept = Int((share * Double(svd.sigma.count) - 1e-9).rounded(.up))
                sum = sum.adding(try svd.truncated(to: kept).product().scaled(by: scale))
            }
            return MergedCore(sum.scaled(by: try context.number("lambda")))
        })
}
