import Diagnostics
import LinearAlgebra
import Tensors

extension MergeMethod {
    /// Regression mean (merge-methods 3.26): X = (Σ w_i Δ_i G_i)(Σ w_i G_i)⁻¹ with the input Gram matrices G_i = X_iᵀX_i,
    /// off-diagonal entries multiplied by `off_diagonal`. Exact in factor space: B stays, A_i becomes A_i G_i H⁻¹.
    ///
    /// Input: per adapter one safetensors file with a symmetric tensor `gram.<module>` [d_in, d_in]: the sum over samples
    /// of x xᵀ, x the input of the layer.
    static let regMean = MergeMethod(
        MethodDescription(
            id: "regmean", title: "Regression mean",
            summary:
                "The update whose outputs are closest to those of every adapter on its own inputs; needs a file of "
                + "input Gram matrices per adapter.",
            exactness: .gram, source: "RegMean, arXiv 2212.09849",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "gram", .file, perAdapter: true,
                    summary: "safetensors file with gram.<module> [d_in, d_in]; without it the identity"),
                ParameterDeclaration(
                    "off_diagonal", .number, default: .number(0.9), range: .unit,
                    summary: "factor of the off-diagonal entries"),
            ],
            cost: "one dense d_in×d_in system per module"),
        .factors(
            rank: { max(1, $0.totalRank) },
            merge: { context, pairs in
                let lambda = try context.number("lambda")
                let grams = try InputGrams(context)
                let right = try pairs.indices.map { i -> Matrix<Double> in
                    let factor = lambda * context.weights[i] * context.scales[i]
                    return try grams.applied(to: pairs[i].a.inDouble, i).scaled(by: factor)
                }
                let solved = try grams.solved(Matrix.stacked(right), context)
                guard solved.rows > 0 else {
                    return FactorPair(
                        a: Matrix(rows: 1, columns: context.columns), b: Matrix(rows: context.rows, columns: 1))
                }
                return FactorPair(a: solved.inFloat, b: Matrix.sideBySide(pairs.map(\.b)))
            }))
}

/// G_i of one module with damped off-diagonals, and H = Σ w_i G_i.
private struct InputGrams {
    /// nil: the identity.
    private let tensors: [TensorView?]
    private let damping: Double
    private let weights: [Double]
    private let size: Int

    init(_ context: MethodContext) throws {
        (weights, size) = (context.weights, context.columns)
        damping = try context.number("off_diagonal")
        tensors = try zip(context.adapterNames, context.texts("gram")).map { name, path in
            guard let path else {
                context.remarks.add("'\(name)' has no file of input Gram matrices: the identity stands for it")
                return nil
            }
            return try context.files.required(
                "gram." + context.module, shape: [context.columns, context.columns], in: path)
        }
    }

    private func matrix(_ i: Int) throws -> Matrix<Double> {
        guard let tensor = tensors[i] else { return .identity(size) }
        var gram = try tensor.doubleMatrix(rows: size, columns: size)
        for row in 0..<size {
            for column in 0..<size where row != column { gram[row, column] *= damping }
        }
        return gram
    }

    /// a·G_i.
    func applied(to a: Matrix<Double>, _ i: Int) throws -> Matrix<Double> {
        tensors[i] == nil ? a : try multiply(a, try matrix(i))
    }

    /// y·H⁻¹ for a symmetric H.
    func solved(_ y: Matrix<Double>, _ context: MethodContext) throws -> Matrix<Double> {
        guard y.rows > 0 else { return y }
        guard tensors.contains(where: { $0 != nil }) else {
            let sum = try context.weightDivisor(normalize: true)
            return y.scaled(by: 1 / sum)
        }
        var sum = Matrix<Double>(rows: size, columns: size)
        for i in tensors.indices { sum = sum.adding(try matrix(i).scaled(by: weights[i])) }
        return try solve(sum, y.transposed(), place: context.module).transposed()
    }
}
