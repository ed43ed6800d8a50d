import Tensors

/// The rank-restricted polar factor: with X = P·Σ·Qᵀ, the product P_ρ·Q_ρᵀ of the singular vectors whose value exceeds
/// `tolerance · σ₀`.
///
/// It is the nearest partial isometry. The unrestricted factor of a rank-deficient X would add arbitrary directions.
public struct PolarFactor: Sendable {
    /// P_ρ·Q_ρᵀ, of the shape of X.
    public let matrix: Matrix<Double>
    /// Whether all columns of X count, so that those of `matrix` are orthonormal.
    public let isIsometry: Bool

    /// By iteration where X is well conditioned, otherwise by SVD: forming (XᵀX)^(−1/2) would square the condition
    /// number.
    /// - Throws: `merge.non_finite`, `numeric.no_convergence`, `numeric.dimension_limit`.
    public init(_ x: Matrix<Double>, tolerance: Double = RankTolerance.polar, place: String = "polar factor") throws {
        try requireFinite(x, place: place)
        if tolerance <= PolarIteration.smallestRatio, let found = try PolarIteration.factor(x, place: place) {
            (matrix, isIsometry) = (found, true)
            return
        }
        let svd = try supportSVD(x, relative: tolerance, place: place)
        matrix = try multiply(svd.u, svd.vt)
        isIsometry = x.columns > 0 && svd.sigma.count == x.columns
    }
}

/// `PolarFactor` without the question whether it is an isometry.
///
/// - Throws: `merge.non_finite`, `numeric.no_convergence`, `numeric.dimension_limit`.
public func polarFactor(
    _ x: Matrix<Double>, tolerance: Double = RankTolerance.polar, place: String = "polar factor"
) throws -> Matrix<Double> {
    try PolarFactor(x, tolerance: tolerance, place: place).matrix
}

/// Y ← Y·(3I − YᵀY)/2 from X / σ̂, which converges to the polar factor for singular values in (0, √3) (Higham,
/// "Functions of Matrices", 8.6). Costs a third of an SVD where all singular values are of one order.
private enum PolarIteration {
    /// The iteration is left to X with σ_min / σ_max certainly above this.
    static let smallestRatio = 1e-2
    /// Estimate of σ_min² / σ_max² (in the 1-norm) from which on the iteration is worth it.
    private static let worthwhile = 4e-3
    private static let steps = 14
    /// Distance of YᵀY from I after which one more step reaches rounding.
    private static let nearly = 1e-7

    /// nil where X has more columns than rows, is badly conditioned, or does not converge.
    static func factor(_ x: Matrix<Double>, place: String) throws -> Matrix<Double>? {
        guard x.columns > 0, x.rows >= x.columns else { return nil }
        var gram = try symmetricProduct(x, transposed: true)
        let oneNorm = largestRowSum(gram)
        guard oneNorm > 0, oneNorm.isFinite, try reciprocalCondition(gram, oneNorm, place) > worthwhile else {
            return nil
        }
        // ‖X‖₂² ≤ ‖XᵀX‖₁: all singular values of Y are at most 1.
        var y = x.scaled(by: 1 / oneNorm.squareRoot())
        gram = gram.scaled(by: 1 / oneNorm)
        for _ in 0..<steps {
            let distance = distanceFromIdentity(gram)
            y = try multiply(y, step(gram))
            if distance < nearly { return y }
            gram = try symmetricProduct(y, transposed: true)
        }
        return nil
    }

    /// (3I − G)/2
    private static func step(_ gram: Matrix<Double>) -> Matrix<Double> {
        var result = gram.scaled(by: -0.5)
        for i in 0..<gram.rows { result[i, i] += 1.5 }
        return result
    }

    private static func reciprocalCondition(
        _ gram: Matrix<Double>, _ oneNorm: Double, _ place: String
    ) throws -> Double {
        guard let r = try cholesky(gram, place: place) else { return 0 }
        let n = try blasDimension(gram.rows)
        return try r.elements.withUnsafeBufferPointer { r in
            guard let r = r.baseAddress else { return 0 }
            return try Double.pocon(n: n, a: r, lda: n, norm: oneNorm)
        }
    }

    private static func largestRowSum(_ a: Matrix<Double>) -> Double {
        a.elements.withUnsafeBufferPointer { values in
            var largest = 0.0
            for i in 0..<a.rows {
                var sum = 0.0
                for j in 0..<a.columns { sum += abs(values[i &* a.columns &+ j]) }
                largest = max(largest, sum)
            }
            return largest
        }
    }

    /// ‖G − I‖F
    private static func distanceFromIdentity(_ gram: Matrix<Double>) -> Double {
        gram.elements.withUnsafeBufferPointer { values in
            var sum = 0.0
            for i in 0..<gram.rows {
                for j in 0..<gram.columns {
                    let d = values[i &* gram.columns &+ j] - (i == j ? 1 : 0)
                    sum += d * d
                }
            }
            return sum.squareRoot()
        }
    }
}
