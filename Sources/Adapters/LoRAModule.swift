import Tensors

/// What kind of layer an adapter module changes; decides how `B·A` becomes ΔW (`docs/formats.md`).
public enum ModuleKind: String, Sendable, Hashable, CaseIterable {
    case linear
    case convolution
    case embedding
}

/// One adapted module: the pair of factors of a low-rank update `ΔW = scale · B · A`.
///
/// Shapes: `A` is [rank, dIn] and `B` is [dOut, rank] after flattening: a convolution's `A` [r, in/groups, kh, kw]
/// counts as [r, in/groups·kh·kw], its `B` [out, r, 1, 1] as [out, r]; an embedding's update is `(B·A)ᵀ` with `A`
/// [r, vocabulary] and `B` [dim, r].
public struct LoRAModule: Sendable {
    /// Canonical module name: dots kept, no `base_model.model.` prefix, no adapter name.
    public var name: String
    public var kind: ModuleKind
    public var dOut: Int
    public var dIn: Int
    public var rank: Int
    /// `alpha / rank`, or `alpha / √rank` with rslora; the module's own rank and alpha.
    public var scale: Double
    public var alpha: Double
    public var a: TensorView
    public var b: TensorView
    /// Full shape of ΔW in the base layout, e.g. [out, in] or [out, in/groups, kh, kw].
    public var deltaShape: [Int]
    /// `lora_B.bias` [dOut]: adds `scale · bias` to the layer's bias.
    public var bias: TensorView?
    /// DoRA magnitudes; with them the update is no plain delta.
    public var magnitude: TensorView?
    /// The base weight is stored [in, out] (GPT-2's Conv1D): ΔW is transposed before it is added to the base.
    public var fanInFanOut: Bool

    public init(
        name: String, kind: ModuleKind, dOut: Int, dIn: Int, rank: Int, scale: Double, alpha: Double, a: TensorView,
        b: TensorView, deltaShape: [Int], bias: TensorView? = nil, magnitude: TensorView? = nil,
        fanInFanOut: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.dOut = dOut
        self.dIn = dIn
        self.rank = rank
        self.scale = scale
        self.alpha = alpha
        self.a = a
        self.b = b
        self.deltaShape = deltaShape
        self.bias = bias
        self.magnitude = magnitude
        self.fanInFanOut = fanInFanOut
    }

    /// Stored numbers of the two factors.
    public var parameterCount: Int { rank * (dOut + dIn) }
}
