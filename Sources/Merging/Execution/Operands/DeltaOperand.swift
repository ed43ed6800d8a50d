import Adapters
import Tensors

/// One operand's update Δ_i at one module, wherever its numbers come from: d_out × d_in after flattening.
public struct DeltaOperand: Sendable {
    enum Content: Sendable {
        /// The adapter lacks the module and `missing: zero` asks for a zero update.
        case zero
        /// Δ = scale · b · a, with `b` [rows, rank] and `a` [rank, columns] in row-major order.
        case factors(a: TensorView, b: TensorView)
    }

    let content: Content
    let rank: Int
    /// s_i (merge-methods 0.3).
    let scale: Double
    /// The adapter's name, for messages.
    let adapter: String
    /// `lora_B.bias` [rows]; adds scale · bias.
    let bias: TensorView?

    static func zero(adapter: String) -> DeltaOperand {
        DeltaOperand(content: .zero, rank: 0, scale: 0, adapter: adapter, bias: nil)
    }

    init(content: Content, rank: Int, scale: Double, adapter: String, bias: TensorView?) {
        self.content = content
        self.rank = rank
        self.scale = scale
        self.adapter = adapter
        self.bias = bias
    }

    init(_ module: LoRAModule, adapter: String) {
        self.init(
            content: .factors(a: module.a, b: module.b), rank: module.rank, scale: module.scale, adapter: adapter,
            bias: module.bias)
    }

    /// The tensors that hold the update.
    var tensors: [TensorView] {
        switch content {
        case .zero: []
        case .factors(let a, let b): [a, b]
        }
    }

    /// Gives the mapped pages of the operand's tensors back to the system.
    func releasePages() {
        for tensor in tensors { tensor.releasePages() }
    }
}

extension TensorView {
    /// Gives the mapped pages of the tensor, or of some of its elements, back to the system.
    func releasePages(elements: Range<Int>? = nil) {
        guard let file = owner as? MappedFile, let base = file.bytes.baseAddress, let start = bytes.baseAddress else {
            return
        }
        let offset = start - base
        guard let elements else { return file.release(offset..<offset + bytes.count) }
        let size = dtype.bits / 8
        file.release(offset + elements.lowerBound * size..<offset + elements.upperBound * size)
    }
}
