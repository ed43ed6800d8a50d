import LinearAlgebra
import Tensors

extension LoRAModule {
    /// The factors in single precision, B [dOut, rank] and A [rank, dIn], with the scale beside them.
    ///
    /// - Throws: `adapter.bad_dtype`.
    public func factors() throws -> LowRankFactors {
        LowRankFactors(
            b: try b.floatMatrix(rows: dOut, columns: rank), a: try a.floatMatrix(rows: rank, columns: dIn),
            scale: scale)
    }
}
