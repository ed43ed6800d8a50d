import WeightFiles

/// The grammar of recipes as a JSON Schema (draft 2020-12), for editors. Built from the same declarations that the
/// reader checks against.
public struct RecipeSchema: Sendable {
    public let registry: MethodRegistry

    public init(registry: MethodRegistry = .standard) { self.registry = registry }

    public func json() -> JSONValue { document().json }

    private func document() -> SchemaNode {
        let own = stageProperties()
        let whole: [(String, SchemaNode)] = [("version", ["const": 1]), ("search", .reference("search"))]
        let shared = own.filter { StageList.shared.contains($0.0) || $0.0 == "name" || $0.0 == "output" }
        let stages = SchemaNode.list(of: .reference("stage"), atLeast: 1)
        return [
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "LoRABank merge recipe",
            "oneOf": [
                .closed(
                    own + whole, required: ["merge_method", "models"], extra: [("allOf", [.reference("by_method")])]),
                .closed(shared + whole + [("stages", stages)], required: ["stages"]),
            ],
            "$defs": .object(definitions()),
        ]
    }

    /// Same keys as `StageReader.keys`.
    func stageProperties() -> [(String, SchemaNode)] {
        [
            ("name", .text("name of the stage and of the result")),
            ("merge_method", .choice(Set(methods.map(\.id)).sorted())),
            ("compat", .choice(Compatibility.allCases.map(\.rawValue))),
            ("base_model", ["type": ["string", "null"]]),
            ("models", .list(of: .reference("model"), atLeast: 1)),
            ("parameters", .reference("parameters")),
            ("filters", .closed([("include", .reference("patterns")), ("exclude", .reference("patterns"))])),
            ("overrides", .list(of: .reference("override"))),
            ("layers", .list(of: .reference("layer"))),
            ("layer_pattern", .text("pattern for the part of a module's name in front of its layer number")),
            ("sequence", .boolean),
            ("post", .list(of: .reference("post"))),
            ("missing", .choice(MissingRule.allCases.map(\.rawValue))),
            ("others", .choice(OthersRule.allCases.map(\.rawValue))),
            ("seed", ["type": "integer", "minimum": 0]),
            ("output", .reference("output")),
            ("limits", .reference("limits")),
            ("allow_base_mismatch", .boolean),
            ("non_finite", .choice(["error", "zero"])),
            ("ignore", .reference("patterns")),
            ("drop_zero_weight", .boolean),
            ("pad", .choice(["none", "zero"])),
        ]
    }

    private var methods: [MethodDescription] { registry.all.filter { $0.role == .merge } }

    // MARK: Parameters by method

    /// For each method the names that `parameters` may have, unless overrides bring in those of others.
    private func methodRules() -> SchemaNode {
        .array(
            methods.flatMap { method in
                let others = Compatibility.allCases.filter { $0 != .none && method.compatibilities.contains($0) }
                let native: [[Compatibility]] = method.compatibilities.contains(.none) ? [[.none]] : []
                return (native + (others.isEmpty ? [] : [others])).map { rule(method, $0) }
            })
    }

    private func rule(_ method: MethodDescription, _ compatibilities: [Compatibility]) -> SchemaNode {
        let condition: SchemaNode = [
            "properties": [
                "merge_method": ["const": .string(method.id)], "compat": .choice(compatibilities.map(\.rawValue)),
            ],
            // Without the key the native method is meant.
            "required": compatibilities == [.none] ? ["merge_method"] : ["merge_method", "compat"],
            "not": ["required": ["overrides"]],
        ]
        let parameters = SchemaNode.closed(method.parameters.map { ($0.name, SchemaNode.setting($0)) })
        return ["if": condition, "then": ["properties": ["parameters": parameters]]]
    }

    // MARK: Definitions

