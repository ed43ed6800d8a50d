import Diagnostics
import Settings

/// Reads one stage: every key of the grammar except `stages`, `version` and `search`.
struct StageReader {
    let registry: MethodRegistry

    static let keys = [
        "name", "merge_method", "compat", "base_model", "models", "parameters", "filters", "overrides", "layers",
        "layer_pattern", "sequence", "post", "missing", "others", "seed", "output", "limits", "allow_base_mismatch",
        "non_finite", "ignore", "drop_zero_weight", "pad",
    ]

    /// Answers for keys at the wrong place.
    static let hints = [
        "rank": "write output: { rank: … }", "weight": "write it under 'parameters' of the model",
        "weights": "write 'weight' under 'parameters' of each model", "lambda": "write parameters: { lambda: … }",
        "density": "write parameters: { density: … }", "normalize": "write parameters: { normalize: … }",
        "method": "did you mean 'merge_method'?", "adapters": "did you mean 'models'?",
        "combination_type": "write merge_method: … with compat: peft",
        "dtype": "write output: { dtype: … }, or compat: mergekit to read mergekit's keys",
        "slices": "mergekit's key: write compat: mergekit, or use 'layers'",
    ]

    /// Published methods that are no post-hoc merges, and where to find them.
    static let elsewhere = [
        "slao": "SLAO is a training protocol: each task starts from the orthonormalised A of the one before, and "
            + "B becomes B_old + (B_new − B_old)/√t; see `lorabank cil run`",
        "cat_learned": "learning the weights needs an evaluator with examples, which a merge does not have; use cat "
            + "with weights of your own",
    ]

    func stage(_ node: YAMLNode) throws -> RecipeStage {
        let fields = try FieldReader(node, what: "", emptyIsMapping: false)
        try fields.refuseUnknown(known: StageReader.keys, hints: StageReader.hints)
        let compatibility = try fields.choice("compat", of: Compatibility.self)?.value ?? .none
        let method = try requiredMethod(fields, compatibility)
        let settings = SettingReader(plainFilterIsSubstring: compatibility == .mergekit)
        let models = try ModelReader(settings: settings).models(fields)
        let scope = ModelScope(models: models, settings: settings)
        var stage = RecipeStage(
            name: try fields.text("name")?.value ?? "", place: node.place, method: method,
            compatibility: compatibility, baseModel: try baseModel(fields), models: models,
            parameters: try settings.block(fields["parameters"], what: "parameters"),
            filters: try filters(fields), overrides: try overrides(fields, scope, compatibility),
            layers: try layers(fields, scope), layerPattern: try layerPattern(fields),
            sequence: try fields.bool("sequence"), post: try post(fields, settings),
            missing: try fields.choice("missing", of: MissingRule.self)?.value ?? .skip,
            others: try fields.choice("others", of: OthersRule.self)?.value, seed: try fields.unsigned("seed"),
            output: OutputSettings(), limits: LimitSettings(),
            allowBaseMismatch: try fields.bool("allow_base_mismatch")?.value ?? false, zeroNonFinite: false,
            ignore: try patterns("ignore", fields),
            dropZeroWeight: try fields.bool("drop_zero_weight")?.value ?? true, padRanks: false)
        if let output = try fields.mapping("output") { stage.output = try OutputReader.output(output) }
        if let limits = try fields.mapping("limits") { stage.limits = try OutputReader.limits(limits) }
        enum NonFinite: String, CaseIterable { case error, zero }
        stage.zeroNonFinite = try fields.choice("non_finite", of: NonFinite.self)?.value == .zero
        enum Pad: String, CaseIterable { case none, zero }
        stage.padRanks = try fields.choice("pad", of: Pad.self)?.value == .zero
        return stage
    }

    // MARK: Methods

    private func requiredMethod(_ fields: FieldReader, _ compatibility: Compatibility) throws -> Located<String> {
        guard let method = try fields.text("merge_method") else {
            throw Failure(
                .recipeBadParameter, "the recipe names no 'merge_method'", place: fields.place.description,
                hint: "`lorabank recipe methods` lists them")
        }
        try checkMethod(method, compatibility)
        return method
    }

    private func checkMethod(_ method: Located<String>, _ compatibility: Compatibility) throws {
        guard registry.method(method.value, compatibility: compatibility) == nil else { return }
        let known = registry.methodNames(compatibility: compatibility)
        var hint = StageReader.elsewhere[method.value] ?? Spelling.hint(for: method.value, among: known)
        if hint == nil, let other = registry.compatibilities(ofMethod: method.value).first {
            hint = "known with compat: \(other.rawValue)"
        } else if hint == nil, registry.postStep(method.value) != nil {
            hint = "it is a step of 'post', not a method"
        }
        let under = compatibility == .none ? "" : " with compat: \(compatibility.rawValue)"
        throw Failure(
            .recipeUnknownMethod, "there is no merge method '\(method.value)'\(under)",
            place: method.place.description, hint: hint ?? "known: \(known.joined(separator: ", "))")
    }

