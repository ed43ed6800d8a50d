import LinearAlgebra
import Tensors

/// How two updates of one site lie to each other (cil-engine 16); nil where one of them is zero.
public struct UpdateOverlap: Sendable, Hashable {
    /// ⟨Δ_a, Δ_b⟩ / (‖Δ_a‖‖Δ_b‖)
    public var cosine: Double?
    /// ‖U_aᵀU_b‖_F²/min(i, j) over all directions of both, 0…1.
    public var left: Double?
    /// The same of the right singular vectors.
    public var right: Double?
    /// ‖P_U Δ_a P_V‖²/‖Δ_a‖², P_U and P_V on the leading directions of Δ_b.
    public var shareInside: Double?
    /// Share of entries with equal sign among those where both are non-zero; nil unless asked for.
    public var signAgreement: Double?
    /// Σ|Δ_a| over entries that oppose Δ_b, divided by Σ|Δ_a|; nil unless asked for.
    public var conflictMass: Double?

    /// - Parameters:
    ///   - energy: share of Σσ² of Δ_b that its leading directions hold.
    ///   - entries: compare single entries too, which forms both updates densely.
    /// - Throws: `numeric.no_convergence`.
    public init(_ a: LowRankUpdate, _ b: LowRankUpdate, energy: Double = 0.9, entries: Bool = true) throws {
        guard a.rank > 0, b.rank > 0 else { return }
        let basis = try JointBasis([a, b])
        let first = try supportSVD(basis.cores[0], relative: RankTolerance.double, place: a.site)
        let second = try supportSVD(basis.cores[1], relative: RankTolerance.double, place: a.site)
        guard !first.sigma.isEmpty, !second.sigma.isEmpty else { return }
        let inner = zip(basis.cores[0].elements, basis.cores[1].elements).reduce(0) { $0 + $1.0 * $1.1 }
        let norms = basis.cores[0].frobeniusNorm * basis.cores[1].frobeniusNorm
        cosine = norms > 0 ? min(1, max(-1, inner / norms)) : nil
        left = try Self.overlap(first.u, second.u)
        right = try Self.overlap(first.vt.transposed(), second.vt.transposed())
        let leading = second.truncated(to: RankBudget.energy(energy).rank(of: second.sigma))
        let inside = try multiply(
            multiply(leading.u, basis.cores[0], transposeA: true), leading.vt, transposeB: true)
        let whole = basis.cores[0].frobeniusNorm
        shareInside = min(1, inside.frobeniusNorm * inside.frobeniusNorm / (whole * whole))
        if entries { try compareEntries(a, b) }
    }

    /// ‖UᵀW‖_F²/min(i, j) for orthonormal columns.
    private static func overlap(_ u: Matrix<Double>, _ w: Matrix<Double>) throws -> Double {
        let product = try multiply(u, w, transposeA: true)
        return min(1, product.frobeniusNorm * product.frobeniusNorm / Double(min(u.columns, w.columns)))
    }

    private mutating func compareEntries(_ a: LowRankUpdate, _ b: LowRankUpdate) throws {
        let (x, y) = (try a.dense(), try b.dense())
        var (equal, both) = (0, 0)
        for (p, q) in zip(x.elements, y.elements) where p != 0 && q != 0 {
            both += 1
            equal += (p > 0) == (q > 0) ? 1 : 0
        }
        signAgreement = both > 0 ? Double(equal) / Double(both) : nil
        conflictMass = SignConflictMass.share(x, against: y)
    }
}
