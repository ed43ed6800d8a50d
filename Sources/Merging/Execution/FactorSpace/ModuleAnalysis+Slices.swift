import LinearAlgebra
import Tensors

/// Class G with one coefficient per row or column: Δ* = Σ diag(c_i) Δ_i is a row scaling of B_i, or a column scaling
/// of A_i (merge-methods 0.5).
extension ModuleAnalysis {
    func mergeSlices(
        _ task: ModuleTask, _ factors: [LowRankFactors], _ axis: SliceAxis,
        _ rule: @Sendable (MethodContext, Matrix<Double>) throws -> Matrix<Double>
    ) throws -> MergedModule {
        let scaled = try computing(task) {
            let gram = try FactorGram(factors, place: task.name)
            let coefficients = try rule(task.context, axis == .rows ? gram.rowWise() : gram.columnWise())
            return ModuleAnalysis.scaled(factors, axis, coefficients)
        }
        guard concatenates(task) else {
            return try computing(task) {
                let operands = task.post.isEmpty ? [] : factors
                let joint = try JointCore(scaled + operands, place: task.name)
                let weights = scaled.map { _ in 1.0 } + operands.map { _ in 0.0 }
                return try project(
                    MergedCore(joint.sum(weights: weights)), joint, task, operandsFrom: scaled.count, isStored: true)
            }
        }
        guard task.totalRank > 0 else { return zero(task) }
        let a = Matrix.stacked(scaled.map(\.a))
        let b = Matrix.sideBySide(scaled.map(\.b))
        return MergedModule(
            source: .stored(try spool.store(a.elements, b.elements)), rank: task.totalRank, paddedRank: task.totalRank)
    }

    /// diag(c_i)·Δ_i, or Δ_i·diag(c_i), with the scaling folded in.
    private static func scaled(
        _ factors: [LowRankFactors], _ axis: SliceAxis, _ coefficients: Matrix<Double>
    ) -> [LowRankFactors] {
        factors.enumerated().map { i, factor in
            let shares = (0..<coefficients.rows).map { factor.scale * coefficients[$0, i] }
            return axis == .rows
                ? LowRankFactors(b: factor.b.inDouble.scalingRows(by: shares).inFloat, a: factor.a)
                : LowRankFactors(b: factor.b, a: factor.a.inDouble.scalingColumns(by: shares).inFloat)
        }
    }
}
