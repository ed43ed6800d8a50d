import Diagnostics
import Foundation
import Tensors
import WeightFiles

/// Reads adapters from folders, archives and bare weight files. Weights are mapped, not copied.
///
/// ```swift
/// let adapter = try AdapterReader.read(path: "bank/adapters/eve")
/// for module in adapter.modules { print(module.name, module.rank, module.scale) }
/// ```
/// Checks structure (`docs/formats.md` 1–3), not values: `Inspector` in Governance looks for NaN and the like. Of
/// several defects the first in this order is reported: what is unsafe (links, pipes, pickles), the weight file, the
/// configuration, the modules.
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
        /// Read a bare weight file without `alpha`, `scale` or `base` as if alpha were the rank, with the info finding
        /// `config.assumed`. For looking at files; without it they are `config.missing`.
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
    /// - Throws: `safetensors.*`, `shard.*`, `config.*`, `adapter.*`, `path.*`, `pickle.refused`, `archive.*`, `io.*`.
    public static func read(_ location: AdapterLocation, options: Options = Options()) throws -> Adapter {
        do {
            switch location.form {
            case .folder:
                _ = try location.files()
                return try read(from: FolderSource(path: location.path), options: options)
            case .file: return try readFile(location.path, options: options)
            case .archive: return try readArchive(location, options: options)
            }
        } catch let failure as Failure {
            throw failure.at(path: location.path)
        }
    }

    /// Reads the one adapter at a path.
    ///
    /// - Throws: as ``read(_:options:)``, and `reference.ambiguous` when several adapters stand below the path.
    public static func read(path: String, options: Options = Options()) throws -> Adapter {
        try read(AdapterLocation.only(at: path), options: options)
    }

    /// Reads a PEFT folder, wherever its files are: on disk, or in an object of the bank.
    public static func read(from source: some FileSource, options: Options = Options()) throws -> Adapter {
        let names = try source.fileNames().filter { !$0.hasPrefix(".") }
        let weights = try WeightFolder.open("adapter_model", in: source)
        if weights == nil, source.contains(AdapterFile.pickleName) {
            throw FileKind.pickleRefusal(path: source.path + "/" + AdapterFile.pickleName)
        }
        let configuration = try configuration(in: source)
        guard let weights else {
            throw Failure(
                .adapterWeightsMissing, "the folder has no \(AdapterFile.weightsName)", path: source.path,
                hint: "fetch the weights that belong to \(AdapterFile.configurationName)")
        }
        if configuration == nil, options.alpha == nil && options.scale == nil || options.base == nil {
            throw Failure(
                .configMissing, "the folder has no \(AdapterFile.configurationName)", path: source.path,
                hint: "give the missing facts: --alpha (or --scale) and --base")
        }
        var adapter = try assemble(weights, configuration, options: options)
        adapter.findings += try fileFindings(names, in: source)
        adapter.card = try card(names, in: source)
        adapter.head = try AdapterHead.read(from: source)
        return adapter
    }

    // MARK: Parts of a folder

    private static func configuration(in source: some FileSource) throws -> PEFTConfiguration? {
        let name = AdapterFile.configurationName
        guard source.contains(name) else { return nil }
        let content = try source.open(name)
        do {
            return try PEFTConfiguration(StrictJSON.parse(content, .configuration))
        } catch let failure as Failure {
            throw failure.at(path: content.path)
        }
    }

    private static func fileFindings(_ names: [String], in source: some FileSource) throws -> [Finding] {
        try names.compactMap { name in
            var file = AdapterFile(name: name, role: AdapterFile.role(of: name), size: 0)
            if file.role == .other {
                let content = try source.open(name)
                if withExtendedLifetime(content, { AdapterFile.looksExecutable(content.bytes) }) {
                    file.role = .executable
                }
            }
            return StagedAdapter.finding(for: file)
        }
    }

    /// The model card, as far as it is sensible to keep it: 1 MiB of UTF-8.
    private static func card(_ names: [String], in source: some FileSource) throws -> String? {
        guard let name = names.first(where: { AdapterFile.role(of: $0) == .card }) else { return nil }
        let content = try source.open(name)
        return withExtendedLifetime(content) { String(decoding: content.bytes.prefix(1 << 20), as: UTF8.self) }
    }

    // MARK: Files and archives

    private static func readFile(_ path: String, options: Options) throws -> Adapter {
        let content = try MappedBytes(path: path, followLinks: false)
        let kind = withExtendedLifetime(content) { FileKind.sniff(content.bytes) }
        let ending = path.lowercased().split(separator: ".").last.map(String.init) ?? ""
        if AdapterFile.pickleEndings.contains(ending) || (kind.isPickle && ending != "safetensors") {
            throw FileKind.pickleRefusal(path: path)
        }
        if ending == "gguf" || kind == .gguf {
            try withExtendedLifetime(content) { try GGUFHeader.check(content.bytes, path: path) }
            throw Failure(
                .configUnsupportedType, "this is a GGUF file, which cannot be read", path: path,
                hint: "use the PEFT folder that it was converted from")
        }
        return try assemble(try SafetensorsFile(content), nil, options: options)
    }

    private static func readArchive(_ location: AdapterLocation, options: Options) throws -> Adapter {
        let staging = (options.staging ?? NSTemporaryDirectory()) + "/lorabank-" + UUID().uuidString.lowercased()
        guard mkdir(staging, 0o700) == 0 else {
            throw Failure(.ioFailed, "cannot create a folder: \(String(cString: strerror(errno)))", path: staging)
        }
        defer { try? FileManager.default.removeItem(atPath: staging) }
        let staged = try location.stage(into: staging, select: options.select)
        var adapter = try read(staged.location, options: options)
        adapter.findings += staged.findings
        return adapter
    }

    // MARK: Putting it together

    private static func assemble(
        _ weights: any WeightSet, _ configuration: PEFTConfiguration?, options: Options
    ) throws -> Adapter {
        var assembly = try PEFTAssembly(tensors: weights.tensors, configuration: configuration, options: options)
        let modules = try assembly.modules()
        var base = configuration?.base ?? BaseIdentity(name: "")
        if let name = options.base { base = BaseIdentity(name: name) }
        var adapter = Adapter(
            modules: modules, saved: assembly.saved, base: base, format: "peft",
            configuration: configuration?.document ?? .null, findings: weights.findings + assembly.findings,
            fileDigests: options.digestsFiles ? weights.digests() : [:])
        adapter.metadata = weights.metadata
        adapter.unclaimed = assembly.unclaimed
        if configuration == nil { try reportAssumptions(in: &adapter, options: options) }
        return adapter
    }

    private static func reportAssumptions(in adapter: inout Adapter, options: Options) throws {
        var missing: [String] = []
        if options.alpha == nil && options.scale == nil { missing.append("--alpha or --scale") }
        if options.base == nil { missing.append("--base") }
        guard !missing.isEmpty else { return }
        guard options.assumesMissing else {
            throw Failure(
                .configMissing, "the weights come without a configuration: the scale or the base model is unknown",
                hint: "give " + missing.joined(separator: " and "))
        }
        adapter.findings.append(
            Finding(
                .configAssumed, .info,
                details: "no configuration: " + missing.joined(separator: " and ") + " would be needed for an import"
                    + (options.alpha == nil && options.scale == nil ? "; shown for alpha = rank" : "")))
    }
}
