import Diagnostics
import WeightFiles

/// `adapter_config.json` as far as it decides what the weights mean (`docs/formats.md` 3.2).
///
/// Every field that changes the meaning is either understood or refused by name; all others stay in `document`.
public struct PEFTConfiguration: Sendable {
    /// Which biases of the base model were trained and stored.
    public enum Bias: String, Sendable, CaseIterable {
        case none
        case all
        case loraOnly = "lora_only"
    }

    /// Rank of modules that no pattern names.
    public let rank: Int
    public let alpha: Double
    /// scale = alpha / √rank instead of alpha / rank.
    public let usesRankStabilizedScale: Bool
    public let rankPattern: ModulePatterns<Int>
    public let alphaPattern: ModulePatterns<Double>
    public let bias: Bias
    public let hasLoRABias: Bool
    public let usesDoRA: Bool
    public let fanInFanOut: Bool
    public let modulesToSave: [String]
    public let hasTrainableTokens: Bool
    public let taskType: String?
    public let base: BaseIdentity
    /// The whole configuration, fields in file order, unknown ones included.
    public let document: JSONValue

    /// Interprets a parsed configuration.
    ///
    /// - Throws: `config.missing_field`, `config.bad_type`, `config.bad_value`; `config.unsupported_type` for methods
    ///   that are no LoRA; `config.feature_unsupported` for variants whose update is more than `scale · B · A`.
    public init(_ document: JSONValue) throws {
        let fields = try ConfigurationFields(document)
        try PEFTConfiguration.checkType(fields)
        rank = try fields.rank("r", default: 8)
        alpha = try fields.number("lora_alpha", default: 8)
        usesRankStabilizedScale = try fields.bool("use_rslora")
        rankPattern = try fields.pattern("rank_pattern", ConfigurationFields.rank)
        alphaPattern = try fields.pattern("alpha_pattern", ConfigurationFields.number)
        bias = try PEFTConfiguration.bias(fields)
        hasLoRABias = try fields.bool("lora_bias")
        usesDoRA = try fields.bool("use_dora")
        fanInFanOut = try fields.bool("fan_in_fan_out")
        modulesToSave = try fields.strings("modules_to_save")
        hasTrainableTokens = try PEFTConfiguration.hasTrainableTokens(fields)
        taskType = try fields.string("task_type")
        base = BaseIdentity(
            name: try fields.string("base_model_name_or_path") ?? "", revision: try fields.string("revision") ?? "")
        for name in ["target_modules", "exclude_modules", "layers_pattern"] { try fields.checkStringOrStrings(name) }
        try fields.checkIntegerOrIntegers("layers_to_transform")
        try PEFTConfiguration.refuseUnsupported(fields)
        self.document = document
    }

    /// `alpha / rank` or `alpha / √rank`.
    public func scale(alpha: Double, rank: Int) -> Double {
        usesRankStabilizedScale ? alpha / Double(rank).squareRoot() : alpha / Double(rank)
    }

    private static func checkType(_ fields: ConfigurationFields) throws {
        guard let type = try fields.string("peft_type") else {
            if fields["fine_tune_type"] != nil {
                throw Failure(
                    .configUnsupportedType, "this is an MLX adapter, which cannot be read", place: "fine_tune_type",
                    hint: "convert it to PEFT first")
            }
            throw Failure(.configMissingField, "the configuration has no peft_type", place: "peft_type")
        }
        switch type {
        case "LORA": return
        case "LOHA", "LOKR":
            throw Failure(
                .configFeatureUnsupported, "peft_type \(type) is a weight delta of another form than B·A",
                place: "peft_type", hint: "convert it to LoRA first")
        default:
            throw Failure(
                .configUnsupportedType, "peft_type '\(type)' is no low-rank weight delta", place: "peft_type",
                hint: "only peft_type LORA can be read")
        }
    }

    private static func bias(_ fields: ConfigurationFields) throws -> Bias {
        guard let text = try fields.string("bias") else { return .none }
        guard let bias = Bias(rawValue: text) else {
            throw Failure(.configBadValue, "bias is '\(text)', not none, all or lora_only", place: "bias")
        }
        return bias
    }

    private static func hasTrainableTokens(_ fields: ConfigurationFields) throws -> Bool {
        guard let value = fields["trainable_token_indices"] else { return false }
        let lists = value.members?.map(\.value) ?? [value]
        for list in lists {
            guard let indices = list.array, indices.allSatisfy({ $0.integer != nil }) else {
                throw fields.wrongType(
                    "trainable_token_indices", list, expected: "an array of integers or an object of such arrays")
            }
        }
        return true
    }

    /// Fields that make the update something else than `scale · B · A`; null, false and empty values mean "not used".
    private static let unsupported = [
        ("layer_replication", "layers of the base were duplicated"),
        ("target_parameters", "it adapts parameters (expert stacks), not modules"),
        ("use_qalora", "QALoRA pools the inputs"),
        ("use_bdlora", "the factors are block-diagonal"),
        ("alora_invocation_tokens", "the update is active only after invocation tokens"),
        ("arrow_config", "it routes between adapters"),
        ("kasa_config", "KaSA changes the base weights"),
        ("monteclora_config", "MonteCLoRA samples its factors"),
    ]

    private static func refuseUnsupported(_ fields: ConfigurationFields) throws {
        for (name, reason) in unsupported {
            guard let value = fields[name], !isUnset(value) else { continue }
            throw Failure(.configFeatureUnsupported, "\(name) is set: \(reason)", place: name)
        }
    }

    private static func isUnset(_ value: JSONValue) -> Bool {
        switch value {
        case .null, .bool(false): true
        case .array(let values): values.isEmpty
        case .object(let members): members.isEmpty
        default: false
        }
    }
}
