import Tensors

/// Several low-rank updates of one shape, moved into one small common basis: Δ_i = Q_B · C_i · Q_Aᵀ exactly.
///
/// ```swift
/// let core = try JointCore(factors, place: module.name)
/// let merged = try rule((0..<factors.count).map(core.core))      // b×a, double precision
/// let result = try core.lowRank(merged, budget: .all, split: .sqrt)
/// ```
/// Q_B (m×b) and Q_A (n×a) have orthonormal columns that span all B_i and all A_iᵀ; b and a are at most R = Σ r_i.
/// Forming costs O(R²(m + n)), a core O(R² r_i). Any rule that commutes with isometries (SVD, polar factor, projections
/// onto singular vectors, traces) may work on the cores alone.
/// Source: Panariello et al., "Accurate and efficient low-rank model merging in core space", NeurIPS 2025.
public struct JointCore: Sendable {
    /// Which orthonormal basis spans the factors; only rules that act on single entries of the cores see a difference.
    public enum Basis: Sendable {
        /// Q of a QR factorisation with a non-negative diagonal.
        case triangular
        /// Singular vectors of [B_0 B_1 …] and of [A_0; A_1; …] (unscaled): the basis of `core_*` methods.
        case singular
    }

    public let gram: FactorGram
    private let leftBasis: TallBasis
    private let rightBasis: TallBasis
    private let place: String

    /// Forms the bases.
    ///
    /// - Parameters:
    ///   - factors: at least one update; all of one shape m×n, ranks may differ, and may add up to more than m or n.
    ///   - route: nil takes the cheapest that keeps the cores exact to 1e-9 relative.
    ///   - place: what the updates belong to, for messages.
    /// - Throws: `merge.shape_mismatch`, `merge.non_finite`, `numeric.no_convergence`, `numeric.dimension_limit`.
    public init(
        _ factors: [LowRankFactors], basis: Basis = .triangular, route: BasisRoute? = nil,
        place: String = "low-rank factors"
    ) throws {
        try self.init(FactorGram(factors, place: place), basis: basis, route: route, place: place)
    }

    /// Forms the bases from inner products that are known already.
    public init(
        _ gram: FactorGram, basis: Basis = .triangular, route: BasisRoute? = nil, place: String = "low-rank factors"
    ) throws {
        self.gram = gram
        self.place = place
        var left = try TallBasis(
            FactorStack(gram.factors.map(\.b), side: .left), gram: gram.left, forced: route)
        var right = try TallBasis(
            FactorStack(gram.factors.map(\.a), side: .right), gram: gram.right, forced: route)
        if basis == .singular {
            try left.becomeSingular(place: place)
            try right.becomeSingular(place: place)
        }
        (leftBasis, rightBasis) = (left, right)
    }

    public var factors: [LowRankFactors] { gram.factors }
    /// Columns of `rLeft` and `rRight` that belong to update i.
    public var ranges: [Range<Int>] { gram.ranges }
    /// R_B, b×R, with [B_0 B_1 …] = Q_B·R_B.
    public var rLeft: Matrix<Double> { leftBasis.r }
    /// R_A, a×R, with [A_0; A_1; …]ᵀ = Q_A·R_A.
    public var rRight: Matrix<Double> { rightBasis.r }
    /// b, at most min(m, R).
    public var leftSize: Int { leftBasis.size }
    /// a, at most min(n, R).
    public var rightSize: Int { rightBasis.size }
    /// How the two bases were found.
    public var routes: (left: BasisRoute, right: BasisRoute) { (leftBasis.route, rightBasis.route) }

    /// C_i = s_i · R_B[:, J_i] · R_A[:, J_i]ᵀ, b×a.
    public func core(_ index: Int) throws -> Matrix<Double> {
        try multiply(
            rLeft.columns(ranges[index]), rRight.columns(ranges[index]), transposeB: true, alpha: factors[index].scale)
    }

    /// All cores, in the order of the updates.
    public func cores() throws -> [Matrix<Double>] { try factors.indices.map(core) }

    /// Σ w_i C_i in one product, b×a.
    public func sum(weights: [Double]) throws -> Matrix<Double> {
        precondition(weights.count == factors.count)
        let columns = zip(factors, weights).flatMap { factor, weight in
            [Double](repeating: factor.scale * weight, count: factor.rank)
        }
        return try multiply(rLeft.scalingColumns(by: columns), rRight, transposeB: true)
    }

    /// Q_B·M for a b×q matrix, ready to be written out in parts.
    public func leftProduct(_ m: Matrix<Double>) throws -> TallProduct { try leftBasis.product(m) }

    /// (Q_A·M)ᵀ for an a×q matrix, ready to be written out in parts.
    public func rightProduct(_ m: Matrix<Double>) throws -> TallProduct { try rightBasis.product(m) }

    /// Q_B·M, m×q, for a b×q matrix: double precision inside, rounded once.
    public func left(_ m: Matrix<Double>) throws -> Matrix<Float> { try leftProduct(m).matrix() }

    /// (Q_A·M)ᵀ, q×n, for an a×q matrix: double precision inside, rounded once.
    public func right(_ m: Matrix<Double>) throws -> Matrix<Float> { try rightProduct(m).matrix() }
}

extension JointCore {
    /// Thin SVD of one update in the joint basis, restricted to its support: C_i = U·diag(σ)·Vᵀ with U b×ρ, V a×ρ and
    /// ρ the number of singular values above `relative · σ₀`.
    ///
    /// Two thin QRs of the update's own r_i columns and an SVD of r_i×r_i, in double precision.
    /// - Throws: `numeric.no_convergence`.
    public func adapterSVD(_ index: Int, relative: Double = RankTolerance.fromFiles) throws -> ThinSVD<Double> {
        let left = try thinQR(rLeft.columns(ranges[index]), place: place)
        let right = try thinQR(rRight.columns(ranges[index]), place: place)
        let small = try multiply(left.r, right.r, transposeB: true, alpha: factors[index].scale)
        let svd = try supportSVD(small, relative: relative, place: place)
        var result = try ThinSVD(
            u: multiply(left.q, svd.u), sigma: svd.sigma, vt: multiply(svd.vt, right.q, transposeB: true))
        result.fixSigns()
        return result
    }

    /// All singular values of one update, descending; min(b, a, r_i) of them.
    ///
    /// - Throws: `numeric.no_convergence`.
    public func adapterSingularValues(_ index: Int) throws -> [Double] {
        let left = try thinQR(rLeft.columns(ranges[index]), place: place)
        let right = try thinQR(rRight.columns(ranges[index]), place: place)
        let small = try multiply(left.r, right.r, transposeB: true, alpha: factors[index].scale)
        return try thinSVD(small, place: place).sigma
    }
}
