import Tensors

/// What the PEFT writer has to know about one module; the numbers come later.
public struct PEFTModule: Sendable, Hashable {
    /// Canonical name, without `base_model.model.`.
    public var name: String
    public var kind: ModuleKind
    public var rank: Int
    /// Shape of ΔW in the base layout, as `LoRAModule.deltaShape`.
    public var deltaShape: [Int]
    public var fanInFanOut: Bool
    /// The update is `alpha / rank · B · A`. Merged modules carry their scale in the factors: alpha = rank.
    public var alpha: Double
    public var dtype: DType
    /// Types of B, bias and magnitude where they differ from that of A.
    var otherTypes: [DType] = []
    /// The module has a `lora_B.bias` [dOut].
    public var hasBias: Bool
    /// The module has a DoRA magnitude vector.
    public var hasMagnitude: Bool

    public init(
        name: String, kind: ModuleKind = .linear, rank: Int, deltaShape: [Int], fanInFanOut: Bool = false,
        alpha: Double? = nil, dtype: DType = .f32, hasBias: Bool = false, hasMagnitude: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.rank = rank
        self.deltaShape = deltaShape
        self.fanInFanOut = fanInFanOut
        self.alpha = alpha ?? Double(rank)
        self.dtype = dtype
        self.hasBias = hasBias
        self.hasMagnitude = hasMagnitude
    }
}

/// A whole tensor that the written adapter carries beside its modules.
public struct PEFTSavedTensor: Sendable, Hashable {
    /// Canonical parameter name, as `SavedTensor.name`.
    public var name: String
    public var role: SavedTensor.Role
    public var dtype: DType
    public var shape: [Int]

    public init(name: String, role: SavedTensor.Role, dtype: DType, shape: [Int]) {
        self.name = name
        self.role = role
        self.dtype = dtype
        self.shape = shape
    }
}

/// The tensors of a PEFT weight file: names, types, shapes, and what stands in each.
public struct PEFTLayout: Sendable {
    /// What a tensor holds; the numbers index `modules` and `saved`.
    public enum Part: Hashable, Sendable {
        case a(module: Int)
        case b(module: Int)
        case bias(module: Int)
        case magnitude(module: Int)
        case saved(Int)
    }

    public struct Tensor: Sendable, Hashable {
        /// Key in the file, e.g. `base_model.model.layers.0.q_proj.lora_A.weight`.
        public let name: String
        public let dtype: DType
        /// Shape in the file: a convolution's A is [r, in/groups, kh, kw].
        public let shape: [Int]
        public let part: Part
    }

    public let modules: [PEFTModule]
    public let saved: [PEFTSavedTensor]
    /// In the order of `modules`, then `saved`; the safetensors writer sorts for itself.
    public let tensors: [Tensor]

    public init(modules: [PEFTModule], saved: [PEFTSavedTensor] = []) {
        self.modules = modules
        self.saved = saved
        let adapted = Set(modules.map(\.name))
        var tensors: [Tensor] = []
        for (index, module) in modules.enumerated() {
            tensors += PEFTLayout.tensors(of: module, index: index)
        }
        for (index, tensor) in saved.enumerated() {
            let name = PEFTLayout.prefix + PEFTLayout.key(of: tensor, adapted: adapted)
            tensors.append(Tensor(name: name, dtype: tensor.dtype, shape: tensor.shape, part: .saved(index)))
        }
        self.tensors = tensors
    }

    static let prefix = "base_model.model."

    private static func tensors(of module: PEFTModule, index: Int) -> [Tensor] {
        let key = prefix + module.name
        let shapes = module.factorShapes
        func tensor(_ suffix: String, _ shape: [Int], _ part: Part) -> Tensor {
            Tensor(name: key + suffix, dtype: module.dtype(of: part), shape: shape, part: part)
        }
        let embedding = module.kind == .embedding
        var result = [
            tensor(embedding ? ".lora_embedding_A" : ".lora_A.weight", shapes.a, .a(module: index)),
            tensor(embedding ? ".lora_embedding_B" : ".lora_B.weight", shapes.b, .b(module: index)),
        ]
        if module.hasBias { result.append(tensor(".lora_B.bias", [shapes.b[0]], .bias(module: index))) }
        if module.hasMagnitude {
            let shape =
                module.kind == .convolution
                ? [1, shapes.b[0]] + shapes.b.dropFirst(2) : [shapes.b[0]]
            result.append(tensor(".lora_magnitude_vector", shape, .magnitude(module: index)))
        }
        return result
    }

    /// A trained bias of an adapted layer belongs to the layer that the adapter wraps.
    private static func key(of tensor: PEFTSavedTensor, adapted: Set<String>) -> String {
        guard tensor.role == .bias, tensor.name.hasSuffix(".bias") else { return tensor.name }
        let module = String(tensor.name.dropLast(".bias".count))
        return adapted.contains(module) ? module + ".base_layer.bias" : tensor.name
    }
}

extension PEFTModule {
    func dtype(of part: PEFTLayout.Part) -> DType {
        guard otherTypes.count == 3 else { return dtype }
        switch part {
        case .a, .saved: return dtype
        case .b: return otherTypes[0]
        case .bias: return otherTypes[1]
        case .magnitude: return otherTypes[2]
        }
    }

    /// Shapes of A and B as PEFT stores them.
    public var factorShapes: (a: [Int], b: [Int]) {
        switch kind {
        case .linear:
            let (out, input) = fanInFanOut ? (deltaShape[1], deltaShape[0]) : (deltaShape[0], deltaShape[1])
            return ([rank, input], [out, rank])
        case .convolution:
            let kernel = deltaShape.dropFirst(2)
            return ([rank, deltaShape[1]] + kernel, [deltaShape[0], rank] + kernel.map { _ in 1 })
        case .embedding:
            return ([rank, deltaShape[0]], [deltaShape[1], rank])
        }
    }
}