    private func post(_ fields: FieldReader, _ settings: SettingReader) throws -> [PostStepEntry] {
        try fields.list("post").enumerated().map { index, item in
            let step: (id: Located<String>, parameters: YAMLNode?)
            if let members = item.members, members.count == 1 {
                step = (Located(members[0].key, at: members[0].keyPlace), members[0].value)
            } else if let scalar = item.scalar, case .text = scalar.value {
                step = (Located(scalar.text, at: item.place), nil)
            } else {
                throw fields.wrongType(
                    "post[\(index)]", expected: "a step like svc or { svc: { alpha: 1.0 } }", found: item)
            }
            guard let description = registry.postStep(step.id.value) else {
                let known = registry.postStepNames
                throw Failure(
                    .recipeUnknownMethod, "there is no post step '\(step.id.value)'",
                    place: step.id.place.description,
                    hint: Spelling.hint(for: step.id.value, among: known) ?? "known: \(known.joined(separator: ", "))")
            }
            let block = try settings.block(step.parameters, what: "post[\(index)].\(step.id.value)")
            try block.check(for: [description], perAdapter: false)
            return PostStepEntry(id: step.id, parameters: block)
        }
    }

    // MARK: Modules

    private func patterns(_ key: String, _ fields: FieldReader) throws -> [ModulePattern] {
        try fields.texts(key).map { try ModulePattern($0.value, at: $0.place) }
    }

    private func filters(_ fields: FieldReader) throws -> ModuleFilters {
        guard let inner = try fields.mapping("filters") else { return ModuleFilters() }
        try inner.refuseUnknown(known: ["include", "exclude"])
        return ModuleFilters(include: try patterns("include", inner), exclude: try patterns("exclude", inner))
    }

    private func overrides(
        _ fields: FieldReader, _ scope: ModelScope, _ compatibility: Compatibility
    ) throws -> [MethodOverride] {
        try fields.list("overrides").enumerated().map { index, item in
            let entry = try FieldReader(item, what: "overrides[\(index)]", emptyIsMapping: false)
            try entry.refuseUnknown(known: ["match", "merge_method", "parameters", "models"])
            guard let match = try entry.text("match") else {
                throw Failure(
                    .recipeBadParameter, "'overrides[\(index)]' has no 'match'", place: item.place.description)
            }
            let method = try entry.text("merge_method")
            if let method { try checkMethod(method, compatibility) }
            return MethodOverride(
                match: try ModulePattern(match.value, at: match.place), place: item.place, method: method,
                parameters: try scope.settings.block(entry["parameters"], what: entry.path("parameters")),
                models: try scope.parameters(entry))
        }
    }

    private func layers(_ fields: FieldReader, _ scope: ModelScope) throws -> [LayerRangeEntry] {
        try fields.list("layers").enumerated().map { index, item in
            let entry = try FieldReader(item, what: "layers[\(index)]", emptyIsMapping: false)
            try entry.refuseUnknown(known: ["range", "parameters", "models"])
            let bounds = try entry.list("range").map { FieldReader.integer($0) ?? -1 }
            guard bounds.count == 2, bounds[0] >= 0, bounds[1] > bounds[0] else {
                throw Failure(
                    .recipeBadParameter, "'layers[\(index)].range' must be [first, end] with 0 <= first < end",
                    place: (entry["range"] ?? item).place.description,
                    hint: "the end is not included: [0, 8] is layers 0 to 7")
            }
            return LayerRangeEntry(
                range: bounds[0]..<bounds[1], place: item.place,
                parameters: try scope.settings.block(entry["parameters"], what: entry.path("parameters")),
                models: try scope.parameters(entry))
        }
    }

    private func layerPattern(_ fields: FieldReader) throws -> ModulePattern? {
        try fields.text("layer_pattern").map { try ModulePattern($0.value, at: $0.place) }
    }

    private func baseModel(_ fields: FieldReader) throws -> Located<String>? {
        if let node = fields["base_model"], node.isNull { return nil }
        return try fields.text("base_model")
    }
}

extension MethodRegistry {
    /// The `compat` values under which a merge method of that name is known, in the order of the enumeration.
    public func compatibilities(ofMethod name: String) -> [Compatibility] {
        Compatibility.allCases.filter { method(name, compatibility: $0) != nil }
    }
}
