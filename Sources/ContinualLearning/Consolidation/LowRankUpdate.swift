import Diagnostics
import LinearAlgebra
import Tensors

/// The effective update Δ = B·A of one adapted site, in double precision, with the scale folded into B.
///
/// Consolidation, norms and analyses are defined on Δ, never on the factors (cil-engine 1).
public struct LowRankUpdate: Sendable, Equatable {
    public let site: String
    /// [outputs, rank]
    public var b: Matrix<Double>
    /// [rank, inputs]
    public var a: Matrix<Double>

    /// - Parameters:
    ///   - b: [outputs, rank], scale included.
    ///   - a: [rank, inputs].
    /// - Throws: `merge.shape_mismatch` when the ranks differ, `merge.non_finite` for NaN or infinite entries.
    public init(site: String, b: Matrix<Double>, a: Matrix<Double>) throws {
        guard b.columns == a.rows else {
            throw Failure(
                .mergeShapeMismatch, "B is \(b.rows)×\(b.columns), A is \(a.rows)×\(a.columns)", place: site)
        }
        guard !b.elements.contains(where: { !$0.isFinite }), !a.elements.contains(where: { !$0.isFinite }) else {
            throw Failure(.mergeNonFinite, "a factor holds values that are NaN or infinite", place: site)
        }
        self.site = site
        self.b = b
        self.a = a
    }

    /// Factors in single precision with their scale s: Δ = s·B·A.
    public init(site: String, b: Matrix<Float>, a: Matrix<Float>, scale: Double) throws {
        try self.init(site: site, b: b.inDouble.scaled(by: scale), a: a.inDouble)
    }

    /// The zero update of a shape; rank 0.
    public static func zero(site: String, outputs: Int, inputs: Int) throws -> LowRankUpdate {
        try LowRankUpdate(
            site: site, b: Matrix<Double>(rows: outputs, columns: 0), a: Matrix<Double>(rows: 0, columns: inputs))
    }

    /// d_out
    public var outputs: Int { b.rows }
    /// d_in
    public var inputs: Int { a.columns }
    /// Columns of B; the true rank may be lower.
    public var rank: Int { b.columns }
    public var smallSide: Int { min(outputs, inputs) }

    /// True when Δ = 0 because one factor of every pair of directions is zero.
    public var isZero: Bool { b.elements.allSatisfy { $0 == 0 } || a.elements.allSatisfy { $0 == 0 } }

    /// ‖Δ‖_F from the Gram matrices of the factors, exactly 0 when one factor is 0.
    public func norm() throws -> Double {
        guard rank > 0 else { return 0 }
        return try max(inner(self), 0).squareRoot()
    }

    /// ⟨Δ, Δ'⟩ = tr((BᵀB')(A'Aᵀ)).
    public func inner(_ other: LowRankUpdate) throws -> Double {
        guard rank > 0, other.rank > 0 else { return 0 }
        let left = try multiply(b, other.b, transposeA: true)
        let right = try multiply(a, other.a, transposeB: true)
        return zip(left.elements, right.elements).reduce(0) { $0 + $1.0 * $1.1 }
    }

    /// Δ as a dense matrix [outputs, inputs].
    public func dense() throws -> Matrix<Double> {
        rank > 0 ? try multiply(b, a) : Matrix(rows: outputs, columns: inputs)
    }

    /// ‖Δ − Δ'‖_F through the joint core: no cancellation between large norms.
    public func distance(to other: LowRankUpdate) throws -> Double {
        let basis = try JointBasis([self, other])
        return basis.cores[0].minus(basis.cores[1]).frobeniusNorm
    }

    /// c·Δ; the factor goes to B.
    public func scaled(by factor: Double) -> LowRankUpdate {
        var copy = self
        copy.b = b.scaled(by: factor)
        return copy
    }

    /// The same Δ with more directions: new rows of A from U(−1/√d_in, 1/√d_in), new columns of B zero.
    ///
    /// A slot that is trained further must not hold directions where both factors are zero (cil-engine 1).
    /// - Parameter random: the stream of the new rows; nothing is drawn when `rank` is large enough already.
    public func padded(toRank rank: Int, random: CounterRandom) -> LowRankUpdate {
        let missing = rank - self.rank
        guard missing > 0 else { return self }
        let bound = 1 / Double(inputs).squareRoot()
        var rows = Matrix<Double>(rows: missing, columns: inputs)
        for i in rows.elements.indices {
            rows.elements[i] = bound * (2 * Double(random.uniform(UInt64(i))) - 1)
        }
        var copy = self
        copy.b = Matrix.sideBySide([b, Matrix(rows: outputs, columns: missing)])
        copy.a = Matrix.stacked([a, rows])
        return copy
    }
}

extension Matrix<Double> {
    func plus(_ other: Matrix<Double>, times factor: Double = 1) -> Matrix<Double> {
        var sum = self
        for i in sum.elements.indices { sum.elements[i] += factor * other.elements[i] }
        return sum
    }

    func minus(_ other: Matrix<Double>) -> Matrix<Double> { plus(other, times: -1) }
}
