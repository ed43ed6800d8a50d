import LinearAlgebra
import Tensors

/// The merged core M (b×a) of one module, with its singular value decomposition where the rule has it already.
public struct MergedCore: Sendable {
    private enum Form: Sendable {
        case matrix(Matrix<Double>)
        case spectrum(ThinSVD<Double>)
    }

    private let form: Form

    /// A core whose decomposition is not known.
    public init(_ matrix: Matrix<Double>) { form = .matrix(matrix) }

    /// M = U·diag(values)·V.
    ///
    /// - Parameters:
    ///   - u: b×k with orthonormal columns.
    ///   - values: k numbers of any sign and order; equal magnitudes stay in the order given.
    ///   - vt: k×a with orthonormal rows.
    public init(u: Matrix<Double>, values: [Double], vt: Matrix<Double>) {
        let order = values.indices.sorted {
            abs(values[$0]) != abs(values[$1]) ? abs(values[$0]) > abs(values[$1]) : $0 < $1
        }
        var left = Matrix<Double>(rows: u.rows, columns: order.count)
        var right = Matrix<Double>(rows: order.count, columns: vt.columns)
        for (to, from) in order.enumerated() {
            let sign: Double = values[from] < 0 ? -1 : 1
            for i in 0..<u.rows { left[i, to] = u[i, from] }
            for j in 0..<vt.columns { right[to, j] = sign * vt[from, j] }
        }
        form = .spectrum(ThinSVD(u: left, sigma: order.map { abs(values[$0]) }, vt: right))
    }

    /// M = left·diag(values)·rightᵀ for two polar factors with as many columns.
    init(left: PolarFactor, values: [Double], right: PolarFactor) throws {
        guard left.isIsometry, right.isIsometry else {
            self.init(try multiply(left.matrix.scalingColumns(by: values), right.matrix, transposeB: true))
            return
        }
        self.init(u: left.matrix, values: values, vt: right.matrix.transposed())
    }

    /// M itself.
    public func matrix() throws -> Matrix<Double> {
        switch form {
        case .matrix(let matrix): matrix
        case .spectrum(let svd): try svd.product()
        }
    }

    /// The singular triples of M, values descending; zeros may be among them.
    ///
    /// - Throws: `merge.non_finite`, `numeric.no_convergence`.
    func svd(place: String) throws -> ThinSVD<Double> {
        switch form {
        case .matrix(let matrix): return try thinSVD(matrix, place: place)
        case .spectrum(let svd):
            try requireFinite(Matrix(rows: 1, columns: svd.sigma.count, elements: svd.sigma), place: place)
            return svd
        }
    }
}
