import Tensors

/// A matrix [outputs, inputs] laid out for products; holds nothing but the packed copy.
final class PackedMatrix<S: NetworkScalar>: @unchecked Sendable {
    let outputs: Int
    let inputs: Int
    let elements: UnsafeMutablePointer<S>

    init(outputs: Int, inputs: Int) {
        self.outputs = outputs
        self.inputs = inputs
        elements = UnsafeMutableRawPointer.allocate(
            byteCount: max(1, S.packedCount(outputs: outputs, inputs: inputs)) * MemoryLayout<S>.stride, alignment: 64
        ).assumingMemoryBound(to: S.self)
    }

    deinit { UnsafeMutableRawPointer(elements).deallocate() }

    /// Takes over element (o, i) = `weight[o * outputStride + i * inputStride]`.
    func pack(_ weight: UnsafePointer<S>, outputStride: Int, inputStride: Int) {
        S.pack(
            outputs: outputs, inputs: inputs, weight: weight, outputStride: outputStride, inputStride: inputStride,
            into: elements)
    }

    /// y := x · Wᵀ (+ bias) (+ y).
    @inline(__always)
    func multiply(
        rows: Int, _ x: UnsafePointer<S>, ldx: Int, bias: UnsafePointer<S>? = nil, into y: UnsafeMutablePointer<S>,
        ldy: Int, accumulate: Bool = false
    ) {
        S.multiplyPacked(
            rows: rows, outputs: outputs, inputs: inputs, x: x, ldx: ldx, packed: elements, bias: bias, y: y, ldy: ldy,
            accumulate: accumulate)
    }
}

/// What the linears of a backbone multiply.
public enum Precision: String, Sendable, CaseIterable {
    case float32
    /// Weights and inputs of the layers' linears rounded to bfloat16, sums in float32; everything else, adapters that
    /// are not folded included, stays in float32. For passes without gradients.
    case bfloat16 = "bf16"
}

/// The same matrix rounded to bfloat16.
private final class RoundedMatrix<S: NetworkScalar>: @unchecked Sendable {
    let elements: UnsafeMutablePointer<UInt16>

    init(outputs: Int, inputs: Int, weight: UnsafePointer<S>) {
        elements = UnsafeMutableRawPointer.allocate(
            byteCount: max(1, BFloat16Product.count(outputs: outputs, inputs: inputs)) * 2, alignment: 64
        ).assumingMemoryBound(to: UInt16.self)
        S.packBFloat16(outputs: outputs, inputs: inputs, weight: weight, into: elements)
    }

    deinit { UnsafeMutableRawPointer(elements).deallocate() }
}

/// A linear layer of the backbone: y = x·Wᵀ + b with W [outputs, inputs] as in the checkpoint.
///
/// Several linears that read the same input (q, k, v; gate, up) are one `Linear` whose rows lie one after another.
final class Linear<S: NetworkScalar>: @unchecked Sendable {
    let outputs: Int
    let inputs: Int
    /// Positions in the parameter store.
    let weight: Int
    let bias: Int?
    private let parameters: ParameterStore<S>
    /// Takes effect with the next `refresh`.
    var precision = Precision.float32
    private enum Form {
        case packed(PackedMatrix<S>)
        case rounded(RoundedMatrix<S>)
    }

    /// The weights as products read them, of the precision of the last `refresh`.
    private var form: Form
    /// For dx = dy·W; made when gradients are first wanted.
    private var transposed: PackedMatrix<S>?

    init(_ parameters: ParameterStore<S>, outputs: Int, inputs: Int, weight: Int, bias: Int?) {
        self.parameters = parameters
        self.outputs = outputs
        self.inputs = inputs
        self.weight = weight
        self.bias = bias
        form = .packed(PackedMatrix(outputs: outputs, inputs: inputs))
    }

    /// Packs the weights again after they changed.
    func refresh() {
        switch precision {
        case .float32:
            let copy =
                if case .packed(let known) = form { known } else { PackedMatrix<S>(outputs: outputs, inputs: inputs) }
            copy.pack(parameters.pointer(weight), outputStride: inputs, inputStride: 1)
            form = .packed(copy)
        case .bfloat16:
            form = .rounded(RoundedMatrix(outputs: outputs, inputs: inputs, weight: parameters.pointer(weight)))
        }
        transposed?.pack(parameters.pointer(weight), outputStride: 1, inputStride: inputs)
    }

    /// Makes the copy that backward uses.
    func prepareBackward() {
        guard transposed == nil else { return }
        let copy = PackedMatrix<S>(outputs: inputs, inputs: outputs)
        copy.pack(parameters.pointer(weight), outputStride: 1, inputStride: inputs)
        transposed = copy
    }

    /// y := x·Wᵀ + b, or y += x·Wᵀ + b.
    func forward(
        rows: Int, _ x: UnsafePointer<S>, ldx: Int? = nil, into y: UnsafeMutablePointer<S>, accumulate: Bool = false
    ) {
        let bias = bias.map { UnsafePointer(parameters.pointer($0)) }
        switch form {
        case .packed(let packed):
            packed.multiply(
                rows: rows, x, ldx: ldx ?? inputs, bias: bias, into: y, ldy: outputs, accumulate: accumulate)
        case .rounded(let rounded):
            S.multiplyBFloat16(
                rows: rows, outputs: outputs, inputs: inputs, x: x, ldx: ldx ?? inputs, packed: rounded.elements,
                bias: bias, y: y, ldy: outputs, accumulate: accumulate)
        }
    }

    /// dx := dy·W.
    func backward(rows: Int, dy: UnsafePointer<S>, dx: UnsafeMutablePointer<S>) {
        if let transposed {
            transposed.multiply(rows: rows, dy, ldx: outputs, into: dx, ldy: inputs)
        } else {
            S.multiply(
                m: rows, n: inputs, k: outputs, a: dy, lda: outputs, b: parameters.pointer(weight), ldb: inputs, c: dx,
                ldc: inputs)
        }
    }

    /// Adds dyᵀ·x and the column sums of dy to a store-shaped gradient.
    func accumulateGradient(
        rows: Int, _ x: UnsafePointer<S>, ldx: Int? = nil, dy: UnsafePointer<S>, into gradient: UnsafeMutablePointer<S>
    ) {
        S.multiply(
            transposeA: true, m: outputs, n: inputs, k: rows, a: dy, lda: outputs, b: x, ldb: ldx ?? inputs,
            accumulate: true, c: gradient + weight, ldc: inputs)
        if let bias { addColumnSums(rows: rows, width: outputs, dy, ldx: outputs, into: gradient + bias) }
    }
}
