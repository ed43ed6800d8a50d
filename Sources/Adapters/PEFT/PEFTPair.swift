import Diagnostics
import Tensors

/// The two factors of one module as stored, with the checks of their shapes and types.
struct PEFTPair {
    let name: String
    let a: TensorView
    let b: TensorView
    let isEmbedding: Bool
    let magnitude: TensorView?
    let bias: TensorView?

    var rank: Int { a.shape[0] }
    var dOut: Int { b.shape[0] }
    var dIn: Int { a.shape.dropFirst().reduce(1, *) }

    /// Both factors have as many dimensions as their kind of layer asks for: 2, or 3 to 5 for a convolution.
    func checkDimensions() throws {
        let allowed = isEmbedding ? 2...2 : 2...5
        guard allowed.contains(a.shape.count) else { throw wrongShape(a, "a factor has \(allowed) dimensions") }
        guard b.shape.count == a.shape.count else { throw wrongShape(b, "the other factor is \(a.shape)") }
    }

    func checkInnerRank() throws {
        guard a.shape[0] == b.shape[1] else {
            throw Failure(
                .adapterRankMismatch, "lora_A has \(a.shape[0]) rows, lora_B has \(b.shape[1]) columns", place: name,
                details: ["a": "\(a.shape[0])", "b": "\(b.shape[1])"])
        }
    }

    /// No dimension is zero, B of a convolution is 1 × 1, biases and magnitudes have one value per output.
    func checkShapes() throws {
        for factor in [a, b] where factor.shape.contains(0) { throw wrongShape(factor, "no dimension may be zero") }
        if b.shape.dropFirst(2).contains(where: { $0 != 1 }) {
            throw wrongShape(b, "lora_B of a convolution has a 1×1 kernel")
        }
        if let bias, bias.shape != [dOut] { throw wrongShape(bias, "expected [\(dOut)]") }
        if let magnitude {
            let full = [1, dOut] + b.shape.dropFirst(2).map { _ in 1 }
            guard magnitude.shape == [dOut] || magnitude.shape == full else {
                throw wrongShape(magnitude, "expected [\(dOut)] or \(full)")
            }
        }
    }

    func checkTypes() throws {
        for tensor in [a, b, magnitude, bias].compactMap({ $0 }) where !tensor.dtype.isWeight {
            throw Failure(
                .adapterBadDtype, "a factor of type \(tensor.dtype.rawValue); F64, F32, F16 and BF16 are accepted",
                place: tensor.name)
        }
    }

    private func wrongShape(_ tensor: TensorView, _ why: String) -> Failure {
        Failure(.adapterShapeMismatch, "shape \(tensor.shape): \(why)", place: tensor.name)
    }

    func module(alpha: Double, scale: Double, fanInFanOut: Bool) -> LoRAModule {
        let kind: ModuleKind = isEmbedding ? .embedding : a.shape.count == 2 ? .linear : .convolution
        let transposed = isEmbedding || (kind == .linear && fanInFanOut)
        return LoRAModule(
            name: name, kind: kind, dOut: dOut, dIn: dIn, rank: rank, scale: scale, alpha: alpha, a: a, b: b,
            deltaShape: transposed ? [dIn, dOut] : [dOut] + a.shape.dropFirst(), bias: bias, magnitude: magnitude,
            fanInFanOut: kind == .linear && fanInFanOut)
    }
}
