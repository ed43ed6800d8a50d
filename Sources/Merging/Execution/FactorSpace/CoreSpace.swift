import LinearAlgebra
import Tensors

/// The operands of one module in the coordinates of a joint core (merge-methods 1.1): Δ_i = Q_B C_i Q_Aᵀ exactly.
/// What the rules of class S work on. For low-rank updates the cores are small; for full checkpoints Q_B and Q_A are
/// identities and the cores the updates themselves.
public struct CoreSpace: Sendable {
    private enum Source: Sendable {
        /// The operands follow `first` other updates.
        case joint(JointCore, first: Int)
        case dense([Matrix<Double>])
    }

    private let source: Source
    /// b, rows of a core.
    public let rows: Int
    /// a, columns of a core.
    public let columns: Int

    /// - Parameter first: leave out so many updates at the beginning of the joint core.
    init(_ joint: JointCore, skipping first: Int = 0) {
        source = .joint(joint, first: first)
        rows = joint.leftSize
        columns = joint.rightSize
    }

    /// The updates themselves as cores, all of one shape.
    init(dense updates: [Matrix<Double>]) {
        source = .dense(updates)
        rows = updates.first?.rows ?? 0
        columns = updates.first?.columns ?? 0
    }

    /// Number of operands.
    public var count: Int {
        switch source {
        case .joint(let joint, let first): joint.factors.count - first
        case .dense(let updates): updates.count
        }
    }

    /// C_i, b×a.
    public func core(_ i: Int) throws -> Matrix<Double> {
        switch source {
        case .joint(let joint, let first):
            joint.factors[first + i].rank > 0 ? try joint.core(first + i) : zero
        case .dense(let updates): updates[i]
        }
    }

    /// Σ c_i C_i, b×a.
    public func sum(_ coefficients: [Double]) throws -> Matrix<Double> {
        switch source {
        case .joint(let joint, let first):
            return try joint.sum(weights: [Double](repeating: 0, count: first) + coefficients)
        case .dense(let updates):
            var sum = zero
            for (update, c) in zip(updates, coefficients) {
                for e in sum.elements.indices { sum.elements[e] += c * update.elements[e] }
            }
            return sum
        }
    }

    /// The singular triples of C_i above `tolerance · σ₀`; for low-rank updates from r_i×r_i numbers.
    public func svd(_ i: Int, tolerance: Double = RankTolerance.fromFiles) throws -> ThinSVD<Double> {
        switch source {
        case .joint(let joint, let first):
            guard joint.factors[first + i].rank > 0, rows > 0, columns > 0 else {
                return ThinSVD(u: Matrix(rows: rows, columns: 0), sigma: [], vt: Matrix(rows: 0, columns: columns))
            }
            return try joint.adapterSVD(first + i, relative: tolerance)
        case .dense(let updates): return try supportSVD(updates[i], relative: tolerance)
        }
    }

    /// The singular triples of (I − P·Pᵀ)·scale·C_i for a b×k matrix P with orthonormal columns.
    ///
    /// They count above `tolerance` times the norm of the update itself: what rounding leaves of a vanishing residual
    /// has no directions.
    func svd(
        _ i: Int, scale: Double, outside p: Matrix<Double>, tolerance: Double = RankTolerance.fromFiles, place: String
    ) throws -> ThinSVD<Double> {
        let whole = try svd(i)
        let values = whole.sigma.map { $0 * scale }
        guard !values.isEmpty else { return whole }
        var residual = whole.u.scalingColumns(by: values)
        // Twice, since what is left may be small against what is taken away.
        for _ in 0..<2 {
            residual = residual.adding(
                try multiply(p, try multiply(p, residual, transposeA: true)).scaled(by: -1))
        }
        let factored = try thinQR(residual, place: place)
        let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let small = try supportSVD(
            factored.r, relative: tolerance, absolute: tolerance * norm, place: place)
        return try ThinSVD(
            u: multiply(factored.q, small.u), sigma: small.sigma, vt: multiply(small.vt, whole.vt))
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
