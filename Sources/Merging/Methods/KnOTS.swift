import Diagnostics

extension MergeMethod {
    /// An elementwise rule in the coordinates of KnOTS (merge-methods 3.16): with U of the SVD of [Δ_0 … Δ_{T-1}],
    /// Δ_i = U·Y_i, and
    ///
    ///     Δ* = U · rule(Y_0, …, Y_{T-1})
    ///
    /// The singular values are carried by the Y_i. Not the same as the rule on the Δ_i themselves.
    static func knots(_ rule: String, of method: MergeMethod) -> MergeMethod {
        MergeMethod(
            knotsDescription(
                id: "knots_" + rule, source: "KnOTS, arXiv 2410.19735; gstoica27/KnOTS; " + method.description.source,
                parameters: method.description.parameters.filter { $0.name != "mask_file" }
                    .map { $0.withDefault("adapter", if: "trim_scope") } + [.concat, .alignmentTolerance],
                of: method),
            choosing: { context in
                .coordinates(try context.word("concat"), try elements(try method.rule(context), method))
            })
    }

    static func knotsDescription(
        id: String, compatibilities: Set<Compatibility> = [.none], source: String, parameters: [ParameterDeclaration],
        of method: MergeMethod
    ) -> MethodDescription {
        MethodDescription(
            id: id, title: "KnOTS alignment, then " + method.description.id,
            summary: "Applies \(method.description.id) to the coordinates of the updates in a basis that they share, "
                + "where equal meanings stand at equal places; needs no recompression.",
            exactness: .coordinates, compatibilities: compatibilities, source: source, parameters: parameters,
            random: method.description.random,
            cost: "O(R²(m+n)) to align, then a few passes over R×n coordinates, R = total rank")
    }

    /// The elementwise form of a rule; a weighted sum is one too.
    static func elements(
        _ rule: MergeRule, _ method: MergeMethod
    ) throws -> @Sendable (MethodContext) throws -> ElementRule {
        switch rule {
        case .elements(let make): return make
        case .combination(let coefficients):
            return { context in
                let c = try coefficients(context)
                return ElementRule { chunk, _, output in WeightedEntries.sum(chunk, c, into: output) }
            }
        default:
            throw Failure(
                .internalDefect, "\(method.description.id) has no elementwise form", hint: "please report this")
        }
    }
}

extension ParameterDeclaration {
    static let concat = ParameterDeclaration(
        "concat", .choice([CoordinateFrame.output.rawValue, CoordinateFrame.input.rawValue]), default: .text("output"),
        summary: "align by the output directions the updates share, or by their input directions")
    static let alignmentTolerance = ParameterDeclaration(
        "tol.align", .number, default: .number(1e-7), range: .nonNegative,
        summary: "relative singular value below which a shared direction is left out")

    /// The declaration of that name with another default.
    func withDefault(_ text: String, if name: String) -> ParameterDeclaration {
        guard self.name == name else { return self }
        var copy = self
        copy.defaultValue = .text(text)
        return copy
    }
}