    private func definitions() -> [(String, SchemaNode)] {
        let parameters: (String, SchemaNode) = ("parameters", .reference("parameters"))
        let entries: (String, SchemaNode) = ("models", .list(of: .reference("entry")))
        let model: (String, SchemaNode) = ("model", .text("reference, path or stage:NAME"))
        let range: SchemaNode = [
            "type": "array", "minItems": 2, "maxItems": 2, "items": ["type": "integer", "minimum": 0],
        ]
        return [
            (
                "stage",
                .closed(
                    stageProperties() + [("version", ["const": 1])], required: ["merge_method", "models"],
                    extra: [("allOf", [.reference("by_method")])])
            ),
            ("parameters", ["type": ["object", "null"], "additionalProperties": .reference("setting")]),
            ("setting", ["type": ["number", "boolean", "string", "array", "object"]]),
            ("patterns", ["oneOf": [["type": "string"], .list(of: ["type": "string"])]]),
            ("model", ["oneOf": [["type": "string"], .closed([model, parameters], required: ["model"])]]),
            ("entry", .closed([model, parameters])),
            (
                "override",
                .closed(
                    [("match", ["type": "string"]), ("merge_method", ["type": "string"]), parameters, entries],
                    required: ["match"])
            ),
            ("layer", .closed([("range", range), parameters, entries], required: ["range"])),
            ("by_method", ["allOf": methodRules()]), ("post", post()), ("output", output()), ("limits", limits()),
            ("search", search()),
        ]
    }

    private func post() -> SchemaNode {
        let steps = registry.all.filter { $0.role != .merge }
        let forms = steps.map { step -> SchemaNode in
            .closed(
                [(step.id, .closed(step.parameters.map { ($0.name, SchemaNode.value($0)) }))], required: [step.id])
        }
        return ["oneOf": .array([.choice(steps.map(\.id))] + forms)]
    }

    private func output() -> SchemaNode {
        let rank: SchemaNode = [
            "oneOf": [
                .choice(["keep", "max", "auto"]), ["type": "integer", "minimum": 1],
                .closed([("energy", .share)], required: ["energy"]), .closed([("tail", .share)], required: ["tail"]),
            ]
        ]
        return .closed([
            ("name", ["type": "string"]), ("rank", rank),
            ("dtype", .choice(OutputPlan.Precision.allCases.map(\.rawValue))),
            ("split", .choice(FactorSplit.allCases.map(\.rawValue))), ("uniform", .boolean),
            ("tags", ["type": ["array", "object", "string"]]), ("sink", .choice(["adapter", "dense", "report-only"])),
        ])
    }

    private func limits() -> SchemaNode {
        .closed([
            ("memory", ["type": ["string", "integer"], "description": "like 512MiB or 2GiB"]),
            ("threads", ["type": "integer", "minimum": 1]),
        ])
    }

    private func search() -> SchemaNode {
        let dimensions: SchemaNode = [
            "type": "object", "minProperties": 1, "additionalProperties": ["type": "array", "minItems": 1],
        ]
        return .closed(
            [
                ("over", dimensions), ("strategy", .choice(SearchSettings.Strategy.allCases.map(\.rawValue))),
                ("evaluator", ["type": "string"]), ("budget", ["type": "integer", "minimum": 1]),
            ], required: ["over"])
    }
}

extension SchemaNode {
    /// One value, or what stands for values that depend on layer or module.
    static func setting(_ parameter: ParameterDeclaration) -> SchemaNode {
        let per = SchemaNode.closed(
            [("per", .choice(["layer", "module"])), ("values", ["type": "object"])], required: ["per", "values"])
        return [
            "description": .string(parameter.summary),
            "anyOf": [value(parameter), ["type": "array", "minItems": 1], per],
        ]
    }

    static func value(_ parameter: ParameterDeclaration) -> SchemaNode {
        switch parameter.kind {
        case .number: return bounded("number", parameter.range)
        case .integer: return bounded("integer", parameter.range)
        case .bool: return .boolean
        case .choice(let words): return .choice(words)
        case .file: return ["type": "string"]
        case .rank(let words, let keyed):
            let forms = keyed.map { SchemaNode.closed([($0, .share)], required: [$0]) }
            return ["oneOf": .array([.choice(words), ["type": "integer", "minimum": 1]] + forms)]
        }
    }

    private static func bounded(_ type: String, _ range: ParameterRange) -> SchemaNode {
        var members: [(String, SchemaNode)] = [("type", .string(type))]
        if range.lower.isFinite {
            let key = range.lowerIncluded ? "minimum" : "exclusiveMinimum"
            members.append((key, .number(NumberText.shortest(range.lower))))
        }
        if range.upper.isFinite {
            let key = range.upperIncluded ? "maximum" : "exclusiveMaximum"
            members.append((key, .number(NumberText.shortest(range.upper))))
        }
        return .object(members)
    }
}
