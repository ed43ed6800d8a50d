import Adapters
import LinearAlgebra
import Tensors

/// One operand's part in the merge of one tensor.
struct TensorOperand: Sendable {
    enum Content: Sendable {
        /// The operand lacks the tensor and `missing: zero` asks for a zero update.
        case zero
        /// Weights W; the update is W − base where there is a base.
        case weights(TensorView)
        /// The update of an adapter's module, with DoRA the one that its magnitudes make of it.
        case module(LoRAModule)
        /// An update scale · v.
        case vector(TensorView, scale: Double)
    }

    let content: Content
    /// For messages.
    let name: String

    /// The module of an operand that is s·B·A and nothing else.
    var lowRank: LoRAModule? {
        if case .module(let module) = content, module.magnitude == nil { module } else { nil }
    }

    /// The tensors that are read.
    var tensors: [TensorView] {
        switch content {
        case .zero: []
        case .weights(let tensor), .vector(let tensor, _): [tensor]
        case .module(let module): [module.a, module.b] + [module.magnitude].compactMap { $0 }
        }
    }
}

/// How a tensor is cut for reading: rows × columns in row-major order.
struct TensorGrid: Sendable, Hashable {
    var rows: Int
    var columns: Int

    var count: Int { rows * columns }

    init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
    }

    /// A matrix as it is, a convolution by its output channels, a vector as one row.
    init(shape: [Int]) {
        let count = shape.reduce(1, *)
        guard shape.count >= 2, count > 0 else {
            self.init(rows: 1, columns: count)
            return
        }
        self.init(rows: shape[0], columns: count / shape[0])
    }
}

/// Everything that is needed to make one tensor of the result.
struct TensorTask: Sendable {
    enum Work: Sendable {
        /// The tensor as it is, rounded to the output's type.
        case copy(TensorView)
        /// Σ c_i X_i.
        case combination([Double])
        case rule(MergeRule)
    }

    let name: String
    let shape: [Int]
    /// Type in the output.
    let dtype: DType
    /// What the update is added to; nil where the result is weights.
    let base: TensorView?
    let operands: [TensorOperand]
    let work: Work
    /// What the method says about the rank of its result.
    var output = OutputPreference()
    /// Steps after the method, in order.
    var post: [BoundPostStep] = []
    /// Known to every work but `copy`.
    let context: MethodContext?
    /// Method id in the record; nil for a tensor that no method touched.
    let method: String?
    /// Share of the stage's operands that have the tensor, 0…1.
    let coverage: Double
    /// A factor that all tensors of a method share.
    var scale = 1.0

    var count: Int { shape.reduce(1, *) }
    /// Everything that is read for it.
    var inputs: [TensorView] { [base].compactMap { $0 } + operands.flatMap(\.tensors) }
    /// Rows and columns that methods see.
    var grid: TensorGrid { TensorGrid(shape: shape) }
    var byteCount: Int { count * dtype.bits / 8 }

    /// All operands are plain low-rank updates.
    var isLowRank: Bool { !operands.isEmpty && operands.allSatisfy { $0.lowRank != nil } }
    /// Some operand can be formed in whole rows only.
    var needsRows: Bool { operands.contains { if case .module = $0.content { true } else { false } } }
    /// Some number needs double precision.
    var isDouble: Bool { dtype == .f64 || inputs.contains { $0.dtype == .f64 } }
}

extension LoRAModule {
    /// The update as factors in the layout of the base: rows × columns = `deltaShape` with its later axes as one.
    func baseFactors() throws -> LowRankFactors {
        let (rows, columns) = (b.count / max(1, rank), a.count / max(1, rank))
        let down = try a.floatMatrix(rows: rank, columns: columns)
        let up = try b.floatMatrix(rows: rows, columns: rank)
        guard isTransposed else { return LowRankFactors(b: up, a: down, scale: scale) }
        return LowRankFactors(b: down.transposed(), a: up.transposed(), scale: scale)
    }

    /// The base holds (B·A)ᵀ.
    var isTransposed: Bool { kind == .embedding || fanInFanOut }
}
