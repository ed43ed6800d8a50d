import Diagnostics
import Digests
import Tensors
import WeightFiles

/// Which base model an adapter belongs to.
public struct BaseIdentity: Hashable, Sendable {
    /// As the configuration gives it, e.g. `meta-llama/Llama-3-8B`; empty when unknown.
    public var name: String
    public var revision: String
    /// SHA-256 of the base's weights, when known.
    public var digest: String?

    public init(name: String, revision: String = "", digest: String? = nil) {
        self.name = name
        self.revision = revision
        self.digest = digest
    }
}

/// A whole tensor that travels with an adapter: `modules_to_save`, a trained bias, trainable tokens.
public struct SavedTensor: Sendable {
    public enum Role: String, Sendable {
        case savedModule
        case bias
        case tokens
        case other
    }

    /// Canonical parameter name, e.g. `classifier.weight`.
    public var name: String
    public var role: Role
    public var tensor: TensorView

    public init(name: String, role: Role, tensor: TensorView) {
        self.name = name
        self.role = role
        self.tensor = tensor
    }
}

/// An adapter as the program understands it, whatever file it came from. Weights stay mapped.
public struct Adapter: Sendable {
    /// Sorted by name (byte order).
    public var modules: [LoRAModule]
    /// Sorted by name.
    public var saved: [SavedTensor]
    public var base: BaseIdentity
    /// `peft`, later also `kohya`, `mlx`, `gguf`.
    public var format: String
    /// The source's configuration, unknown fields included; `null` when the source had none.
    public var configuration: JSONValue
    /// What reading noticed, in order of discovery.
    public var findings: [Finding]
    /// Digests of the weight files as they came, by file name.
    public var fileDigests: [String: SHA256Digest]
    /// `__metadata__` of the weight file.
    public var metadata: [String: String] = [:]
    /// Tensors that belong to nothing (`adapter.unknown_key`), in the order of the file.
    public var unclaimed: [TensorView] = []
    /// The classifier that stands beside it; no part of the update.
    public var head: AdapterHead?
    /// Text of the model card (`README.md`), nil when there is none.
    public var card: String?

    public init(
        modules: [LoRAModule], saved: [SavedTensor], base: BaseIdentity, format: String, configuration: JSONValue,
        findings: [Finding], fileDigests: [String: SHA256Digest] = [:]
    ) {
        self.modules = modules
        self.saved = saved
        self.base = base
        self.format = format
        self.configuration = configuration
        self.findings = findings
        self.fileDigests = fileDigests
    }

    public var rankMin: Int { modules.map(\.rank).min() ?? 0 }
    public var rankMax: Int { modules.map(\.rank).max() ?? 0 }
    public var parameterCount: Int { modules.reduce(0) { $0 + $1.parameterCount } }
}
