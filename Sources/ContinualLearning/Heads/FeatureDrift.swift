import LinearAlgebra
import Networks
import Tensors

/// How the features of the same samples moved while a task was learned, as a linear map (cil-engine 11.5).
///
/// T = argmin Σ‖f' − T f‖² + λ‖T − I‖² = (F'ᵀF + λI)(FᵀF + λI)⁻¹.
public struct FeatureDrift: Sendable {
    /// [width, width]
    public let transport: Matrix<Double>
    /// Mean cosine between f and f'.
    public let meanCosine: Double

    /// - Parameters:
    ///   - before: f [samples, width], by the model before the task.
    ///   - after: f' of the same samples, by the consolidated model.
    ///   - strength: λ as a share of the mean diagonal entry of FᵀF; positive. Large values keep T near I.
    /// - Throws: `numeric.no_convergence`, `merge.non_finite`.
    public init(before: Matrix<Float>, after: Matrix<Float>, strength: Double = 0.01) throws {
        let f = before.inDouble
        let moved = after.inDouble
        meanCosine = Self.cosine(before, after)
        var left = try multiply(moved, f, transposeA: true)
        var right = try symmetricProduct(f, transposed: true)
        let width = f.columns
        let trace = (0..<width).reduce(0) { $0 + right[$1, $1] }
        let lambda = max(strength * trace / Double(max(1, width)), .leastNormalMagnitude)
        for i in 0..<width {
            left[i, i] += lambda
            right[i, i] += lambda
        }
        // T·R = L with a symmetric R: Rᵀ·Tᵀ = Lᵀ.
        transport = try solve(right, left.transposed(), place: "drift of features").transposed()
    }

    /// Mean cosine between rows; 1 for no rows.
    public static func cosine(_ before: Matrix<Float>, _ after: Matrix<Float>) -> Double {
        guard before.rows > 0, before.rows == after.rows else { return 1 }
        let (x, y) = (FeatureRows.unitLength(before), FeatureRows.unitLength(after))
        let sum = zip(x.elements, y.elements).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        return sum / Double(before.rows)
    }
}
