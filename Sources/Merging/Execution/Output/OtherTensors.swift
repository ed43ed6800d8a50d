import Adapters
import Diagnostics
import Tensors

/// Whole tensors that travel with the adapters, and `lora_B.bias` (merge-methods 4.4).
struct OtherTensors: Sendable {
    /// One saved tensor of the result.
    struct Merged: Sendable {
        let name: String
        let role: SavedTensor.Role
        let tensor: TensorView
    }

    let plan: StagePlan

    private struct Carrier {
        let operand: Int
        let saved: SavedTensor
    }

    /// All saved tensors, sorted by name. One carrier, or several with equal bytes: taken over. Else by `others`.
    ///
    /// - Throws: `merge.module_mismatch` when several differ and `others` is `error`, `merge.shape_mismatch`,
    ///   `merge.non_finite`.
    func saved() throws -> [Merged] {
        var carriers: [String: [Carrier]] = [:]
        for (index, operand) in plan.operands.enumerated() {
            for saved in operand.adapter.saved {
                carriers[saved.name, default: []].append(Carrier(operand: index, saved: saved))
            }
        }
        return try carriers.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { try merge($0.value) }
    }

    private func merge(_ carriers: [Carrier]) throws -> Merged {
        let first = carriers[0].saved
        func take(_ tensor: TensorView) -> Merged { Merged(name: first.name, role: first.role, tensor: tensor) }
        if plan.others == .first || carriers.allSatisfy({ same($0.saved.tensor, first.tensor) }) {
            return take(first.tensor)
        }
        guard plan.others != .error else {
            let names = carriers.map { "'\(plan.operands[$0.operand].name)'" }.joined(separator: ", ")
            throw Failure(
                .mergeModuleMismatch, "\(names) carry this tensor and they differ", place: first.name,
                hint: "others: mean, weighted or first decides what becomes of it")
        }
        for carrier in carriers where carrier.saved.tensor.shape != first.tensor.shape {
            throw Failure(
                .mergeShapeMismatch,
                "'\(plan.operands[carrier.operand].name)' has shape \(carrier.saved.tensor.shape), "
                    + "'\(plan.operands[carriers[0].operand].name)' has \(first.tensor.shape)", place: first.name)
        }
        let weights = carriers.map { plan.others == .weighted ? weight(of: $0.operand) : 1 }
        return take(try mean(carriers, weights))
    }

    private func same(_ a: TensorView, _ b: TensorView) -> Bool {
        a.dtype == b.dtype && a.shape == b.shape && a.bytes.elementsEqual(b.bytes)
    }

    /// The adapter's weight at the first module (by name) in which it takes part.
    private func weight(of operand: Int) -> Double {
        for module in plan.modules {
            if let entry = module.operands.first(where: { $0.operand == operand }) { return entry.weight }
        }
        return 1
    }

    private func mean(_ carriers: [Carrier], _ weights: [Double]) throws -> TensorView {
        let sum = weights.reduce(0, +)
        guard abs(sum) >= 1e-8 else {
            throw Failure(
                .recipeZeroWeightSum, "the weights of the adapters add up to \(sum)", place: carriers[0].saved.name)
        }
        let first = carriers[0].saved.tensor
        var total = [Double](repeating: 0, count: first.count)
        for (carrier, weight) in zip(carriers, weights) {
            let operand = DeltaOperand.zero(adapter: plan.operands[carrier.operand].name)
            try add(carrier.saved.tensor, times: weight / sum, of: operand, to: &total)
        }
        let dtype = DType.widest(of: Set(carriers.map(\.saved.tensor.dtype)))
        let buffer = try TensorBuffer(name: first.name, dtype: dtype, shape: first.shape)
        let rounding = try total.map(Float.init).withUnsafeBufferPointer { try buffer.write($0) }
        guard rounding.overflows == 0 else {
            throw Failure(.mergeNonfiniteResult, "the mean overflows \(dtype.rawValue)", place: first.name)
        }
        return buffer.view
    }

    private func add(
        _ tensor: TensorView, times factor: Double, of operand: DeltaOperand, to total: inout [Double]
    ) throws {
        let stack = FactorStack(operands: [], rows: 0, columns: 0, zeroNonFinite: plan.zeroNonFinite)
        var values = [Double](repeating: 0, count: tensor.count)
        try values.withUnsafeMutableBufferPointer { try stack.load(tensor, 0..<tensor.count, of: operand, into: $0) }
        for i in values.indices { total[i] += factor * values[i] }
    }

    /// Σ c_i s_i bias_i; nil when no operand has a bias. `c_i`: the coefficients of class G, else λ w_i, divided by Σ w_i
    /// where the method normalises.
    func bias(_ task: ModuleTask, _ merged: MergedModule) throws -> [Float]? {
        guard task.hasBias else { return nil }
        let coefficients = try merged.biasCoefficients ?? usualCoefficients(task.context)
        var total = [Double](repeating: 0, count: task.rows)
        for (operand, coefficient) in zip(task.operands, coefficients) {
            guard let bias = operand.bias else { continue }
            guard bias.count == task.rows else {
                throw Failure(
                    .mergeShapeMismatch, "the bias of '\(operand.adapter)' has \(bias.count) entries, not \(task.rows)",
                    place: task.name)
            }
            try add(bias, times: coefficient * operand.scale, of: operand, to: &total)
        }
        return total.map(Float.init)
    }

    private func usualCoefficients(_ context: MethodContext) throws -> [Double] {
        let lambda = context.value("lambda")?.number ?? 1
        let divisor = try context.weightDivisor(normalize: context.value("normalize")?.bool ?? false)
        return context.weights.map { lambda * $0 / divisor }
    }
}
