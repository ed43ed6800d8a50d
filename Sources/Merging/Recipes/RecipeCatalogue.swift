import WeightFiles

/// What `recipe methods` prints: every registered method, from its own description.
public struct RecipeCatalogue: Sendable {
    public let registry: MethodRegistry

    public init(registry: MethodRegistry = .standard) { self.registry = registry }

    /// One line per method, grouped by `compat`, post-steps last.
    public func overview() -> String {
        var lines: [String] = []
        for compatibility in Compatibility.allCases {
            let methods = registry.all.filter { $0.role == .merge && $0.compatibilities.contains(compatibility) }
            guard !methods.isEmpty else { continue }
            lines.append(compatibility == .none ? "methods" : "with compat: \(compatibility.rawValue)")
            lines += RecipeCatalogue.rows(methods)
            lines.append("")
        }
        let steps = registry.all.filter { $0.role != .merge }
        if !steps.isEmpty {
            lines.append("steps of post")
            lines += RecipeCatalogue.rows(steps)
            lines.append("")
        }
        for exactness in ExactnessClass.allCases { lines.append("class \(exactness.rawValue): \(exactness.summary)") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func rows(_ methods: [MethodDescription]) -> [String] {
        let width = methods.map(\.id.count).max() ?? 0
        return methods.map { method in
            "  \(padded(method.id, width))  \(method.exactness.rawValue)  \(method.title)"
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// The page of one method or post-step, nil when there is none of that name.
    public func page(_ name: String, compatibility: Compatibility = .none) -> String? {
        guard let method = registry.method(name, compatibility: compatibility) ?? registry.postStep(name) else {
            return nil
        }
        var lines = ["\(method.id): \(method.title)", "", "  \(method.summary)", ""]
        lines.append("  class     \(method.exactness.rawValue), \(method.exactness.summary)")
        lines.append("  adapters  \(RecipeCatalogue.count(method))")
        lines.append("  cost      \(method.cost)")
        lines.append("  source    \(method.source)")
        if method.role == .merge { lines.append("  rank      \(RecipeCatalogue.text(method.defaultRank)) by default") }
        if method.random { lines.append("  seed      required: it draws random numbers") }
        if method.sequential { lines.append("  order     the adapters are taken one after the other") }
        if method.experimental {
            lines.append("  note      experimental: the published description leaves details open")
        }
        if method.parameters.isEmpty { return (lines + ["", "  no parameters"]).joined(separator: "\n") + "\n" }
        lines += ["", "  parameters"]
        let width = method.parameters.map(\.name.count).max() ?? 0
        let blank = RecipeCatalogue.padded("", width)
        for parameter in method.parameters {
            let standing = RecipeCatalogue.standing(parameter)
            lines.append("    \(RecipeCatalogue.padded(parameter.name, width))  \(parameter.summary)")
            lines.append("    \(blank)  \(parameter.expectation); \(standing)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func count(_ method: MethodDescription) -> String {
        switch method.maximumAdapters {
        case method.minimumAdapters: "exactly \(method.minimumAdapters)"
        case .some(let most): "\(method.minimumAdapters) to \(most)"
        case nil: "\(method.minimumAdapters) or more"
        }
    }

    private static func standing(_ parameter: ParameterDeclaration) -> String {
        let scope = parameter.perAdapter ? ", per adapter" : ""
        if let value = parameter.defaultValue { return "default \(text(value))" + scope }
        return (parameter.required ? "required" : "optional") + scope
    }

    static func text(_ value: ParameterValue) -> String {
        switch value {
        case .number(let number): NumberText.shortest(number)
        case .bool(let bool): bool ? "true" : "false"
        case .text(let text): text
        case .choice(let key, let number): "{\(key): \(NumberText.shortest(number))}"
        case .list(let values): "[" + values.map(text).joined(separator: ", ") + "]"
        }
    }

    static func text(_ rank: OutputRank) -> String {
        switch rank {
        case .keep: "keep"
        case .max: "max"
        case .auto: "auto"
        case .fixed(let rank): String(rank)
        case .energy(let share): "{energy: \(NumberText.shortest(share))}"
        case .tail(let share): "{tail: \(NumberText.shortest(share))}"
        }
    }

    /// Everything as JSON, schema `lorabank.methods/1`.
    public func json() -> JSONValue {
        .object([
            .init("schema", .string("lorabank.methods/1")),
            .init("methods", .array(registry.all.map(RecipeCatalogue.json))),
        ])
    }

    private static func json(_ method: MethodDescription) -> JSONValue {
        let compatibilities = Compatibility.allCases.filter { method.compatibilities.contains($0) }
        return .object([
            .init("id", .string(method.id)),
            .init("title", .string(method.title)),
            .init("role", .string(method.role == .merge ? "merge" : "post")),
            .init("compat", .array(compatibilities.map { .string($0.rawValue) })),
            .init("class", .string(method.exactness.rawValue)),
            .init("summary", .string(method.summary)),
            .init("source", .string(method.source)),
            .init("cost", .string(method.cost)),
            .init("minimum_adapters", .integer(method.minimumAdapters)),
            .init("maximum_adapters", method.maximumAdapters.map { .integer($0) } ?? .null),
            .init("random", .bool(method.random)),
            .init("sequential", .bool(method.sequential)),
            .init("experimental", .bool(method.experimental)),
            .init("default_rank", .string(text(method.defaultRank))),
            .init("parameters", .array(method.parameters.map(json))),
        ])
    }

    private static func json(_ parameter: ParameterDeclaration) -> JSONValue {
        .object([
            .init("name", .string(parameter.name)),
            .init("takes", .string(parameter.expectation)),
            .init("default", parameter.defaultValue?.json ?? .null),
            .init("required", .bool(parameter.required)),
            .init("per_adapter", .bool(parameter.perAdapter)),
            .init("summary", .string(parameter.summary)),
        ])
    }
}
