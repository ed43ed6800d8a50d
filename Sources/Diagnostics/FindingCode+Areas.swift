// Stable names of every finding: something an inspection reports without refusing the input.

extension FindingCode {
    public static let fileExecutableContent = FindingCode("file.executable_content")
    public static let fileModeDropped = FindingCode("file.mode_dropped")
    public static let fileLeftOut = FindingCode("file.left_out")
    public static let safetensorsUnknownField = FindingCode("safetensors.unknown_field")
    public static let configLocalBasePath = FindingCode("config.local_base_path")
    public static let configAssumed = FindingCode("config.assumed")
    public static let adapterUnknownKey = FindingCode("adapter.unknown_key")
    public static let adapterRankAboveDimensions = FindingCode("adapter.rank_above_dimensions")
    public static let adapterMaybeInactive = FindingCode("adapter.maybe_inactive")
    public static let weightsZeroDelta = FindingCode("weights.zero_delta")
    public static let weightsZeroModule = FindingCode("weights.zero_module")
    public static let weightsOutlier = FindingCode("weights.outlier")
    public static let weightsSpectralOutlier = FindingCode("weights.spectral_outlier")
    public static let nameControlCharacters = FindingCode("name.control_characters")
    public static let pickleIgnored = FindingCode("pickle.ignored")
    public static let shardTotalSize = FindingCode("shard.total_size")
    public static let cardMissingLicence = FindingCode("card.missing_licence")
    public static let cardMissingBase = FindingCode("card.missing_base")
    public static let cardControlCharacters = FindingCode("card.control_characters")
    public static let metadataLocalPath = FindingCode("metadata.local_path")
    public static let metadataEmailAddress = FindingCode("metadata.email_address")

    public static let all: [FindingCode] = [
        .fileExecutableContent,
        .fileModeDropped,
        .fileLeftOut,
        .safetensorsUnknownField,
        .configLocalBasePath,
        .configAssumed,
        .adapterUnknownKey,
        .adapterRankAboveDimensions,
        .adapterMaybeInactive,
        .weightsZeroDelta,
        .weightsZeroModule,
        .weightsOutlier,
        .weightsSpectralOutlier,
        .nameControlCharacters,
        .pickleIgnored,
        .shardTotalSize,
        .cardMissingLicence,
        .cardMissingBase,
        .cardControlCharacters,
        .metadataLocalPath,
        .metadataEmailAddress,
    ]
}
