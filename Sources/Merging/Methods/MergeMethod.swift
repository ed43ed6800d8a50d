import Tensors

/// A merge method: what it says about itself, and its rule. One file per method holds both; registering it is one line
/// in `StandardMethods.swift`. Planning, streaming, ranks and number types are the engine's.
public struct MergeMethod: Sendable {
    public let description: MethodDescription
    /// The rule for one module; may depend on the parameters.
    let rule: @Sendable (MethodContext) throws -> MergeRule
    /// What the output stage does where the recipe says nothing.
    let output: @Sendable (MethodContext) throws -> OutputPreference

    /// A method with one rule for all parameters.
    public init(
        _ description: MethodDescription, _ rule: MergeRule,
        output: @escaping @Sendable (MethodContext) throws -> OutputPreference = { _ in OutputPreference() }
    ) {
        self.init(description, choosing: { _ in rule }, output: output)
    }

    /// A method whose parameters choose the rule.
    public init(
        _ description: MethodDescription, choosing rule: @escaping @Sendable (MethodContext) throws -> MergeRule,
        output: @escaping @Sendable (MethodContext) throws -> OutputPreference = { _ in OutputPreference() }
    ) {
        self.description = description
        self.rule = rule
        self.output = output
    }
}

/// The pure function at the heart of a method, by exactness class (merge-methods 0.5).
public enum MergeRule: Sendable {
    /// G: the coefficients c_i of Δ* = Σ c_i Δ_i, from the weights alone.
    case combination(@Sendable (MethodContext) throws -> [Double])
    /// G: the coefficients c_i from the T×T Gram matrix G_ij = ⟨Δ_i, Δ_j⟩ (1.2).
    case gram(@Sendable (MethodContext, Matrix<Double>) throws -> [Double])
    /// S: the merged core M (b×a) from the cores C_i, so that Δ* = Q_B M Q_Aᵀ (1.1).
    case spectral(@Sendable (MethodContext, CoreSpace) throws -> MergedCore)
    /// G: one coefficient per operand and row (column) from the inner products of the rows (columns) of the Δ_i:
    /// Δ*[k, :] = Σ c_i[k] Δ_i[k, :]. The matrix given has ⟨row k of Δ_i, row k of Δ_j⟩ at (k, i·T + j); the one to
    /// return has c_i[k] at (k, i).
    case slices(SliceAxis, @Sendable (MethodContext, Matrix<Double>) throws -> Matrix<Double>)
    /// S with one factor for the whole adapter at the end: `rule` gives the merged core and numbers that are added up
    /// over all modules, `scale` makes the factor of the sums.
    case spectralTogether(
        rule: @Sendable (MethodContext, CoreSpace) throws -> ScaledTogether, scale: @Sendable ([Double]) -> Double)
    /// K: a rule on the entries of the updates in coordinates that the operands share.
    case coordinates(CoordinateFrame, @Sendable (MethodContext) throws -> ElementRule)
    /// E: a rule on the entries of Δ_i, with statistics over all entries beforehand (2).
    case elements(@Sendable (MethodContext) throws -> ElementRule)
    /// F: new factors from the factors; the rank of the result is known beforehand.
    case factors(
        rank: @Sendable (MethodContext) throws -> Int,
        merge: @Sendable (MethodContext, [FactorPair]) throws -> FactorPair)
}

/// Whether a rule goes by rows or by columns of the updates.
public enum SliceAxis: Sendable {
    case rows, columns
}

/// A merged core, and what of it counts for the whole adapter.
public struct ScaledTogether: Sendable {
    var core: Matrix<Double>
    /// As many numbers for every module.
    var quantities: [Double]
}

/// The factors of one operand without its scaling: Δ = scale · b · a.
public struct FactorPair: Sendable {
    /// [rank, columns]
    public var a: Matrix<Float>
    /// [rows, rank]
    public var b: Matrix<Float>

    public init(a: Matrix<Float>, b: Matrix<Float>) {
        self.a = a
        self.b = b
    }
}

/// Where a method departs from the usual output stage (merge-methods 4).
public struct OutputPreference: Sendable {
    /// Rank where the recipe gives none; nil: the default of the method's description.
    public var rank: OutputRank?
    /// Factor split where the recipe gives none; nil: `sqrt`, and for plain concatenations `a`.
    public var split: FactorSplit?
    /// Clamp the factor entries to ±h, h = this quantile of all signed entries of A and B (3.3).
    public var clampQuantile: Double?
    /// Fill the result up with zeros to this rank.
    public var paddedRank: Int?
    /// Concatenate even where the total rank exceeds min(m, n).
    public var allowsOvercomplete: Bool

    public init(
        rank: OutputRank? = nil, split: FactorSplit? = nil, clampQuantile: Double? = nil, paddedRank: Int? = nil,
        allowsOvercomplete: Bool = false
    ) {
        self.rank = rank
        self.split = split
        self.clampQuantile = clampQuantile
        self.paddedRank = paddedRank
        self.allowsOvercomplete = allowsOvercomplete
    }
}
