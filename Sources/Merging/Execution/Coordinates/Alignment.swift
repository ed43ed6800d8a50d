import LinearAlgebra
import Tensors

/// The operands of one module in shared coordinates, small enough to be kept for all modules at once (merge-methods
/// 3.16, 3.17): Δ_i = left · Y_i for `output`, Y_i · right for `input`, left · Y_i · right for `core`.
struct Alignment: Sendable {
    let frame: CoordinateFrame
    /// Size of the Y_i.
    let rows: Int
    let columns: Int
    /// What Y_i is made of: Y_i = parts[i]·A_i (`output`), B_i·parts[i] (`input`), parts[i] (`core`).
    let parts: [Matrix<Float>]
    /// Coefficients of the basis on the columns of Bcat, or the rows of Acat; nil where only vectors are known.
    let coefficients: Matrix<Double>?
    /// The basis itself, where it has no coefficients: m×ρ or ρ×n.
    let vectors: Spool.Handle?

    /// Singular values closer than this are a group in which the coordinates may turn.
    static let cluster = 1e-6

    /// KnOTS without dense matrices: with R_B from the joint core and A_iᵀ = Q_i R_i, the SVD of
    /// K = [s_i R_B[:, J_i] R_iᵀ …] = u S vᵀ gives U = Q_B u and Y_i = uᵀ s_i R_B[:, J_i] · A_i.
    static func output(
        _ joint: JointCore, _ tolerance: AlignmentTolerance, _ spool: Spool, _ remarks: Remarks, columns: Int
    ) throws -> Alignment {
        let found = try directions(joint, joint.rLeft, joint.rRight, tolerance, remarks)
        let basis = try joint.leftProduct(found.u)
        return Alignment(
            frame: .output, rows: found.u.columns, columns: columns, parts: found.parts.map(\.inFloat),
            coefficients: basis.coefficients,
            vectors: basis.coefficients == nil ? try spool.store(try basis.matrix().elements, []) : nil)
    }

    /// The same for the transposes: V = Q_A v and Y_i = B_i · s_i R_A[:, J_i]ᵀ v.
    static func input(
        _ joint: JointCore, _ tolerance: AlignmentTolerance, _ spool: Spool, _ remarks: Remarks, rows: Int
    ) throws -> Alignment {
        let found = try directions(joint, joint.rRight, joint.rLeft, tolerance, remarks)
        let basis = try joint.rightProduct(found.u)
        return Alignment(
            frame: .input, rows: rows, columns: found.u.columns, parts: found.parts.map { $0.transposed().inFloat },
            coefficients: basis.coefficients?.transposed(),
            vectors: basis.coefficients == nil ? try spool.store(try basis.matrix().elements, []) : nil)
    }

    /// Cores in the singular basis; what leads back is the joint core itself.
    static func core(_ joint: JointCore) throws -> Alignment {
        let space = CoreSpace(joint)
        return Alignment(
            frame: .core, rows: space.rows, columns: space.columns,
            parts: try (0..<space.count).map { try space.core($0).inFloat }, coefficients: nil, vectors: nil)
    }

    /// u of the SVD of all s_i·own[:, J_i]·R_iᵀ side by side, cut to its support, and uᵀ·s_i·own[:, J_i].
    private static func directions(
        _ joint: JointCore, _ own: Matrix<Double>, _ other: Matrix<Double>, _ tolerance: AlignmentTolerance,
        _ remarks: Remarks
    ) throws -> (u: Matrix<Double>, parts: [Matrix<Double>]) {
        let scaled = joint.factors.indices.map { own.columns(joint.ranges[$0]).scaled(by: joint.factors[$0].scale) }
        let blocks = try joint.factors.indices.filter { joint.factors[$0].rank > 0 }.map { i in
            try multiply(scaled[i], thinQR(other.columns(joint.ranges[i])).r, transposeB: true)
        }
        guard own.rows > 0, !blocks.isEmpty else {
            return (Matrix(rows: own.rows, columns: 0), scaled.map { Matrix(rows: 0, columns: $0.columns) })
        }
        let svd = try supportSVD(
            Matrix.sideBySide(blocks), relative: tolerance.relative, absolute: tolerance.absolute)
        if zip(svd.sigma, svd.sigma.dropFirst()).contains(where: { $1 > $0 * (1 - cluster) }) {
            remarks.add("equal singular values leave the shared coordinates open: the result is one of several")
        }
        return (svd.u, try scaled.map { try multiply(svd.u, $0, transposeA: true) })
    }

    /// The Y_i as rows of floats; the factors that they need are read anew.
    func source(_ stack: FactorStack, blockHeight: Int) throws -> ElementSource {
        let updates: [ElementSource.Update] = try parts.indices.map { i in
            switch frame {
            case .output: .lowRank(PackedFactors(LowRankFactors(b: parts[i], a: try stack.a(i))))
            case .input: .lowRank(PackedFactors(LowRankFactors(b: try stack.b(i), a: parts[i])))
            case .core: .dense(parts[i])
            }
        }
        stack.releasePages()
        return ElementSource(rows: rows, columns: columns, updates: updates, blockHeight: blockHeight)
    }

    /// The factors of left · Y*, for `input` of Y* · right. A core goes through the joint core instead.
    func factors(_ merged: Matrix<Float>, _ stack: FactorStack, _ spool: Spool) throws -> FactorPair {
        defer { stack.releasePages() }
        let basis = try basis(stack, spool)
        return frame == .input ? FactorPair(a: basis, b: merged) : FactorPair(a: merged, b: basis)
    }

    private func basis(_ stack: FactorStack, _ spool: Spool) throws -> Matrix<Float> {
        let (height, width) = frame == .input ? (columns, stack.columns) : (stack.rows, rows)
        if let vectors {
            return Matrix(
                rows: height, columns: width,
                elements: try spool.readArray(vectors, at: 0, count: height * width, of: Float.self))
        }
        return try Matrix(rows: height, columns: width) { target in
            guard let to = target.baseAddress, let coefficients else { return }
            if frame == .input {
                try FactorProduct.right(stack, coefficients, into: to)
            } else {
                try FactorProduct.left(stack, coefficients, into: to)
            }
        }
    }
}
