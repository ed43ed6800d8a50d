import Tensors

extension ConsolidationMethod {
    /// (B_s + αB_f)(A_s + αA_f) = S + α(B_s A_f + B_f A_s) + α²F: not the sum of the updates. Here only so that results
    /// that were made this way can be reproduced; exact where both have the same A.
    static let naiveFactors = ConsolidationMethod(
        id: "naive-factors", summary: "adds the factors instead of the updates; wrong, for reproduction only",
        source: "cil-engine 8.1", parameters: [.consolidationAlpha()],
        .factors { context, slow, fast in
            let alpha = try context.number("alpha")
            let rank = max(slow.rank, fast.rank)
            return try LowRankUpdate(
                site: context.site, b: slow.b.widened(to: rank).plus(fast.b.widened(to: rank), times: alpha),
                a: slow.a.lengthened(to: rank).plus(fast.a.lengthened(to: rank), times: alpha))
        })
}

extension Matrix<Double> {
    /// Columns of zeros added on the right.
    fileprivate func widened(to count: Int) -> Matrix<Double> {
        Matrix.sideBySide([self, Matrix(rows: rows, columns: count - columns)])
    }

    /// Rows of zeros added below.
    fileprivate func lengthened(to count: Int) -> Matrix<Double> {
        Matrix.stacked([self, Matrix(rows: count - rows, columns: columns)])
    }
}
