import LinearAlgebra
import Merging
import Tensors

extension ConsolidationMethod {
    /// S⁺ = S + α·F⊥ with F⊥ = F − P_U F P_V, or (I−P_U)F, F(I−P_V), (I−P_U)F(I−P_V); P_U and P_V project on the leading
    /// directions of S: the smallest k with Σ_{j<k} σ_j² ≥ e·Σσ_j².
    static let orthogonal = ConsolidationMethod(
        id: "orth", summary: "adds what of fast lies outside the leading directions of slow",
        source: "cil-engine 8.2; compare OPCM, arXiv 2501.09522",
        parameters: [
            .consolidationAlpha(),
            ParameterDeclaration(
                "energy", .number, default: .number(0.9), range: .unit,
                summary: "share of the energy of slow that its leading directions hold"),
            ParameterDeclaration(
                "variant", .choice(["block", "left", "right", "both"]), default: .text("block"),
                summary: "remove the block P_U F P_V, the left part, the right part, or both"),
        ],
        .cores { context, pair in
            let kept = try leading(pair.slow, energy: context.number("energy"), place: context.site)
            guard kept.sigma.count > 0 else { return pair.slow.plus(pair.fast, times: try context.number("alpha")) }
            let rest = try outside(pair.fast, of: kept, variant: context.word("variant"))
            return pair.slow.plus(rest, times: try context.number("alpha"))
        })

    private static func leading(_ core: Matrix<Double>, energy: Double, place: String) throws -> ThinSVD<Double> {
        let svd = try supportSVD(core, relative: RankTolerance.double, place: place)
        guard energy > 0, !svd.sigma.isEmpty else { return svd.truncated(to: 0) }
        return svd.truncated(to: RankBudget.energy(energy).rank(of: svd.sigma))
    }

    private static func outside(
        _ fast: Matrix<Double>, of slow: ThinSVD<Double>, variant: String
    ) throws -> Matrix<Double> {
        func left(_ m: Matrix<Double>) throws -> Matrix<Double> {
            try multiply(slow.u, multiply(slow.u, m, transposeA: true))
        }
        func right(_ m: Matrix<Double>) throws -> Matrix<Double> {
            try multiply(multiply(m, slow.vt, transposeB: true), slow.vt)
        }
        switch variant {
        case "left": return fast.minus(try left(fast))
        case "right": return fast.minus(try right(fast))
        case "both":
            let rest = fast.minus(try left(fast))
            return rest.minus(try right(rest))
        default: return fast.minus(try right(left(fast)))
        }
    }
}
