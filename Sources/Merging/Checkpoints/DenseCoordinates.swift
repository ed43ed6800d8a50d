import Diagnostics
import LinearAlgebra
import Tensors

/// Updates of full weights in the coordinates of KnOTS: Δ_i = U·Y_i with U from the SVD of [Δ_0 … Δ_{T-1}], for
/// `input` Δ_i = Y_i·Vᵀ from that of the updates one below the other.
struct DenseCoordinates: Sendable {
    private let frame: CoordinateFrame
    /// U (m×ρ), or Vᵀ (ρ×n).
    private let basis: Matrix<Double>
    private let parts: [Matrix<Float>]

    /// - Throws: `merge.unsupported_kind` for the coordinates of Core Space, which are those of factors.
    init(_ task: TensorTask, _ frame: CoordinateFrame, _ updates: [Matrix<Double>]) throws {
        guard let context = task.context, frame != .core else {
            throw task.unsupported("'\(task.method ?? "core space")'")
        }
        self.frame = frame
        let tolerance = try AlignmentTolerance(context)
        let joined = frame == .output ? Matrix.sideBySide(updates) : Matrix.stacked(updates)
        let svd = try supportSVD(joined, relative: tolerance.relative, absolute: tolerance.absolute, place: task.name)
        if frame == .output {
            basis = svd.u
            parts = try updates.map { try multiply(svd.u, $0, transposeA: true).inFloat }
        } else {
            basis = svd.vt
            parts = try updates.map { try multiply($0, svd.vt, transposeB: true).inFloat }
        }
    }

    var rows: Int { parts.first?.rows ?? 0 }
    var columns: Int { parts.first?.columns ?? 0 }

    var source: ElementSource {
        ElementSource(
            rows: rows, columns: columns, updates: parts.map { .dense($0) },
            blockHeight: max(1, min(rows, ElementSource.usefulHeight)))
    }

    /// U·Y*, or Y*·Vᵀ.
    func restored(_ merged: Matrix<Float>) throws -> Matrix<Double> {
        try frame == .output ? multiply(basis, merged.inDouble) : multiply(merged.inDouble, basis)
    }
}
