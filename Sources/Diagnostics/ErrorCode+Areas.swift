// Stable names of every error, grouped by area. Texts for people stand in `ErrorPages.swift`.

extension ErrorCode {
    // file
    public static let fileHtml = ErrorCode("file.html", .malformed)
    public static let fileLfsPointer = ErrorCode("file.lfs_pointer", .malformed)
    public static let fileJson = ErrorCode("file.json", .malformed)
    public static let fileCompressed = ErrorCode("file.compressed", .malformed)
    public static let filePickleZip = ErrorCode("file.pickle_zip", .malformed)
    public static let filePickle = ErrorCode("file.pickle", .malformed)

    // safetensors
    public static let safetensorsTooShort = ErrorCode("safetensors.too_short", .malformed)
    public static let safetensorsHeaderTooLarge = ErrorCode("safetensors.header_too_large", .malformed)
    public static let safetensorsHeaderPastEnd = ErrorCode("safetensors.header_past_end", .malformed)
    public static let safetensorsHeaderBadStart = ErrorCode("safetensors.header_bad_start", .malformed)
    public static let safetensorsHeaderNotUtf8 = ErrorCode("safetensors.header_not_utf8", .malformed)
    public static let safetensorsHeaderNotJson = ErrorCode("safetensors.header_not_json", .malformed)
    public static let safetensorsHeaderNotObject = ErrorCode("safetensors.header_not_object", .malformed)
    public static let safetensorsJsonTooDeep = ErrorCode("safetensors.json_too_deep", .malformed)
    public static let safetensorsDuplicateKey = ErrorCode("safetensors.duplicate_key", .malformed)
    public static let safetensorsBadMetadata = ErrorCode("safetensors.bad_metadata", .malformed)
    public static let safetensorsMissingField = ErrorCode("safetensors.missing_field", .malformed)
    public static let safetensorsBadDtype = ErrorCode("safetensors.bad_dtype", .malformed)
    public static let safetensorsBadShape = ErrorCode("safetensors.bad_shape", .malformed)
    public static let safetensorsShapeOverflow = ErrorCode("safetensors.shape_overflow", .malformed)
    public static let safetensorsBadOffsets = ErrorCode("safetensors.bad_offsets", .malformed)
    public static let safetensorsOverlap = ErrorCode("safetensors.overlap", .malformed)
    public static let safetensorsHole = ErrorCode("safetensors.hole", .malformed)
    public static let safetensorsSizeMismatch = ErrorCode("safetensors.size_mismatch", .malformed)
    public static let safetensorsUnalignedSubbyte = ErrorCode("safetensors.unaligned_subbyte", .malformed)
    public static let safetensorsDataTruncated = ErrorCode("safetensors.data_truncated", .malformed)
    public static let safetensorsTrailingBytes = ErrorCode("safetensors.trailing_bytes", .malformed)

    // config
    public static let configMissing = ErrorCode("config.missing", .malformed)
    public static let configNotJson = ErrorCode("config.not_json", .malformed)
    public static let configTooDeep = ErrorCode("config.too_deep", .malformed)
    public static let configTooLarge = ErrorCode("config.too_large", .malformed)
    public static let configDuplicateKey = ErrorCode("config.duplicate_key", .malformed)
    public static let configMissingField = ErrorCode("config.missing_field", .malformed)
    public static let configBadType = ErrorCode("config.bad_type", .malformed)
    public static let configBadValue = ErrorCode("config.bad_value", .malformed)
    public static let configUnsupportedType = ErrorCode("config.unsupported_type", .incompatible)
    public static let configFeatureUnsupported = ErrorCode("config.feature_unsupported", .incompatible)

    // adapter
    public static let adapterWeightsMissing = ErrorCode("adapter.weights_missing", .malformed)
    public static let adapterEmpty = ErrorCode("adapter.empty", .malformed)
    public static let adapterPairMissing = ErrorCode("adapter.pair_missing", .malformed)
    public static let adapterRankMismatch = ErrorCode("adapter.rank_mismatch", .malformed)
    public static let adapterShapeMismatch = ErrorCode("adapter.shape_mismatch", .malformed)
    public static let adapterBadDtype = ErrorCode("adapter.bad_dtype", .malformed)
    public static let adapterDuplicateModule = ErrorCode("adapter.duplicate_module", .malformed)

