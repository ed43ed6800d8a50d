import Diagnostics
import WeightFiles

/// Writes adapters as PEFT reads them: `adapter_config.json` and `adapter_model.safetensors`.
///
/// For large results, take the tensor list from ``PEFTLayout``, stream the payloads into a safetensors writer with
/// ``metadata``, and put ``configuration(for:base:source:)`` beside it.
public enum PEFTWriter {
    public static let configurationName = "adapter_config.json"
    public static let weightsName = "adapter_model.safetensors"
    /// `__metadata__` of the weight file; some readers refuse files without it.
    public static let metadata = ["format": "pt"]

    /// The configuration that makes PEFT rebuild exactly the modules of `layout` with their ranks and scales.
    ///
    /// - Parameter source: the configuration of the adapter that the new one comes from (the first operand of a merge);
    ///   fields that still make sense are kept, unknown ones too.
    public static func configuration(for layout: PEFTLayout, base: BaseIdentity, source: JSONValue?) -> JSONValue {
        var writer = PEFTConfigurationWriter(layout: layout, base: base, source: source)
        return writer.document()
    }
}
