import LinearAlgebra
import Networks
import Tensors

/// The factors of one expert at one site in double precision, and what training-free routers read from them.
struct FactorPair {
    /// [outputs, rank] and [rank, inputs].
    let b: Matrix<Double>
    let a: Matrix<Double>
    let scale: Double

    init(_ pair: LoRAPair, of slot: LoRASlot<Float>) {
        a = Matrix(rows: pair.rank, columns: pair.inputs, elements: slot.a(pair).map(Double.init))
        b = Matrix(rows: pair.outputs, columns: pair.rank, elements: slot.b(pair).map(Double.init))
        scale = pair.scale
    }

    init(b: Matrix<Double>, a: Matrix<Double>, scale: Double) {
        self.b = b
        self.a = a
        self.scale = scale
    }

    /// The right singular vector [inputs] of B·A that belongs to its largest singular value, of unit length, and that
    /// value. Exact: B = Q_B·R_B, Aᵀ = Q_A·R_A, SVD of the small core R_B·R_Aᵀ = U·Σ·Vᵀ, v = Q_A·V.
    func topRightVector() throws -> (vector: [Double], sigma: Double) {
        let left = b.rows >= b.columns ? try thinQR(b).r : b
        guard a.columns >= a.rows else {
            let svd = try thinSVD(multiply(left, a))
            return (Array(svd.vt.rows(0..<1).elements), svd.sigma.first ?? 0)
        }
        let right = try thinQR(a.transposed())
        let svd = try thinSVD(multiply(left, right.r, transposeB: true))
        return (try multiply(svd.vt.rows(0..<1), right.q, transposeB: true).elements, svd.sigma.first ?? 0)
    }

    /// C = s·R_B·A [rank, inputs] with ‖C·x‖ = ‖ΔW·x‖ for every x.
    func reduced() throws -> Matrix<Double> {
        try multiply(b.rows >= b.columns ? thinQR(b).r : b, a).scaled(by: scale)
    }
}
