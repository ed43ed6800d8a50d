import Adapters
import Diagnostics
import LinearAlgebra
import Tensors

/// How well a merge keeps what its operands do, seen from the weights alone.
///
/// With U_i, V_i the singular vectors of Δ_i and S_i its singular values, M_i = U_iᵀ M V_i is what the merge M does
/// where adapter i acts. Sums run over all modules:
///
/// - retention = 1 − mean_i Σ‖M_i − S_i‖² / Σ‖S_i‖²: 1 when every adapter acts as alone, lower is worse, without bound;
/// - interference = mean_i Σ‖M_i − c_i S_i‖² / Σ‖S_i‖² with the best c_i: what the others do inside its directions.
public struct DataFreeObjective: Sendable {
    /// One module of one operand.
    private struct Part: Sendable {
        var module: String
        /// Uᵀ, r×m.
        var left: Matrix<Double>
        /// V, n×r.
        var right: Matrix<Double>
        var sigma: [Double]
    }

    public struct Value: Sendable, Hashable {
        public var retention: Double
        public var interference: Double
    }

    private let operands: [[Part]]

    /// - Throws: `merge.non_finite`, `numeric.no_convergence`.
    public init(_ adapters: [NamedAdapter]) throws {
        operands = try adapters.map { named in
            try named.adapter.modules.map { module in
                let svd = try module.baseFactors().svd(place: module.name)
                return Part(
                    module: module.name, left: svd.u.transposed(), right: svd.vt.transposed(), sigma: svd.sigma)
            }
        }
    }

    /// - Parameter merged: an adapter of the same shapes as the operands; a module that it lacks counts as zero.
    public func value(of merged: Adapter) throws -> Value {
        let modules = Dictionary(merged.modules.map { ($0.name, $0) }) { first, _ in first }
        let factors = try modules.mapValues { try $0.baseFactors() }
        var (lost, foreign) = (0.0, 0.0)
        for parts in operands {
            var (error, own, along, whole) = (0.0, 0.0, 0.0, 0.0)
            for part in parts {
                let seen = try seen(factors[part.module], part)
                for (i, sigma) in part.sigma.enumerated() {
                    own += sigma * sigma
                    along += seen[i, i] * sigma
                }
                whole += seen.elements.reduce(0) { $0 + $1 * $1 }
            }
            guard own > 0 else { continue }
            error = whole - 2 * along + own
            lost += max(0, error) / own
            foreign += max(0, whole - along * along / own) / own
        }
        let count = Double(max(1, operands.count))
        return Value(retention: 1 - lost / count, interference: foreign / count)
    }

    /// U_iᵀ·M·V_i.
    private func seen(_ merged: LowRankFactors?, _ part: Part) throws -> Matrix<Double> {
        let size = part.sigma.count
        guard let merged, merged.rank > 0, size > 0 else { return Matrix(rows: size, columns: size) }
        let left = try multiply(part.left, merged.b.inDouble, alpha: merged.scale)
        return try multiply(left, multiply(merged.a.inDouble, part.right))
    }
}
