import Diagnostics
import Tensors

extension MergeMethod {
    /// Fisher-weighted mean (merge-methods 3.26): Δ*[k] = λ Σ w_i F_i[k] Δ_i[k] / Σ w_i F_i[k].
    ///
    /// Input: per adapter one safetensors file with a tensor `fisher.<module>` of the shape of ΔW, non-negative; the
    /// diagonal Fisher information of the adapted weights (mean square of the gradient of the log-likelihood).
    static let fisher = MergeMethod(
        MethodDescription(
            id: "fisher", title: "Fisher-weighted mean",
            summary:
                "Averages entry by entry, each adapter weighted by how much its task depends on that entry; needs a "
                + "file of Fisher information per adapter.",
            exactness: .elementwise, source: "Fisher merging, arXiv 2111.09832",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "fisher", .file, perAdapter: true,
                    summary: "safetensors file with fisher.<module> [d_out, d_in]; without it all entries count alike"),
            ],
            cost: "one pass over all m·n entries and the files, then recompression"),
        .elements { context in
            let information = try FisherInformation(context)
            let lambda = try context.number("lambda")
            return ElementRule { chunk, _, output in information.merge(chunk, lambda, output) }
        })
}

/// F_i of one module, read while the entries stream by.
private struct FisherInformation: Sendable {
    /// nil: 1 everywhere.
    private let tensors: [TensorView?]
    private let weights: [Double]

    init(_ context: MethodContext) throws {
        weights = context.weights
        tensors = try zip(context.adapterNames, context.texts("fisher")).map { name, path in
            guard let path else {
                context.remarks.add("'\(name)' has no Fisher file: all its entries count alike")
                return nil
            }
            let name = "fisher." + context.module
            let tensor = try context.files.required(name, shape: [context.rows, context.columns], in: path)
            guard try tensor.statistics().minimum >= 0 else {
                throw Failure(.dataMalformed, "'\(name)' holds negative entries", path: path)
            }
            return tensor
        }
    }

    func merge(_ chunk: ElementChunk, _ lambda: Double, _ output: UnsafeMutablePointer<Float>) {
        let size = Stretches.length
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * size) { sums in
            Stretches.forEach(chunk.count) { start, count, information in
                sums.update(repeating: 0)
                for (i, w) in weights.enumerated() {
                    load(i, chunk.start + start, information)
                    let x = chunk.operand(i) + start
                    for e in 0..<count {
                        let f = w * Double(information[e])
                        sums[e] += f * Double(x[e])
                        sums[size + e] += f
                    }
                }
                for e in 0..<count {
                    output[start + e] = sums[size + e] == 0 ? 0 : Float(lambda * sums[e] / sums[size + e])
                }
            }
        }
    }

    /// The type was checked when the statistics were taken, so that copying cannot fail any more.
    private func load(_ i: Int, _ start: Int, _ target: UnsafeMutableBufferPointer<Float>) {
        guard let tensor = tensors[i] else { return target.update(repeating: 1) }
        do {
            try tensor.copy(elements: start..<start + target.count, into: target)
        } catch {
            target.update(repeating: .nan)
        }
    }
}
