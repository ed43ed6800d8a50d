import LinearAlgebra
import Tensors

/// Several updates of one shape in one small common basis, in double precision: Δ_i = Q_B · C_i · Q_Aᵀ exactly.
///
/// Thin QR of [B_0 B_1 …] and of [A_0; A_1; …]ᵀ (cil-engine 8.1); what commutes with isometries may work on the cores.
struct JointBasis {
    /// Q_B, outputs×b with orthonormal columns.
    let left: Matrix<Double>
    /// Q_A, inputs×a with orthonormal columns.
    let right: Matrix<Double>
    /// C_i, b×a.
    let cores: [Matrix<Double>]

    /// - Parameter updates: at least one, all of one shape.
    init(_ updates: [LowRankUpdate]) throws {
        let place = updates.first?.site ?? "update"
        let leftQR = try thinQR(Matrix.sideBySide(updates.map(\.b)), place: place)
        let rightQR = try thinQR(Matrix.stacked(updates.map(\.a)).transposed(), place: place)
        left = leftQR.q
        right = rightQR.q
        var start = 0
        cores = try updates.map { update in
            let range = start..<start + update.rank
            start = range.upperBound
            return try multiply(leftQR.r.columns(range), rightQR.r.columns(range), transposeB: true)
        }
    }

    /// Q_B · M · Q_Aᵀ as balanced factors B = Q_B U√Σ, A = √Σ Vᵀ Q_Aᵀ.
    func factors(_ svd: ThinSVD<Double>, site: String) throws -> LowRankUpdate {
        let roots = svd.sigma.map { $0.squareRoot() }
        return try LowRankUpdate(
            site: site, b: multiply(left, svd.u.scalingColumns(by: roots)),
            a: multiply(svd.vt.scalingRows(by: roots), right, transposeB: true))
    }

    /// The core of an update whose factors lie in the basis.
    func core(of update: LowRankUpdate) throws -> Matrix<Double> {
        guard update.rank > 0 else { return Matrix(rows: left.columns, columns: right.columns) }
        return try multiply(
            multiply(left, update.b, transposeA: true), multiply(update.a, right))
    }
}
