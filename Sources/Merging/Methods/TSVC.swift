import LinearAlgebra
import Tensors

extension MergeMethod {
    /// Task Singular Vectors, compression of one adapter (merge-methods 3.14): the first k singular triples, k a share of
    /// the rank (at least 1), or as many as hold a share of the energy.
    static let tsvC = MergeMethod(
        MethodDescription(
            id: "tsv_c", title: "Task Singular Vectors, compression",
            summary: "Cuts one adapter down to its leading directions; the share of energy that is lost is reported.",
            exactness: .spectral, source: "TSV-Compress, arXiv 2412.00081; AntoAndGar/task_singular_vectors",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "keep", .number, default: .number(0.5), range: .positiveUnit,
                    summary: "share of the singular triples that is kept, at least one"),
                ParameterDeclaration(
                    "energy", .number, range: .positiveUnit,
                    summary: "instead of keep: the fewest triples that hold this share of the squared norm"),
            ],
            maximumAdapters: 1, cost: "O(r²(m+n)) per module"),
        .spectral { context, space in
            guard space.count > 0 else { return MergedCore(space.zero) }
            let factor = try context.number("lambda") * context.weights[0]
            let svd = try space.svd(0)
            let share = try context.number("keep")
            let kept =
                context.value("energy")?.number.map { RankBudget.energy($0).rank(of: svd.sigma) }
                ?? max(1, MagnitudeTrim.Rounding.floor.count(density: share, of: svd.sigma.count))
            if kept < svd.sigma.count {
                let lost = svd.sigma.dropFirst(kept).reduce(0) { $0 + $1 * $1 }
                context.remarks.add("\(kept) of \(svd.sigma.count) triples kept, error \(lost.squareRoot())")
            }
            let part = svd.truncated(to: kept)
            return MergedCore(u: part.u, values: part.sigma.map { factor * $0 }, vt: part.vt)
        })
}