    // weights
    public static let weightsNan = ErrorCode("weights.nan", .malformed)
    public static let weightsInf = ErrorCode("weights.inf", .malformed)
    public static let weightsNonfiniteDelta = ErrorCode("weights.nonfinite_delta", .malformed)

    // path
    public static let pathAbsolute = ErrorCode("path.absolute", .unsafe)
    public static let pathDotdot = ErrorCode("path.dotdot", .unsafe)
    public static let pathSymlink = ErrorCode("path.symlink", .unsafe)
    public static let pathHardlink = ErrorCode("path.hardlink", .unsafe)
    public static let pathSpecialFile = ErrorCode("path.special_file", .unsafe)
    public static let pathBadName = ErrorCode("path.bad_name", .unsafe)
    public static let pathTooLong = ErrorCode("path.too_long", .unsafe)
    public static let pathDuplicate = ErrorCode("path.duplicate", .unsafe)
    public static let pathCaseCollision = ErrorCode("path.case_collision", .unsafe)

    // archive
    public static let archiveTruncated = ErrorCode("archive.truncated", .malformed)
    public static let archiveCorrupt = ErrorCode("archive.corrupt", .malformed)
    public static let archiveEmpty = ErrorCode("archive.empty", .malformed)
    public static let archiveUnknownFormat = ErrorCode("archive.unknown_format", .malformed)
    public static let archiveBomb = ErrorCode("archive.bomb", .unsafe)
    public static let archiveTooLarge = ErrorCode("archive.too_large", .unsafe)
    public static let archiveTooManyEntries = ErrorCode("archive.too_many_entries", .unsafe)
    public static let archiveEncrypted = ErrorCode("archive.encrypted", .incompatible)
    public static let archiveNested = ErrorCode("archive.nested", .incompatible)
    public static let archiveAmbiguous = ErrorCode("archive.ambiguous", .incompatible)

    // pickle
    public static let pickleRefused = ErrorCode("pickle.refused", .unsafe)
    public static let pickleForbiddenOpcode = ErrorCode("pickle.forbidden_opcode", .unsafe)
    public static let pickleForbiddenGlobal = ErrorCode("pickle.forbidden_global", .unsafe)

    // gguf
    public static let ggufBadMagic = ErrorCode("gguf.bad_magic", .malformed)
    public static let ggufBadCount = ErrorCode("gguf.bad_count", .malformed)
    public static let ggufBadString = ErrorCode("gguf.bad_string", .malformed)
    public static let ggufBadType = ErrorCode("gguf.bad_type", .malformed)
    public static let ggufBadShape = ErrorCode("gguf.bad_shape", .malformed)
    public static let ggufBadOffset = ErrorCode("gguf.bad_offset", .malformed)
    public static let ggufBadVersion = ErrorCode("gguf.bad_version", .incompatible)
    public static let ggufNotAnAdapter = ErrorCode("gguf.not_an_adapter", .incompatible)

    // shard
    public static let shardMissing = ErrorCode("shard.missing", .malformed)
    public static let shardBadIndex = ErrorCode("shard.bad_index", .malformed)
    public static let shardPath = ErrorCode("shard.path", .unsafe)

    // merge
    public static let mergeBaseMismatch = ErrorCode("merge.base_mismatch", .incompatible)
    public static let mergeModuleMismatch = ErrorCode("merge.module_mismatch", .incompatible)
    public static let mergeShapeMismatch = ErrorCode("merge.shape_mismatch", .incompatible)
    public static let mergeRankMismatch = ErrorCode("merge.rank_mismatch", .incompatible)
    public static let mergeRankLimit = ErrorCode("merge.rank_limit", .incompatible)
    public static let mergeDoraNeedsBase = ErrorCode("merge.dora_needs_base", .incompatible)
    public static let mergeUnsupportedKind = ErrorCode("merge.unsupported_kind", .incompatible)
    public static let mergeNonFinite = ErrorCode("merge.non_finite", .malformed)
    public static let mergeNonfiniteResult = ErrorCode("merge.nonfinite_result", .malformed)
    public static let mergeNotReproduced = ErrorCode("merge.not_reproduced", .conflict)

