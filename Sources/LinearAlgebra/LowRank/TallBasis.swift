import Diagnostics
import Tensors

/// How an orthonormal basis was found.
public enum BasisRoute: String, Sendable, CaseIterable {
    /// Cholesky factor of the Gram matrix: for well-conditioned factors; one pass over them.
    case gram
    /// The same twice, the second time on the nearly orthonormal result of the first: two passes.
    case gramTwice
    /// Householder QR in double precision: always works.
    case householder
}

/// A QR factorisation S = Q·R of a stack of factors, in double precision.
///
/// Q is known by its vectors (Householder) or by coefficients on the columns of S: Q = S·R⁻¹, so that Q·M is one
/// product S·(R⁻¹M) with the stored factors. Columns of S that are entirely zero do not take part in the second form;
/// then Q has fewer than min(length, count) vectors.
struct TallBasis: Sendable {
    /// Reciprocal condition number of the Gram matrix of normalised columns from which on its Cholesky factor is
    /// taken: the vectors are orthonormal to about 1e-16 / 1e-5 · a small factor, below 1e-10.
    static let gramThreshold = 1e-5
    /// The same for two rounds. Coefficients lose as many digits as the square root has: 1e-16 · 1e6.
    static let gramTwiceThreshold = 1e-12

    let stack: FactorStack
    let route: BasisRoute
    /// b×count: upper triangular up to columns of zeros, non-negative diagonal.
    private(set) var r: Matrix<Double>
    /// The columns of S that take part, and the triangular factors T with Q = S_active · T₀⁻¹ · T₁⁻¹ ….
    private let active: [Int]
    private let triangles: [Matrix<Double>]
    private let qTransposed: Matrix<Double>?
    /// Orthogonal b×b: the basis vectors are Q·rotation.
    private var rotation: Matrix<Double>?

    /// Number of basis vectors, at most min(length, count).
    var size: Int { r.rows }

    /// - Parameters:
    ///   - gram: SᵀS; finite.
    ///   - forced: a route to take, nil for the first that is exact enough.
    init(_ stack: FactorStack, gram: Matrix<Double>, forced: BasisRoute? = nil) throws {
        self.stack = stack
        let active = (0..<stack.count).filter { gram[$0, $0] > 0 }
        if forced != .householder, !active.isEmpty, active.count <= stack.length,
            let found = try TallBasis.triangles(stack, gram, active, forced: forced)
        {
            triangles = found
            self.active = active
            qTransposed = nil
            route = found.count == 1 ? .gram : .gramTwice
            let product = try found.dropFirst().reduce(found[0]) { try multiply($1, $0) }
            r = TallBasis.spread(product, to: active, count: stack.count)
        } else {
            let factored = try LinearAlgebra.householder(ofTransposed: stack.transposedInDouble())
            (qTransposed, r) = (factored.qTransposed, factored.r)
            (self.active, triangles) = ([], [])
            route = .householder
        }
    }

    /// Turns the basis into the left singular vectors of S: Q·U with R = U·Σ·Vᵀ, and R into Σ·Vᵀ.
    mutating func becomeSingular(place: String) throws {
        let svd = try singularByGram(place: place) ?? thinSVD(r, place: place)
        rotation = svd.u
        r = svd.vt.scalingRows(by: svd.sigma)
    }

    /// The SVD of R from the eigenvalues of RᵀR, for half the time: nil where these lose more than they save.
    private func singularByGram(place: String) throws -> ThinSVD<Double>? {
        guard size == r.columns else { return nil }
        let eigen = try symmetricEigen(symmetricProduct(r, transposed: true), place: place)
        guard let largest = eigen.values.last, eigen.values[0] > TallBasis.gramThreshold * largest else { return nil }
        let sigma = eigen.values.reversed().map { $0.squareRoot() }
        var v = Matrix<Double>(rows: size, columns: size)
        for i in 0..<size {
            for j in 0..<size { v[i, j] = eigen.vectors[i, size - 1 - j] }
        }
        var svd = ThinSVD(
            u: try multiply(r, v).scalingColumns(by: sigma.map { 1 / $0 }), sigma: sigma, vt: v.transposed())
        svd.fixSigns()
        return svd
    }

