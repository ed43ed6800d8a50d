import Diagnostics
import LinearAlgebra
import Tensors

/// Brings the dense result of a class E rule back to factors (merge-methods 1.5, 4.1).
struct Recompressor: Sendable {
    let rule: RankRule
    /// nil: `sqrt`, and the identity as one factor where everything is kept.
    let split: FactorSplit?
    let memoryLimit: Int
    let seed: UInt64
    let module: String

    /// Small sides up to which the dense SVD is exact.
    static let largestDense = 2048
    /// Small sides up to which the dense SVD runs in double precision.
    static let largestDouble = 512
    /// Triples that the randomised SVD asks for first where the rule names no bound.
    static let firstGuess = 64

    struct Result {
        var a: Matrix<Float>
        var b: Matrix<Float>
        var choice: RankRule.Choice
        var frobenius: Double
        /// The truncation was not exact: energy above the optimum is included in the discarded share.
        var isRandomised: Bool
    }

    /// True when the result should be formed as one matrix in memory.
    static func fits(rows: Int, columns: Int, memoryLimit: Int) -> Bool { rows * columns * 4 <= memoryLimit / 2 }

    /// Bytes that `compress` of a dense matrix needs.
    static func bytes(rows: Int, columns: Int) -> Int {
        let entries = rows * columns
        let small = min(rows, columns)
        guard small <= largestDense else { return entries * 4 }
        return entries * 4 + (small <= largestDouble ? 8 : 4) * (3 * entries + 4 * small * small)
    }

    /// Factors of a matrix in memory.
    func compress(_ matrix: Matrix<Float>) throws -> Result {
        let small = min(matrix.rows, matrix.columns)
        if rule.rule == .keep, split == nil { return identity(matrix) }
        if small <= Recompressor.largestDouble {
            return result(try thinSVD(matrix.inDouble, place: module), total: nil, isRandomised: false)
        }
        if small <= Recompressor.largestDense {
            let svd = try thinSVD(matrix, place: module)
            return result(inDouble(svd), total: nil, isRandomised: false)
        }
        return try randomised(DenseOperator(matrix: matrix), total: ValueScan.sumOfSquares(of: matrix)) {
            try thinSVD(matrix, place: module)
        }
    }

    /// Factors of a matrix that is formed again for every pass.
    func compress(streamed op: some StreamedOperator, total: Double) throws -> Result {
        try randomised(op, total: total) {
            throw Failure(
                .ioTooLarge,
                "keeping this share of a \(op.rows)×\(op.columns) update needs its full decomposition, "
                    + "which exceeds the memory limit", place: module,
                hint: "raise limits.memory, or ask for a fixed rank")
        }
    }

    /// One factor is the matrix, the other the identity: nothing is lost.
    private func identity(_ matrix: Matrix<Float>) -> Result {
        let wide = matrix.columns > matrix.rows
        let rank = min(matrix.rows, matrix.columns)
        let norm = matrix.frobeniusNorm
        return Result(
            a: wide ? matrix : .identity(rank), b: wide ? .identity(rank) : matrix,
            choice: RankRule.Choice(rank: norm > 0 ? rank : 0, discardedEnergy: 0, cutsCluster: false),
            frobenius: norm, isRandomised: false)
    }

    /// Asks for more triples until the rule is decided; beyond half of the spectrum the full one is cheaper.
    private func randomised(
        _ op: some StreamedOperator, total: Double, full: () throws -> ThinSVD<Float>
    ) throws -> Result {
        let small = min(op.rows, op.columns)
        var rank = min(small, rule.bound ?? min(Recompressor.firstGuess, max(1, small / 4)))
        while rule.rule != .keep, rank <= small / 2 {
            let svd = inDouble(try RandomizedSVD(rank: rank, seed: seed, streamKey: module)(op, place: module))
            if rule.isDecided(by: svd.sigma, total: total) { return result(svd, total: total, isRandomised: true) }
            rank *= 2
        }
        return result(inDouble(try full()), total: nil, isRandomised: false)
    }

    private func result(_ svd: ThinSVD<Double>, total: Double?, isRandomised: Bool) -> Result {
        let choice = rule.choose(svd.sigma, total: total)
        let kept = svd.truncated(to: choice.rank)
        let shares = kept.sigma.map { (split ?? .sqrt).shares($0) }
        return Result(
            a: kept.vt.scalingRows(by: shares.map(\.a)).inFloat, b: kept.u.scalingColumns(by: shares.map(\.b)).inFloat,
            choice: choice, frobenius: kept.sigma.reduce(0) { $0 + $1 * $1 }.squareRoot(), isRandomised: isRandomised)
    }

    private func inDouble(_ svd: ThinSVD<Float>) -> ThinSVD<Double> {
        ThinSVD(u: svd.u.inDouble, sigma: svd.sigma.map(Double.init), vt: svd.vt.inDouble)
    }
}

extension ValueScan {
    static func sumOfSquares(of matrix: Matrix<Float>) -> Double {
        matrix.elements.withUnsafeBufferPointer { sumOfSquares($0) }
    }
}

/// A matrix in memory as an operator.
struct DenseOperator: StreamedOperator {
    let matrix: Matrix<Float>

    var rows: Int { matrix.rows }
    var columns: Int { matrix.columns }

    func apply(_ x: Matrix<Float>) -> Matrix<Float> { NarrowFactor.product(matrix, x) }
    func applyTransposed(_ y: Matrix<Float>) -> Matrix<Float> { NarrowFactor.transposedProduct(matrix, y) }
}

/// The result of a class E rule as an operator that forms it anew, block by block, for every product.
struct ElementOperator: StreamedOperator {
    let rule: ElementRule
    let source: ElementSource
    let state: ElementState

    var rows: Int { source.rows }
    var columns: Int { source.columns }

    func apply(_ x: Matrix<Float>) throws -> Matrix<Float> {
        let factor = NarrowFactor(x)
        return try Matrix(rows: rows, columns: x.columns) { target in
            try rule.forEachMergedBlock(source, state) { range, values in
                factor.product(
                    UnsafeBufferPointer(values),
                    into: UnsafeMutableBufferPointer(
                        rebasing: target[range.lowerBound * x.columns..<range.upperBound * x.columns]))
            }
        }
    }

    func applyTransposed(_ y: Matrix<Float>) throws -> Matrix<Float> {
        var sum = Matrix<Float>(rows: columns, columns: y.columns)
        try rule.forEachMergedBlock(source, state) { range, values in
            NarrowFactor.addTransposedProduct(UnsafeBufferPointer(values), y.rows(range), to: &sum)
        }
        return sum
    }
}