    // recipe
    public static let recipeSyntax = ErrorCode("recipe.syntax", .usage)
    public static let recipeUnknownKey = ErrorCode("recipe.unknown_key", .usage)
    public static let recipeUnknownMethod = ErrorCode("recipe.unknown_method", .usage)
    public static let recipeBadParameter = ErrorCode("recipe.bad_parameter", .usage)
    public static let recipeSeedRequired = ErrorCode("recipe.seed_required", .usage)
    public static let recipeZeroWeightSum = ErrorCode("recipe.zero_weight_sum", .usage)

    // bank
    public static let bankMissing = ErrorCode("bank.missing", .notFound)
    public static let bankVersion = ErrorCode("bank.version", .incompatible)
    public static let bankCorrupt = ErrorCode("bank.corrupt", .integrity)
    public static let bankObjectMissing = ErrorCode("bank.object_missing", .integrity)
    public static let bankObjectDigest = ErrorCode("bank.object_digest", .integrity)
    public static let bankAuditChain = ErrorCode("bank.audit_chain", .integrity)
    public static let bankLocked = ErrorCode("bank.locked", .busy)
    public static let bankReadOnly = ErrorCode("bank.read_only", .resource)

    // policy
    public static let policyNotApproved = ErrorCode("policy.not_approved", .denied)
    public static let policyNotSigned = ErrorCode("policy.not_signed", .denied)
    public static let policyUntrustedKey = ErrorCode("policy.untrusted_key", .denied)
    public static let policyRevoked = ErrorCode("policy.revoked", .denied)
    public static let policyBadSignature = ErrorCode("policy.bad_signature", .denied)

    // backbone
    public static let backboneMissingTensor = ErrorCode("backbone.missing_tensor", .malformed)
    public static let backboneUnexpectedTensor = ErrorCode("backbone.unexpected_tensor", .malformed)
    public static let backboneShapeMismatch = ErrorCode("backbone.shape_mismatch", .malformed)
    public static let backboneAdapterMismatch = ErrorCode("backbone.adapter_mismatch", .incompatible)
    public static let backboneBadInput = ErrorCode("backbone.bad_input", .incompatible)

    // router
    public static let routerBadFile = ErrorCode("router.bad_file", .malformed)
    public static let routerExpertChanged = ErrorCode("router.expert_changed", .integrity)
    public static let routerBaseMismatch = ErrorCode("router.base_mismatch", .incompatible)
    public static let routerBadTrace = ErrorCode("router.bad_trace", .integrity)
    public static let routerReplayDiffers = ErrorCode("router.replay_differs", .integrity)
    // cil
    public static let cilInvariant = ErrorCode("cil.invariant", .internal)

    // numeric
    public static let numericNoConvergence = ErrorCode("numeric.no_convergence", .resource)
    public static let numericDimensionLimit = ErrorCode("numeric.dimension_limit", .resource)

    // data
    public static let dataMalformed = ErrorCode("data.malformed", .malformed)
    public static let dataUnsupported = ErrorCode("data.unsupported", .incompatible)
    public static let dataMissing = ErrorCode("data.missing", .notFound)
    public static let dataTooFew = ErrorCode("data.too_few", .incompatible)

    // usage
    public static let usageBadArgument = ErrorCode("usage.bad_argument", .usage)
    public static let usageBadQuery = ErrorCode("usage.bad_query", .usage)
    public static let usageNeedsAnswer = ErrorCode("usage.needs_answer", .usage)

    // reference
    public static let referenceNotFound = ErrorCode("reference.not_found", .notFound)
    public static let referenceAmbiguous = ErrorCode("reference.ambiguous", .notFound)

    // output
    public static let outputExists = ErrorCode("output.exists", .conflict)
    public static let outputNameTaken = ErrorCode("output.name_taken", .conflict)

    // state
    public static let stateNotAllowed = ErrorCode("state.not_allowed", .conflict)

    // io
    public static let ioNotFound = ErrorCode("io.not_found", .notFound)
    public static let ioFailed = ErrorCode("io.failed", .resource)
    public static let ioNoSpace = ErrorCode("io.no_space", .resource)
    public static let ioTooLarge = ErrorCode("io.too_large", .resource)

    // internal
    public static let internalDefect = ErrorCode("internal.defect", .internal)

