import Diagnostics
import Tensors

/// Puts the tensors of a PEFT weight file together to modules (`docs/formats.md` 3.3–3.5).
///
/// The rules are applied one after the other to all modules, so that of several defects the first rule is reported.
struct PEFTAssembly {
    struct Slots {
        var a: TensorView?
        var b: TensorView?
        var isEmbedding: Bool?
        var magnitude: TensorView?
        var bias: TensorView?
    }

    /// nil for weights that came without a configuration.
    let configuration: PEFTConfiguration?
    let options: AdapterReader.Options
    private(set) var slots: [String: Slots] = [:]
    private(set) var saved: [SavedTensor] = []
    private(set) var unclaimed: [TensorView] = []
    private(set) var findings: [Finding] = []
    private var savedNames: Set<String> = []
    private var foreign: TensorView?
    /// Module names of `modules_to_save`, and the heads that PEFT adds to that list for the task.
    private let savedEntries: [String]
    private var entriesCompared = 0

    /// Unknown keys that are reported one by one.
    private static let reportedKeys = 100
    /// Comparisons of parameter names with entries of `modules_to_save`, all together.
    private static let comparisonBudget = 2_000_000

    init(tensors: [TensorView], configuration: PEFTConfiguration?, options: AdapterReader.Options) throws {
        self.configuration = configuration
        self.options = options
        savedEntries = configuration.map(PEFTAssembly.savedEntries) ?? []
        for tensor in tensors { try sort(tensor) }
        let unreported = unclaimed.count - PEFTAssembly.reportedKeys
        if unreported > 0 {
            findings.append(
                Finding(.adapterUnknownKey, .warning, details: "\(unreported) further tensors belong to no module"))
        }
        saved.sort { Adapter.namePrecedes($0.name, $1.name) }
    }

    // MARK: Sorting tensors into slots

    private mutating func sort(_ tensor: TensorView) throws {
        let key = PEFTKey(tensor.name)
        switch key.slot {
        case .a: try put(tensor, key, \.a, isEmbedding: false)
        case .b: try put(tensor, key, \.b, isEmbedding: false)
        case .embeddingA: try put(tensor, key, \.a, isEmbedding: true)
        case .embeddingB: try put(tensor, key, \.b, isEmbedding: true)
        case .magnitude where configuration?.usesDoRA != false: try put(tensor, key, \.magnitude, isEmbedding: nil)
        case .loraBias where configuration?.hasLoRABias != false: try put(tensor, key, \.bias, isEmbedding: nil)
        case .trainableTokens where configuration?.hasTrainableTokens != false:
            try save(tensor, key.name + ".token_adapter.trainable_tokens_delta", .tokens)
        case .whole, .layerBias, .unknown: try sortWhole(tensor, key)
        case .foreign:
            foreign = foreign ?? tensor
            reportUnknown(tensor)
        case .magnitude, .loraBias, .trainableTokens: reportUnknown(tensor)
        }
    }

    private mutating func put(
        _ tensor: TensorView, _ key: PEFTKey, _ slot: WritableKeyPath<Slots, TensorView?>, isEmbedding: Bool?
    ) throws {
        var module = slots[key.name] ?? Slots()
        guard module[keyPath: slot] == nil, isEmbedding == nil || module.isEmbedding ?? isEmbedding == isEmbedding
        else { throw PEFTAssembly.duplicate(tensor) }
        module[keyPath: slot] = tensor
        module.isEmbedding = module.isEmbedding ?? isEmbedding
        slots[key.name] = module
    }

    private static func duplicate(_ tensor: TensorView) -> Failure {
        Failure(
            .adapterDuplicateModule, "two tensors stand for one part of a module", place: tensor.name,
            hint: "keep one spelling of each key")
    }

    private mutating func save(_ tensor: TensorView, _ name: String, _ role: SavedTensor.Role) throws {
        guard savedNames.insert(name).inserted else { throw PEFTAssembly.duplicate(tensor) }
        saved.append(SavedTensor(name: name, role: role, tensor: tensor))
    }

    private mutating func sortWhole(_ tensor: TensorView, _ key: PEFTKey) throws {
        if try isSavedModule(key.name) { return try save(tensor, key.name, .savedModule) }
        if key.slot == .layerBias, let configuration, configuration.bias != .none {
            return try save(tensor, key.name, .bias)
        }
        // PEFT stores resized input and output embeddings by itself.
        let components = key.name.split(separator: ".")
        if key.slot == .whole, configuration != nil, components.count >= 2,
            ["embed_tokens", "lm_head"].contains(components[components.count - 2])
                || key.name.hasSuffix("embed_tokens.base_layer.weight")
                || key.name.hasSuffix("lm_head.base_layer.weight")
        {
            return try save(tensor, key.name, .other)
        }
        reportUnknown(tensor)
    }

    private static func savedEntries(_ configuration: PEFTConfiguration) -> [String] {
        let heads =
            switch configuration.taskType {
            case "SEQ_CLS", "TOKEN_CLS": ["classifier", "score"]
            case "QUESTION_ANS": ["qa_outputs"]
            default: [String]()
            }
        return (configuration.modulesToSave + heads).filter { !$0.isEmpty }
    }

