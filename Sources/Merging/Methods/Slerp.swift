import Foundation
import Tensors

extension MergeMethod {
    /// Spherical interpolation of two updates (merge-methods 3.11): with the angle θ between them,
    /// Δ* = [sin((1−t)θ) Δ_0 + sin(tθ) Δ_1] / sin θ, and linear where |cos θ| > 0.9995.
    static let slerp = MergeMethod(
        MethodDescription(
            id: "slerp", title: "Spherical interpolation",
            summary:
                "Goes from one update to another on an arc, so that the length is kept half-way; t may be a gradient "
                + "over the layers.",
            exactness: .gram, source: "Shoemake 1985; arcee-ai/mergekit",
            parameters: [
                ParameterDeclaration(
                    "t", .number, default: .number(0.5), range: .unit, summary: "0 is the first update, 1 the second"),
                .lambda(),
            ],
            minimumAdapters: 2, maximumAdapters: 2, cost: "one pass over the factors for the Gram matrix",
            baseUse: .optional),
        .gram { context, gram in
            let lambda = try context.number("lambda")
            return Arc(gram).coefficients(at: try context.number("t"), straightAbove: 0.9995).map { lambda * $0 }
        })

    /// Spherical interpolation with t = w_1 / (w_0 + w_1) and without the 0.9995 rule; for the whole update, or row by
    /// row, or column by column.
    static let nuSlerp = MergeMethod(
        MethodDescription(
            id: "nuslerp", title: "Normalised spherical interpolation",
            summary:
                "Spherical interpolation by weights; with flatten: false every row or column has an angle of its own.",
            exactness: .gram, source: "arcee-ai/mergekit, nuslerp",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "flatten", .bool, default: .bool(true), summary: "one angle for the whole update"),
                ParameterDeclaration(
                    "axis", .choice(["rows", "columns"]), default: .text("rows"),
                    summary: "with flatten: false, one angle per row or per column"),
            ],
            minimumAdapters: 2, maximumAdapters: 2, dropsZeroWeight: false,
            cost: "one pass over the factors for the Gram matrix", baseUse: .optional),
        choosing: { context in
            let lambda = try context.number("lambda")
            let axis: SliceAxis = context.value("axis")?.text == "columns" ? .columns : .rows
            return context.nuSlerp(flatten: try context.flag("flatten"), axis, lambda: lambda)
        })
}

extension MethodContext {
    /// The rule of `nuslerp`, natively and for mergekit.
    func nuSlerp(flatten: Bool, _ axis: SliceAxis, lambda: Double) -> MergeRule {
        let sum = weights.reduce(0, +)
        let t = abs(sum) < 1e-6 || weights.count < 2 ? 0.5 : weights[1] / sum
        let mergekit = compatibility == .mergekit
        guard !flatten else {
            return .gram { _, gram in
                Arc(gram, zeroIsOrthogonal: mergekit).coefficients(at: t, straightAbove: nil).map { lambda * $0 }
            }
        }
        return .slices(axis) { context, slices in
            let count = context.operandCount
            var result = Matrix<Double>(rows: slices.rows, columns: count)
            for k in 0..<slices.rows {
                let gram = Matrix(
                    rows: count, columns: count,
                    elements: Array(slices.elements[k * count * count..<(k + 1) * count * count]))
                let arc = Arc(gram, zeroIsOrthogonal: mergekit)
                for (i, c) in arc.coefficients(at: t, straightAbove: nil).enumerated() {
                    result[k, i] = lambda * c
                }
            }
            return result
        }
    }
}

/// The arc between two updates, known by their inner products.
struct Arc {
    private let isDefined: Bool
    private let cosine: Double
    private let norms: [Double]

    /// - Parameters:
    ///   - gram: T×T; one operand alone goes from zero to itself.
    ///   - zeroIsOrthogonal: an operand of length 0 counts as orthogonal to the other (mergekit); else the way is straight.
    init(_ gram: Matrix<Double>, zeroIsOrthogonal: Bool = false) {
        norms = (0..<gram.rows).map { max(gram[$0, $0], 0).squareRoot() }
        let hasAngle = norms.count == 2 && norms[0] > 0 && norms[1] > 0
        isDefined = hasAngle || zeroIsOrthogonal
        cosine = hasAngle ? min(1, max(-1, gram[0, 1] / (norms[0] * norms[1]))) : zeroIsOrthogonal ? 0 : 1
    }

    /// c_0 and c_1 of the interpolation at t.
    ///
    /// - Parameter limit: |cos θ| above which it is linear; nil: only where |sin θ| < 1e-8.
    func coefficients(at t: Double, straightAbove limit: Double?) -> [Double] {
        guard norms.count == 2 else { return norms.map { _ in t } }
        let angle = acos(cosine)
        let sine = sin(angle)
        let isStraight = !isDefined || limit.map { abs(cosine) > $0 } ?? (abs(sine) < 1e-8)
        guard !isStraight else { return [1 - t, t] }
        return [sin((1 - t) * angle) / sine, sin(t * angle) / sine]
    }
}
