import Tensors

/// mergekit's methods whose result is Σ c_i W_i or Σ c_i Δ_i.
extension MergeMethod {
    static let mergekitLinear = mergekit(
        id: "linear", title: "mergekit linear", summary: "The weighted mean.", exactness: .gram,
        parameters: [.mergekitWeight, .normalize(default: true)], cost: "one pass", baseUse: .optional
    ) { _ in
        .combination { context in
            let divisor = try context.weightDivisor(normalize: context.flag("normalize"))
            return context.weights.map { $0 / divisor }
        }
    }

    static let mergekitTaskArithmetic = mergekit(
        id: "task_arithmetic", title: "mergekit task_arithmetic", summary: "The weighted sum of the updates.",
        exactness: .gram, parameters: [.mergekitWeight, .lambda(), .normalize(default: false)], cost: "one pass"
    ) { _ in .combination { context in try context.mergekitCoefficients() } }

    /// On checkpoints the operands are whole weights, the base first; with one adapter alone the other end is zero.
    static let mergekitSlerp = mergekit(
        id: "slerp", title: "mergekit slerp",
        summary: "Spherical interpolation from the base, or the first, to the other.",
        exactness: .gram,
        parameters: [
            ParameterDeclaration("t", .number, required: true, range: .unit, summary: "0 is the first end, 1 the other")
        ],
        maximumAdapters: 2, cost: "two passes", baseUse: .operand
    ) { _ in
        .gram { context, gram in
            Arc(gram, zeroIsOrthogonal: true).coefficients(at: try context.number("t"), straightAbove: 0.9995)
        }
    }

    static let mergekitNuSlerp = mergekit(
        id: "nuslerp", title: "mergekit nuslerp", summary: "Spherical interpolation by weights.", exactness: .gram,
        parameters: [
            .mergekitWeight,
            ParameterDeclaration(
                "nuslerp_flatten", .bool, default: .bool(true), summary: "one angle for the whole tensor"),
            ParameterDeclaration(
                "nuslerp_row_wise", .bool, default: .bool(false),
                summary: "without flattening: one angle per column (axis 0), else one per row"),
        ],
        minimumAdapters: 2, maximumAdapters: 2, cost: "two passes", baseUse: .optional
    ) { context in
        let flatten = try context.flag("nuslerp_flatten") || context.shape.count == 1
        return context.nuSlerp(flatten: flatten, try context.flag("nuslerp_row_wise") ? .columns : .rows, lambda: 1)
    }

    static let mergekitMultiSlerp = mergekit(
        id: "multislerp", title: "mergekit multislerp", summary: "Barycentre on the sphere in one step.",
        exactness: .gram,
        parameters: [
            .mergekitWeight,
            ParameterDeclaration(
                "normalize_weights", .bool, default: .bool(true), summary: "divide the weights by their sum"),
        ],
        cost: "two passes", baseUse: .optional
    ) { _ in
        .gram { context, gram in
            let weights = try context.sphereWeights(normalized: context.flag("normalize_weights"))
            return try Sphere(gram).tangentMean(weights, context)
        }
    }

    static let mergekitKarcher = mergekit(
        id: "karcher", title: "mergekit karcher", summary: "Barycentre on the sphere with equal weights.",
        exactness: .gram, parameters: [.maximumIterations, .karcherTolerance], cost: "two passes", baseUse: .optional
    ) { _ in
        .gram { context, gram in
            let share = 1 / Double(max(1, context.operandCount))
            return Sphere(gram).karcherMean(
                [Double](repeating: share, count: context.operandCount),
                iterations: Int(try context.number("max_iter")), tolerance: try context.number("tol"))
        }
    }

    static let mergekitModelStock = mergekit(
        id: "model_stock", title: "mergekit model_stock",
        summary: "The mean of the updates, shrunk by their mean cosine; t is not clamped.", exactness: .gram,
        parameters: [.filterWise], minimumAdapters: 2, cost: "two passes"
    ) { context in
        .modelStock(filterWise: try context.flag("filter_wise"), clamps: false, lambda: 1)
    }
}