    /// Every code, in the order of the areas above.
    public static let all: [ErrorCode] = [
        .fileHtml,
        .fileLfsPointer,
        .fileJson,
        .fileCompressed,
        .filePickleZip,
        .filePickle,
        .safetensorsTooShort,
        .safetensorsHeaderTooLarge,
        .safetensorsHeaderPastEnd,
        .safetensorsHeaderBadStart,
        .safetensorsHeaderNotUtf8,
        .safetensorsHeaderNotJson,
        .safetensorsHeaderNotObject,
        .safetensorsJsonTooDeep,
        .safetensorsDuplicateKey,
        .safetensorsBadMetadata,
        .safetensorsMissingField,
        .safetensorsBadDtype,
        .safetensorsBadShape,
        .safetensorsShapeOverflow,
        .safetensorsBadOffsets,
        .safetensorsOverlap,
        .safetensorsHole,
        .safetensorsSizeMismatch,
        .safetensorsUnalignedSubbyte,
        .safetensorsDataTruncated,
        .safetensorsTrailingBytes,
        .configMissing,
        .configNotJson,
        .configTooDeep,
        .configTooLarge,
        .configDuplicateKey,
        .configMissingField,
        .configBadType,
        .configBadValue,
        .configUnsupportedType,
        .configFeatureUnsupported,
        .adapterWeightsMissing,
        .adapterEmpty,
        .adapterPairMissing,
        .adapterRankMismatch,
        .adapterShapeMismatch,
        .adapterBadDtype,
        .adapterDuplicateModule,
        .weightsNan,
        .weightsInf,
        .weightsNonfiniteDelta,
        .pathAbsolute,
        .pathDotdot,
        .pathSymlink,
        .pathHardlink,
        .pathSpecialFile,
        .pathBadName,
        .pathTooLong,
        .pathDuplicate,
        .pathCaseCollision,
        .archiveTruncated,
        .archiveCorrupt,
        .archiveEmpty,
        .archiveUnknownFormat,
        .archiveBomb,
        .archiveTooLarge,
        .archiveTooManyEntries,
        .archiveEncrypted,
        .archiveNested,
        .archiveAmbiguous,
        .pickleRefused,
        .pickleForbiddenOpcode,
        .pickleForbiddenGlobal,
        .ggufBadMagic,
        .ggufBadCount,
        .ggufBadString,
        .ggufBadType,
        .ggufBadShape,
        .ggufBadOffset,
        .ggufBadVersion,
        .ggufNotAnAdapter,
        .shardMissing,
        .shardBadIndex,
        .shardPath,
        .mergeBaseMismatch,
        .mergeModuleMismatch,
        .mergeShapeMismatch,
        .mergeRankMismatch,
        .mergeRankLimit,
        .mergeDoraNeedsBase,
        .mergeUnsupportedKind,
        .mergeNonFinite,
        .mergeNonfiniteResult,
        .mergeNotReproduced,
        .recipeSyntax,
        .recipeUnknownKey,
        .recipeUnknownMethod,
        .recipeBadParameter,
        .recipeSeedRequired,
        .recipeZeroWeightSum,
        .bankMissing,
        .bankVersion,
        .bankCorrupt,
        .bankObjectMissing,
        .bankObjectDigest,
        .bankAuditChain,
        .bankLocked,
        .bankReadOnly,
        .policyNotApproved,
        .policyNotSigned,
        .policyUntrustedKey,
        .policyRevoked,
        .policyBadSignature,
        .backboneMissingTensor,
        .backboneUnexpectedTensor,
        .backboneShapeMismatch,
        .backboneAdapterMismatch,
        .backboneBadInput,
        .routerBadFile,
        .routerExpertChanged,
        .routerBaseMismatch,
        .routerBadTrace,
        .routerReplayDiffers,
        .cilInvariant,
        .numericNoConvergence,
        .numericDimensionLimit,
        .dataMalformed,
        .dataUnsupported,
        .dataMissing,
        .dataTooFew,
        .usageBadArgument,
        .usageBadQuery,
        .usageNeedsAnswer,
        .referenceNotFound,
        .referenceAmbiguous,
        .outputExists,
        .outputNameTaken,
        .stateNotAllowed,
        .ioNotFound,
        .ioFailed,
        .ioNoSpace,
        .ioTooLarge,
        .internalDefect,
    ]
}
