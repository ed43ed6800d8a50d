import Tensors

/// The rank-restricted polar factor: with X = P·Σ·Qᵀ, the product P_ρ·Q_ρᵀ of the singular vectors whose value exceeds
/// `tolerance · σ₀`.
///
/// It is the nearest partial isometry. The unrestricted factor of a rank-deficient X would add arbitrary directions.
/// Computed by SVD: forming (XᵀX)^(−1/2) would square the condition number.
/// - Throws: `merge.non_finite`, `numeric.no_convergence`, `numeric.dimension_limit`.
public func polarFactor(
    _ x: Matrix<Double>, tolerance: Double = RankTolerance.polar, place: String = "polar factor"
) throws -> Matrix<Double> {
    let svd = try supportSVD(x, relative: tolerance, place: place)
    return try multiply(svd.u, svd.vt)
}
