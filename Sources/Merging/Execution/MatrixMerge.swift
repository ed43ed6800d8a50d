import Diagnostics
import LinearAlgebra
import Tensors

/// A registered merge method applied to updates that stand in memory: no bank, no recipe, no files.
///
/// ```swift
/// let merged = try MatrixMerge("ties", parameters: ["density": .number(0.5)]).merged([slow, fast], weights: [3, 1])
/// ```
/// It runs the same rule as a recipe does, so that a program that merges two updates of its own gets the same tensor as
/// `lorabank merge`. Methods that need more than the updates (masks from files, factors, several modules) are refused.
public struct MatrixMerge: Sendable {
    private let method: MergeMethod
    private let parameters: [String: ParameterValue]

    /// - Parameters:
    ///   - id: name of a method without `compat`.
    ///   - parameters: values that differ from the defaults, checked by the caller.
    /// - Throws: `recipe.unknown_method`, `recipe.unknown_key`.
    public init(_ id: String, parameters: [String: ParameterValue] = [:]) throws {
        let native = MergeMethod.standard.filter { $0.description.compatibilities.contains(.none) }
        guard let method = native.first(where: { $0.description.id == id }) else {
            throw Failure(
                .recipeUnknownMethod, "there is no merge method '\(id)'",
                hint: Spelling.hint(for: id, among: native.map(\.description.id)))
        }
        for name in parameters.keys.sorted() where method.description.parameter(named: name) == nil {
            throw Failure(.recipeUnknownKey, "the method '\(id)' has no parameter '\(name)'")
        }
        self.method = method
        self.parameters = parameters
    }

    /// The merged update.
    ///
    /// Rules of class E see single precision entries, as in a merge of adapters; all others run in double precision.
    /// Rules of class S commute with isometries: they may be given the updates' cores in a common basis instead.
    /// - Parameters:
    ///   - updates: Δ_i, all of one shape.
    ///   - weights: one per update; nil for 1.
    ///   - ranks: rank of each update, where less than min(rows, columns).
    ///   - module: for messages.
    /// - Throws: `merge.unsupported_kind` for a method that needs more than updates; what the rule throws.
    public func merged(
        _ updates: [Matrix<Double>], weights: [Double]? = nil, ranks: [Int]? = nil, module: String = "update"
    ) throws -> Matrix<Double> {
        guard let first = updates.first else { return Matrix(rows: 0, columns: 0) }
        let context = context(updates, first, weights, ranks, module)
        switch try method.rule(context) {
        case .combination(let rule): return try CoreSpace(dense: updates).sum(try rule(context))
        case .gram(let rule): return try CoreSpace(dense: updates).sum(try rule(context, Self.gram(updates)))
        case .spectral(let rule): return try rule(context, CoreSpace(dense: updates)).matrix()
        case .elements(let rule): return try rule(context).applied(to: updates.map(\.inFloat)).inDouble
        case .slices, .spectralTogether, .coordinates, .factors:
            throw Failure(
                .mergeUnsupportedKind, "the method '\(method.description.id)' needs more than the updates",
                place: module)
        }
    }

    private func context(
        _ updates: [Matrix<Double>], _ first: Matrix<Double>, _ weights: [Double]?, _ ranks: [Int]?, _ module: String
    ) -> MethodContext {
        let ones = [Double](repeating: 1, count: updates.count)
        let ranks = ranks ?? updates.map { min($0.rows, $0.columns) }
        return MethodContext(
            module: module, rows: first.rows, columns: first.columns, ranks: ranks, declaredRanks: ranks,
            weights: weights ?? ones, scales: ones, operandIndices: Array(updates.indices),
            adapterNames: updates.indices.map { "update \($0)" }, compatibility: .none, padsRanks: true, seed: nil,
            remarks: Remarks(), method: method.description, parameters: parameters,
            operandParameters: updates.map { _ in [:] })
    }

    private static func gram(_ updates: [Matrix<Double>]) -> Matrix<Double> {
        var result = Matrix<Double>(rows: updates.count, columns: updates.count)
        for i in updates.indices {
            for j in updates.indices {
                result[i, j] = zip(updates[i].elements, updates[j].elements).reduce(0) { $0 + $1.0 * $1.1 }
            }
        }
        return result
    }
}
