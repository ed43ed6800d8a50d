import Merging

extension ConsolidationMethod {
    /// The entry of larger magnitude of S and X, X = L (absolute) or F (residual); of equal ones that of S.
    static let magMax = ConsolidationMethod(
        id: "magmax", summary: "takes every entry from slow or from slow + fast, whichever is larger",
        source: "MagMax, arXiv 2407.06322; cil-engine 8.2", parameters: [.basis(default: "absolute")],
        .entries { context, pair in
            let other = try context.word("basis") == "absolute" ? pair.live : pair.fast
            // The toolkit's later operand wins ties.
            return try MatrixMerge("magmax").merged([other, pair.slow], module: context.site)
        })
}
