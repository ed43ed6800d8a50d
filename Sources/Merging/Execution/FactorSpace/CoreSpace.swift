import LinearAlgebra
import Tensors

/// The operands of one module in the coordinates of their joint core (merge-methods 1.1): Δ_i = Q_B C_i Q_Aᵀ exactly.
/// What the rules of class S work on.
public struct CoreSpace: Sendable {
    let joint: JointCore

    init(_ joint: JointCore) { self.joint = joint }

    /// Number of operands.
    public var count: Int { joint.factors.count }
    /// b, rows of a core.
    public var rows: Int { joint.leftSize }
    /// a, columns of a core.
    public var columns: Int { joint.rightSize }

    /// C_i, b×a.
    public func core(_ i: Int) throws -> Matrix<Double> {
        guard joint.factors[i].rank > 0 else { return zero }
        return try joint.core(i)
    }

    /// Σ c_i C_i, b×a.
    public func sum(_ coefficients: [Double]) throws -> Matrix<Double> { try joint.sum(weights: coefficients) }

    /// The singular triples of C_i above `tolerance · σ₀`, from r_i×r_i numbers.
    public func svd(_ i: Int, tolerance: Double = RankTolerance.fromFiles) throws -> ThinSVD<Double> {
        guard joint.factors[i].rank > 0, rows > 0, columns > 0 else {
            return ThinSVD(u: Matrix(rows: rows, columns: 0), sigma: [], vt: Matrix(rows: 0, columns: columns))
        }
        return try joint.adapterSVD(i, relative: tolerance)
    }

    /// The b×a matrix of zeros.
    public var zero: Matrix<Double> { Matrix(rows: rows, columns: columns) }
}

extension Matrix<Double> {
    /// ‖Σ c_i Δ_i‖F, when this is the Gram matrix of the Δ_i.
    func norm(ofCombination coefficients: [Double]) -> Double {
        var sum = 0.0
        for i in 0..<rows {
            for j in 0..<columns { sum += coefficients[i] * self[i, j] * coefficients[j] }
        }
        return max(sum, 0).squareRoot()
    }

    /// Cosines between the updates whose Gram matrix this is; 0 beside a zero update.
    func cosines() -> [[Double]] {
        let norms = (0..<rows).map { max(self[$0, $0], 0).squareRoot() }
        return (0..<rows).map { i in
            (0..<columns).map { j in
                let product = norms[i] * norms[j]
                return product > 0 ? Swift.min(1, Swift.max(-1, self[i, j] / product)) : 0
            }
        }
    }
}
