import Diagnostics
import Tensors

/// What the rules of class F share.
extension MethodContext {
    /// The one rank that all operands have, or with `pad: zero` the largest.
    ///
    /// - Throws: `merge.rank_mismatch` naming two adapters.
    func commonRank() throws -> Int {
        guard !padsRanks, let first = ranks.first, let other = ranks.firstIndex(where: { $0 != first }) else {
            return max(1, largestRank)
        }
        throw rankMismatch(other, first, ranks[other])
    }

    /// The error that names the first operand and another one whose rank differs.
    func rankMismatch(_ other: Int, _ first: Int, _ found: Int) -> Failure {
        Failure(
            .mergeRankMismatch,
            "'\(adapterNames[0])' has rank \(first), '\(adapterNames[other])' has rank \(found)", place: module,
            hint: "\(method.id) needs equal ranks; pad: zero fills them up, cat and svd take any ranks",
            details: ["expected": "\(first)", "found": "\(found)"])
    }

    /// The factors, filled up with zeros to the common rank.
    func padded(_ pairs: [FactorPair]) throws -> [FactorPair] {
        let rank = try commonRank()
        return pairs.map { pair in
            guard pair.a.rows < rank else { return pair }
            let missing = rank - pair.a.rows
            return FactorPair(
                a: Matrix.stacked([pair.a, Matrix(rows: missing, columns: pair.a.columns)]),
                b: Matrix.sideBySide([pair.b, Matrix(rows: pair.b.rows, columns: missing)]))
        }
    }

    /// u_i = w_i s_i shared between the factors: sgn(u)·√|u| for A, √|u| for B, with sgn(0) = +1.
    func factorWeights(scaled: Bool) -> [(a: Double, b: Double)] {
        zip(weights, scales).map { weight, scale in
            let u = scaled ? weight * scale : weight
            let root = abs(u).squareRoot()
            return (u < 0 ? -root : root, root)
        }
    }
}

extension Matrix<Float> {
    /// Σ w_i X_i, added in double precision.
    static func weightedSum(_ matrices: [Matrix<Float>], _ weights: [Double]) -> Matrix<Float> {
        guard let first = matrices.first else { return Matrix(rows: 0, columns: 0) }
        var sums = [Double](repeating: 0, count: first.elements.count)
        for (matrix, weight) in zip(matrices, weights) {
            matrix.elements.withUnsafeBufferPointer { x in
                sums.withUnsafeMutableBufferPointer { sums in
                    for i in 0..<sums.count { sums[i] += weight * Double(x[i]) }
                }
            }
        }
        return Matrix(rows: first.rows, columns: first.columns, elements: sums.map(Float.init))
    }
}