    /// Q·M for a b×q matrix, ready to be written out.
    func product(_ m: Matrix<Double>) throws -> TallProduct {
        precondition(m.rows == size, "\(m.rows) rows for a basis of \(size)")
        let turned = try rotation.map { try multiply($0, m) } ?? m
        if let qTransposed { return TallProduct(stack: stack, x: turned, qTransposed: qTransposed) }
        let solved = try triangles.reversed().reduce(turned) { try solveUpper($1, $0) }
        var x = Matrix<Double>(rows: stack.count, columns: m.columns)
        for (row, target) in active.enumerated() {
            for j in 0..<m.columns { x[target, j] = solved[row, j] }
        }
        return TallProduct(stack: stack, x: x, qTransposed: nil)
    }

    /// One or two triangular factors, or nil when the conditioning asks for Householder QR.
    private static func triangles(
        _ stack: FactorStack, _ gram: Matrix<Double>, _ active: [Int], forced: BasisRoute?
    ) throws -> [Matrix<Double>]? {
        guard let first = try normalizedCholesky(gram, active) else { return nil }
        let needed = forced == nil ? gramThreshold : 0
        if forced != .gramTwice, first.reciprocalCondition >= needed { return [first.r] }
        guard first.reciprocalCondition >= gramTwiceThreshold else { return nil }
        let second = try gramOfBasis(stack, active, first.r)
        guard let again = try normalizedCholesky(second, Array(0..<active.count)), again.reciprocalCondition > 0.01
        else { return nil }
        return [first.r, again.r]
    }

    /// Cholesky factor of the Gram matrix of the active columns, computed on columns of norm 1, with an estimate of the
    /// reciprocal condition number of that normalised Gram matrix.
    private static func normalizedCholesky(
        _ gram: Matrix<Double>, _ active: [Int]
    ) throws -> (r: Matrix<Double>, reciprocalCondition: Double)? {
        let norms = active.map { gram[$0, $0].squareRoot() }
        var g = Matrix<Double>(rows: active.count, columns: active.count)
        var oneNorm = 0.0
        for (i, row) in active.enumerated() {
            var sum = 0.0
            for (j, column) in active.enumerated() {
                g[i, j] = gram[row, column] / (norms[i] * norms[j])
                sum += abs(g[i, j])
            }
            oneNorm = max(oneNorm, sum)
        }
        guard let r = try cholesky(g) else { return nil }
        let n = try blasDimension(active.count)
        let reciprocal = try r.elements.withUnsafeBufferPointer { r in
            guard let r = r.baseAddress else { return 0.0 }
            return try Double.pocon(n: n, a: r, lda: n, norm: oneNorm)
        }
        return (r.scalingColumns(by: norms), reciprocal)
    }

    /// (S·R⁻¹)ᵀ(S·R⁻¹), formed from the vectors themselves tile by tile.
    private static func gramOfBasis(
        _ stack: FactorStack, _ active: [Int], _ r: Matrix<Double>
    ) throws -> Matrix<Double> {
        let inverse = try solveUpper(r, .identity(r.rows))
        var x = Matrix<Double>(rows: stack.count, columns: r.rows)
        for (row, target) in active.enumerated() {
            for j in 0..<r.rows { x[target, j] = inverse[row, j] }
        }
        return try TallProduct(stack: stack, x: x, qTransposed: nil).gram()
    }

    /// Puts column j of `r` at column `active[j]` of a matrix of zeros.
    private static func spread(_ r: Matrix<Double>, to active: [Int], count: Int) -> Matrix<Double> {
        guard active.count < count else { return r }
        var result = Matrix<Double>(rows: r.rows, columns: count)
        for i in 0..<r.rows {
            for (j, column) in active.enumerated() { result[i, column] = r[i, j] }
        }
        return result
    }
}

extension TallProduct {
    /// PᵀP, summed tile by tile.
    func gram() throws -> Matrix<Double> {
        var result = Matrix<Double>(rows: count, columns: count)
        let n = try blasDimension(count)
        let tile = FactorStack.tile
        try withUnsafeTemporaryAllocation(of: Double.self, capacity: tile * count) { scratch in
            for start in stride(from: 0, to: length, by: tile) {
                let range = start..<min(start + tile, length)
                try write(range, into: UnsafeMutableBufferPointer(rebasing: scratch[..<(range.count * count)]))
                result.elements.withUnsafeMutableBufferPointer { c in
                    guard let c = c.baseAddress, let part = scratch.baseAddress else { return }
                    let left = stack.side == .left
                    let k = Int32(range.count)
                    Double.syrk(
                        transpose: left, n: n, k: k, alpha: 1, a: part, lda: left ? n : k, beta: 1, c: c, ldc: n)
                }
            }
        }
        result.mirrorUpperTriangle()
        return result
    }
}
