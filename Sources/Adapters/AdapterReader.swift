import Diagnostics

/// Reads adapters from folders, archives and bare weight files. Weights are mapped, not copied.
public enum AdapterReader {
    public struct Options: Sendable {
        /// Take each module's rank from its tensors where the configuration says another (`--trust-tensors`);
        /// otherwise that is `adapter.rank_mismatch`.
        public var trustTensors = false
        /// `alpha` for weights without a configuration: scale = alpha / rank.
        public var alpha: Double?
        /// The scale itself for weights without a configuration; wins over `alpha`.
        public var scale: Double?
        /// Name of the base model: needed for weights without a configuration, otherwise replaces the configured name.
        public var base: String?
        /// Read weights without a configuration and without `alpha`, `scale` or `base` as if alpha were the rank, with
        /// the info finding `config.assumed`. For looking at files; without it they are `config.missing`.
        public var assumesMissing = false
        /// Fill `Adapter.fileDigests` (reads every weight file once).
        public var digestsFiles = false
        /// Which adapter of an archive that holds several (its folder in the archive).
        public var select: String?
        /// Where archives are unpacked; nil: the system's temporary folder. What was unpacked is removed again,
        /// the mapped weights stay valid.
        public var staging: String?

        public init() {}
    }

    /// Reads the adapter at a location.
    ///
    /// Checks structure (`docs/formats.md` 1–3), not values: `Inspector` in Governance looks for NaN and the like.
    /// - Throws: `safetensors.*`, `shard.*`, `config.*`, `adapter.*`, `path.*`, `pickle.refused`, `archive.*`, `io.*`.
    public static func read(_ location: AdapterLocation, options: Options = Options()) throws -> Adapter {
        throw Failure(.configUnsupportedType, "reading adapters is under construction", path: location.path)
    }

    /// Reads the one adapter at a path.
    ///
    /// - Throws: as ``read(_:options:)``, and `reference.ambiguous` when several adapters stand below the path.
    public static func read(path: String, options: Options = Options()) throws -> Adapter {
        try read(AdapterLocation.only(at: path), options: options)
    }
}
