/// Coordinates that all operands of a module share (class K).
public enum CoordinateFrame: String, Sendable, CaseIterable {
    /// KnOTS: U of the SVD of [Δ_0 … Δ_{T-1}], so that Δ_i = U·Y_i with Y_i ρ×n.
    case output
    /// The same for the transposes: Δ_i = Y_i·Vᵀ with Y_i m×ρ.
    case input
    /// Core Space: singular vectors of [B_0 …] and of [A_0; …], so that Δ_i = Q_B·C_i·Q_Aᵀ with C_i b×a.
    case core
}

/// How close singular values of KnOTS may be to zero.
struct AlignmentTolerance: Sendable {
    /// Relative to the largest.
    var relative: Double
    var absolute: Double
}