    /// True when a module that holds the parameter ends with an entry.
    private mutating func isSavedModule(_ name: String) throws -> Bool {
        guard !savedEntries.isEmpty else { return false }
        var module = name[...]
        while let dot = module.lastIndex(of: ".") {
            module = module[..<dot]
            entriesCompared += savedEntries.count
            guard entriesCompared <= PEFTAssembly.comparisonBudget else {
                throw Failure(.configBadValue, "modules_to_save is too long", place: "modules_to_save")
            }
            if savedEntries.contains(where: { module.hasSuffix($0) }) { return true }
        }
        return false
    }

    private mutating func reportUnknown(_ tensor: TensorView) {
        unclaimed.append(tensor)
        guard unclaimed.count <= PEFTAssembly.reportedKeys else { return }
        findings.append(
            Finding(.adapterUnknownKey, .warning, place: tensor.name, details: "belongs to no module of the adapter"))
    }

    // MARK: Modules

    /// The modules, sorted by name, after all checks of structure.
    mutating func modules() throws -> [LoRAModule] {
        try refuseForeignOrEmpty()
        let names = slots.keys.sorted(by: Adapter.namePrecedes)
        let pairs = try names.map { try pair(named: $0, slots[$0] ?? Slots()) }
        for pair in pairs { try pair.checkDimensions() }
        let ranks = try configuredRanks(names)
        for (pair, rank) in zip(pairs, ranks) { try check(pair, configuredRank: rank) }
        for pair in pairs { try pair.checkShapes() }
        for pair in pairs { try pair.checkTypes() }
        return try finish(pairs)
    }

    private func refuseForeignOrEmpty() throws {
        guard slots.isEmpty else { return }
        if let foreign {
            let isProduct = foreign.name.contains("hada_") || foreign.name.contains("lokr_")
            throw Failure(
                isProduct ? .configFeatureUnsupported : .configUnsupportedType,
                isProduct
                    ? "the weights are LoHa or LoKr factors, another form than B·A"
                    : "the weights are in the layout of kohya or MLX, which cannot be read",
                place: foreign.name, hint: "convert them to PEFT first")
        }
        throw Failure(.adapterEmpty, "no low-rank factors in the weights")
    }

    private func pair(named name: String, _ slots: Slots) throws -> PEFTPair {
        func missing(_ what: String) -> Failure {
            Failure(.adapterPairMissing, "\(what) is missing", place: name)
        }
        let embedding = slots.isEmbedding ?? false
        guard let a = slots.a else { throw missing(embedding ? "lora_embedding_A" : "lora_A") }
        guard let b = slots.b else { throw missing(embedding ? "lora_embedding_B" : "lora_B") }
        if configuration?.usesDoRA == true, slots.magnitude == nil { throw missing("lora_magnitude_vector (DoRA)") }
        if configuration?.hasLoRABias == true, !embedding, slots.bias == nil { throw missing("lora_B.bias") }
        return PEFTPair(
            name: name, a: a, b: b, isEmbedding: embedding, magnitude: slots.magnitude, bias: slots.bias)
    }

    private func configuredRanks(_ names: [String]) throws -> [Int?] {
        guard let configuration else { return names.map { _ in nil } }
        return try configuration.rankPattern.values(for: names).map { $0 ?? configuration.rank }
    }

    private mutating func check(_ pair: PEFTPair, configuredRank: Int?) throws {
        try pair.checkInnerRank()
        guard let configuredRank, configuredRank != pair.rank else { return }
        let message = "lora_A has \(pair.rank) rows, the configuration says r = \(configuredRank)"
        guard options.trustTensors else {
            throw Failure(
                .adapterRankMismatch, message, place: pair.name,
                hint: "if the file is right, import with --trust-tensors to take the rank from the tensors",
                details: ["expected": "\(configuredRank)", "found": "\(pair.rank)"])
        }
        findings.append(Finding(.configAssumed, .info, place: pair.name, details: message + "; the tensors count"))
    }

    private mutating func finish(_ pairs: [PEFTPair]) throws -> [LoRAModule] {
        let alphas = try configuration?.alphaPattern.values(for: pairs.map(\.name))
        return pairs.enumerated().map { index, pair in
            if pair.rank > min(pair.dOut, pair.dIn) {
                findings.append(
                    Finding(
                        .adapterRankAboveDimensions, .warning, place: pair.name,
                        details: "rank \(pair.rank) for \(pair.dOut)×\(pair.dIn)"))
            }
            let (alpha, scale) = scaling(of: pair, patternAlpha: alphas?[index])
            return pair.module(alpha: alpha, scale: scale, fanInFanOut: configuration?.fanInFanOut ?? false)
        }
    }

    private func scaling(of pair: PEFTPair, patternAlpha: Double?) -> (alpha: Double, scale: Double) {
        if let configuration {
            let alpha = patternAlpha ?? configuration.alpha
            return (alpha, configuration.scale(alpha: alpha, rank: pair.rank))
        }
        if let scale = options.scale { return (scale * Double(pair.rank), scale) }
        let alpha = options.alpha ?? Double(pair.rank)
        return (alpha, alpha / Double(pair.rank))
    }
}

extension Adapter {
    /// Order of modules and saved tensors: by the bytes of the name.
    static func namePrecedes(_ first: String, _ second: String) -> Bool {
        first.utf8.lexicographicallyPrecedes(second.utf8)
    }
}
