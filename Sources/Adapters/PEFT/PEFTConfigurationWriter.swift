import WeightFiles

/// Makes the `adapter_config.json` that belongs to a `PEFTLayout`.
struct PEFTConfigurationWriter {
    let layout: PEFTLayout
    let base: BaseIdentity
    private let source: JSONValue?
    private var fields: [String: JSONValue] = [:]

    init(layout: PEFTLayout, base: BaseIdentity, source: JSONValue?) {
        self.layout = layout
        self.base = base
        self.source = source?["peft_type"]?.string == "LORA" ? source : nil
    }

    /// The configuration, keys sorted.
    mutating func document() -> JSONValue {
        fields = PEFTConfigurationWriter.defaults
        for member in source?.members ?? [] { fields[member.key] = member.value }
        dropWhatNoLongerHolds()
        setIdentity()
        setRanks()
        setSavedTensors()
        let sorted = fields.sorted { Adapter.namePrecedes($0.key, $1.key) }
        return .object(sorted.map { JSONValue.Member($0.key, $0.value) })
    }

    private static let defaults: [String: JSONValue] = [
        "auto_mapping": .null, "lora_dropout": .number("0.0"), "layers_pattern": .null, "layers_to_transform": .null,
        "revision": .null, "task_type": .null,
    ]

    /// How the source chose its modules and began its training says nothing about the new one.
    private mutating func dropWhatNoLongerHolds() {
        let selection = [
            "exclude_modules", "layers_pattern", "layers_to_transform", "layer_replication",
            "target_parameters",
        ]
        let features = ["alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config", "use_bdlora"]
        let initialisation = ["eva_config", "corda_config", "lora_ga_config", "velora_config"]
        for name in selection + features + initialisation where fields[name] != nil { fields[name] = .null }
        if fields["loftq_config"] != nil { fields["loftq_config"] = .object([]) }
        if fields["use_qalora"] != nil { fields["use_qalora"] = .bool(false) }
        fields["init_lora_weights"] = .bool(true)
        fields["inference_mode"] = .bool(true)
    }

    private mutating func setIdentity() {
        fields["peft_type"] = .string("LORA")
        fields["base_model_name_or_path"] = base.name.isEmpty ? .null : .string(base.name)
        fields["revision"] = base.revision.isEmpty ? .null : .string(base.revision)
    }

    // MARK: Modules

    private mutating func setRanks() {
        let modules = layout.modules
        let rank = PEFTConfigurationWriter.mostCommon(modules.map(\.rank)) ?? 8
        let alpha = PEFTConfigurationWriter.mostCommon(modules.filter { $0.rank == rank }.map(\.alpha)) ?? 8
        let keys = PEFTModuleKeys(modules.map(\.name))
        var ranks: [JSONValue.Member] = []
        var alphas: [JSONValue.Member] = []
        for (index, module) in modules.enumerated() where module.rank != rank || module.alpha != alpha {
            let key = keys.key(at: index)
            if module.rank != rank { ranks.append(.init(key, .number(String(module.rank)))) }
            if module.alpha != alpha { alphas.append(.init(key, PEFTConfigurationWriter.number(module.alpha))) }
        }
        fields["r"] = .number(String(rank))
        fields["lora_alpha"] = PEFTConfigurationWriter.number(alpha)
        fields["rank_pattern"] = .object(ranks.sorted { Adapter.namePrecedes($0.key, $1.key) })
        fields["alpha_pattern"] = .object(alphas.sorted { Adapter.namePrecedes($0.key, $1.key) })
        fields["use_rslora"] = .bool(false)
        fields["use_dora"] = .bool(modules.contains(where: \.hasMagnitude))
        fields["lora_bias"] = .bool(modules.contains(where: \.hasBias))
        fields["fan_in_fan_out"] = .bool(modules.contains(where: \.fanInFanOut))
        fields["target_modules"] = .array(modules.map(\.name).sorted(by: Adapter.namePrecedes).map { .string($0) })
    }

    /// The value that occurs most often, of several the largest.
    private static func mostCommon<Value: Hashable & Comparable>(_ values: [Value]) -> Value? {
        var counts: [Value: Int] = [:]
        for value in values { counts[value, default: 0] += 1 }
        return counts.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key
    }

    private static func number(_ value: Double) -> JSONValue {
        value == value.rounded() && abs(value) < 9e15 ? .number(String(Int(value))) : .number("\(value)")
    }

    // MARK: Saved tensors

    private mutating func setSavedTensors() {
        let trained = layout.saved.filter { $0.role == .savedModule }.map(\.name)
        let modules = modulesToSave(trained)
        fields["modules_to_save"] = modules.isEmpty ? .null : .array(modules.map { .string($0) })
        let hasBias = layout.saved.contains { $0.role == .bias }
        let known = source?["bias"]?.string
        fields["bias"] = .string(hasBias ? (known == "lora_only" ? "lora_only" : "all") : "none")
        if !layout.saved.contains(where: { $0.role == .tokens }), fields["trainable_token_indices"] != nil {
            fields["trainable_token_indices"] = .null
        }
    }

    /// The source's entries that still name a stored module, then the modules that no entry names.
    private func modulesToSave(_ names: [String]) -> [String] {
        let parents = names.map { name in
            var folders: [Substring] = []
            var module = name[...]
            while let dot = module.lastIndex(of: ".") {
                module = module[..<dot]
                folders.append(module)
            }
            return folders
        }
        let entries = (source?["modules_to_save"]?.array ?? []).compactMap(\.string)
        func covers(_ entry: String, _ folders: [Substring]) -> Bool { folders.contains { $0.hasSuffix(entry) } }
        let kept = entries.filter { entry in parents.contains { covers(entry, $0) } }
        let uncovered = parents.filter { folders in !kept.contains { covers($0, folders) } }
        let added = Set(uncovered.compactMap { $0.first.map(String.init) })
        return kept + added.sorted(by: Adapter.namePrecedes)
    }
}
