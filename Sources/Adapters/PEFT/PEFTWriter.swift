import Diagnostics
import Digests
import Tensors
import WeightFiles

/// Writes adapters as PEFT reads them: `adapter_config.json` and `adapter_model.safetensors`.
///
/// For large results, take the tensor list from ``PEFTLayout``, stream the payloads into a `SafetensorsWriter` with
/// ``weightsLayout(for:)``, and put ``configuration(for:base:source:)`` beside it. What is in memory (or mapped) goes
/// through ``write(_:to:overwrite:)``.
public enum PEFTWriter {
    public static let configurationName = "adapter_config.json"
    public static let weightsName = "adapter_model.safetensors"
    /// `__metadata__` of the weight file; some readers refuse files without it.
    public static let metadata = ["format": "pt"]

    /// The configuration that makes PEFT rebuild exactly the modules of `layout` with their ranks and scales.
    ///
    /// `r` and `lora_alpha` are the most common values; modules that deviate stand in `rank_pattern` and
    /// `alpha_pattern` under keys that match no other module; `target_modules` lists every module in full.
    /// - Parameter source: the configuration of the adapter that the new one comes from (the first operand of a merge);
    ///   fields that still make sense are kept, unknown ones too.
    public static func configuration(for layout: PEFTLayout, base: BaseIdentity, source: JSONValue?) -> JSONValue {
        var writer = PEFTConfigurationWriter(layout: layout, base: base, source: source)
        return writer.document()
    }

    /// The bytes of `adapter_config.json`: keys sorted, indented by 2, as PEFT writes it.
    public static func configurationText(_ configuration: JSONValue) -> [UInt8] {
        Array(configuration.text(.indented(2), sortKeys: true).utf8)
    }

    /// Where each tensor stands in the weight file.
    ///
    /// - Throws: `safetensors.duplicate_key` and the like for layouts that no file can hold.
    public static func weightsLayout(for layout: PEFTLayout) throws -> SafetensorsLayout {
        try SafetensorsLayout(
            layout.tensors.map { TensorDeclaration($0.name, $0.dtype, $0.shape) }, metadata: metadata)
    }

    /// Writes an adapter as a PEFT folder, complete or not at all. Factors keep their type and values; the scale is
    /// expressed by `alpha` (never by rslora).
    ///
    /// - Parameters:
    ///   - path: the folder to make.
    ///   - overwrite: whether a folder of this program's making may be replaced.
    /// - Returns: the SHA-256 of the weight file.
    /// - Throws: `output.exists`, `io.*`.
    @discardableResult
    public static func write(_ adapter: Adapter, to path: String, overwrite: Bool = false) throws -> SHA256Digest {
        let folder = try AtomicFolder(path: path, overwrite: overwrite)
        let digest = try write(adapter, into: folder.temporaryPath)
        try folder.commit()
        return digest
    }

    /// Writes the two files of a PEFT folder into a folder that exists, and the head beside them when there is one.
    @discardableResult
    public static func write(_ adapter: Adapter, into folder: String) throws -> SHA256Digest {
        let layout = PEFTLayout(adapter)
        let file = try SafetensorsWriter(path: folder + "/" + weightsName, layout: try weightsLayout(for: layout))
        for tensor in layout.tensors {
            guard let content = adapter.tensor(tensor.part) else { continue }
            try file.write(content.bytes, toTensor: tensor.name)
        }
        let digest = try file.commitWithDigest()
        let configuration = configuration(for: layout, base: adapter.base, source: adapter.configuration)
        try AtomicFile.write(configurationText(configuration), to: folder + "/" + configurationName)
        try adapter.head?.write(into: folder)
        return digest
    }
}

extension PEFTModule {
    /// The module as it is: its rank, type and scale.
    public init(_ module: LoRAModule) {
        // alpha / rank gives the scale back; with rslora that is another alpha than the stored one.
        let isPlain = module.scale == module.alpha / Double(module.rank)
        self.init(
            name: module.name, kind: module.kind, rank: module.rank, deltaShape: module.deltaShape,
            fanInFanOut: module.fanInFanOut, alpha: isPlain ? module.alpha : module.scale * Double(module.rank),
            dtype: module.a.dtype, hasBias: module.bias != nil, hasMagnitude: module.magnitude != nil)
        otherTypes = [module.b.dtype, module.bias?.dtype ?? dtype, module.magnitude?.dtype ?? dtype]
    }
}

extension PEFTLayout {
    /// The layout of an adapter as it is.
    public init(_ adapter: Adapter) {
        self.init(
            modules: adapter.modules.map { PEFTModule($0) },
            saved: adapter.saved.map {
                PEFTSavedTensor(name: $0.name, role: $0.role, dtype: $0.tensor.dtype, shape: $0.tensor.shape)
            })
    }
}

extension Adapter {
    /// What stands in a part of `PEFTLayout(self)`.
    public func tensor(_ part: PEFTLayout.Part) -> TensorView? {
        switch part {
        case .a(let module): modules[module].a
        case .b(let module): modules[module].b
        case .bias(let module): modules[module].bias
        case .magnitude(let module): modules[module].magnitude
        case .saved(let index): saved[index].tensor
        }
    }
}
