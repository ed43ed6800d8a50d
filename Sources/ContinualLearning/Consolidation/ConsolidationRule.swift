import Diagnostics
import LinearAlgebra
import Merging
import Settings
import Tensors

/// What a consolidation rule says about itself; it stands in the rule's own file.
public struct ConsolidationDescription: Sendable, Hashable {
    /// How the rule works, and so what is exact.
    public enum Form: String, Sendable, Hashable {
        /// c_s·S + c_f·F: exact in the factors.
        case blend
        /// On the cores in the joint basis of S and F: exact in the factors.
        case cores
        /// On the entries of Δ, one site at a time, then recompressed.
        case entries
        /// On the factors themselves; depends on how Δ is factorised.
        case factors
    }

    /// The name in `consolidation.rule`.
    public var id: String
    /// One sentence without a full stop.
    public var summary: String
    public var form: Form
    /// Paper or section.
    public var source: String
    public var parameters: [ParameterDeclaration]
}

/// A rule of consolidation, fast → slow: its description and its function. One file per rule holds both; registering
/// it is one line in `Consolidation.rules`.
public struct ConsolidationMethod: Sendable {
    public let description: ConsolidationDescription
    let action: ConsolidationAction

    init(
        id: String, summary: String, source: String, parameters: [ParameterDeclaration], _ action: ConsolidationAction
    ) {
        description = ConsolidationDescription(
            id: id, summary: summary, form: action.form, source: source, parameters: parameters)
        self.action = action
    }
}

/// The function of a rule, by what it works on.
enum ConsolidationAction: Sendable {
    case blend(@Sendable (ConsolidationContext) throws -> Blend)
    case cores(@Sendable (ConsolidationContext, ConsolidationPair) throws -> Matrix<Double>)
    case entries(@Sendable (ConsolidationContext, ConsolidationPair) throws -> Matrix<Double>)
    case factors(@Sendable (ConsolidationContext, LowRankUpdate, LowRankUpdate) throws -> LowRankUpdate)

    var form: ConsolidationDescription.Form {
        switch self {
        case .blend: .blend
        case .cores: .cores
        case .entries: .entries
        case .factors: .factors
        }
    }
}

/// S⁺ = slow·S + fast·F.
struct Blend: Sendable, Hashable {
    var slow: Double
    var fast: Double
}

/// S and F of one site: cores in a common basis, or dense.
struct ConsolidationPair: Sendable {
    var slow: Matrix<Double>
    var fast: Matrix<Double>

    /// L = S + F, what the network was at the end of the task.
    var live: Matrix<Double> { slow.plus(fast) }
}

/// What a rule knows besides the updates.
struct ConsolidationContext: Sendable {
    let rule: ConsolidationRule
    let site: String
    /// Number of the task that ends, from 0.
    let task: Int
    /// Rank that slow may have, nil without a bound.
    let slowRank: Int?

    func number(_ name: String) throws -> Double { try rule.number(name) }

    func word(_ name: String) throws -> String { try rule.word(name) }
}

/// A rule with its settings: `ConsolidationRule("ta", ["alpha": .number(0.3)])`.
public struct ConsolidationRule: Sendable, Hashable {
    public let id: String
    /// Values that differ from the defaults.
    public let values: [String: ParameterValue]

    /// - Throws: `recipe.unknown_method` for an unknown rule, `recipe.unknown_key` and `recipe.bad_parameter` for its
    ///   settings.
    public init(_ id: String, _ values: [String: ParameterValue] = [:]) throws {
        let method = try Consolidation.method(id)
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            let declaration = try Self.declaration(name, of: method, place: nil)
            guard declaration.accepts(value) else {
                throw Failure(.recipeBadParameter, "'\(name)' of rule '\(id)' must be \(declaration.expectation)")
            }
        }
        self.id = id
        self.values = values
    }

    /// Reads `{rule: …, alpha: …}` from a configuration. A setting that only other rules have is left out and has no
    /// effect (``strayKeys(_:others:)`` names it): a configuration may change its rule alone.
    ///
    /// - Parameter others: keys of the mapping that somebody else reads.
    /// - Throws: as above, with the place in the file.
    public init(_ fields: FieldReader, others: [String] = [], default name: String = "ta") throws {
        let id = try fields.text("rule")?.value ?? name
        let method = try Consolidation.method(id, place: fields["rule"]?.place.description)
        var values: [String: ParameterValue] = [:]
        let stray = Self.strayKeys(fields, rule: method)
        for member in fields.members
        where member.key != "rule" && !others.contains(member.key) && !stray.contains(member.key) {
            let place = member.value.place.description
            let declaration = try Self.declaration(member.key, of: method, place: place)
            guard let value = declaration.value(of: member.value) else {
                throw Failure(
                    .recipeBadParameter, "'\(fields.path(member.key))' must be \(declaration.expectation)",
                    place: place)
            }
            values[member.key] = value
        }
        self.id = id
        self.values = values
    }

    /// Settings in a mapping that the rule does not have and some other rule has.
    static func strayKeys(_ fields: FieldReader, rule: ConsolidationMethod) -> [String] {
        let own = Set(rule.description.parameters.map(\.name))
        let known = Set(Consolidation.rules.flatMap { $0.description.parameters.map(\.name) })
        return fields.members.map(\.key).filter { known.contains($0) && !own.contains($0) }
    }

    public var description: ConsolidationDescription {
        get throws { try Consolidation.method(id).description }
    }

    /// All settings with their defaults filled in, in the order of the help; one without a value is left out.
    public func resolved() throws -> [(name: String, value: ParameterValue)] {
        try description.parameters.compactMap { parameter in
            (values[parameter.name] ?? parameter.defaultValue).map { (parameter.name, $0) }
        }
    }

    func value(_ name: String) throws -> ParameterValue? {
        try values[name] ?? description.parameters.first { $0.name == name }?.defaultValue
    }

    func number(_ name: String) throws -> Double {
        guard let number = try value(name)?.number else {
            throw Failure(.recipeBadParameter, "rule '\(id)' needs a number for '\(name)'")
        }
        return number
    }

    func word(_ name: String) throws -> String {
        guard let word = try value(name)?.text else {
            throw Failure(.recipeBadParameter, "rule '\(id)' needs a word for '\(name)'")
        }
        return word
    }

    private static func declaration(
        _ name: String, of method: ConsolidationMethod, place: String?
    ) throws -> ParameterDeclaration {
        let known = method.description.parameters.map(\.name)
        guard let found = method.description.parameters.first(where: { $0.name == name }) else {
            throw Failure(
                .recipeUnknownKey, "the consolidation rule '\(method.description.id)' has no setting '\(name)'",
                place: place,
                hint: Spelling.hint(for: name, among: known)
                    ?? (known.isEmpty ? "it has no settings" : "it knows \(known.joined(separator: ", "))"))
        }
        return found
    }
}

extension ParameterDeclaration {
    /// Whether a value has the kind and lies in the range.
    func accepts(_ value: ParameterValue) -> Bool {
        switch (kind, value) {
        case (.number, .number(let number)): range.contains(number)
        case (.integer, .number(let number)): range.contains(number) && number == number.rounded()
        case (.bool, .bool): true
        case (.choice(let words), .text(let text)): words.contains(text)
        case (.rank(let words, _), .text(let text)): words.contains(text)
        case (.rank, .number(let number)): number >= 1 && number <= 1e9 && number == number.rounded()
        case (.rank(_, let keyed), .choice(let key, let share)): keyed.contains(key) && share >= 0 && share <= 1
        default: false
        }
    }

    /// The value that a YAML node stands for, nil when it does not fit.
    func value(of node: YAMLNode) -> ParameterValue? {
        let value: ParameterValue? =
            switch node.scalar?.value {
            case .number(let number): .number(number)
            case .bool(let flag): .bool(flag)
            case .null, nil: nil
            default: node.scalar.map { .text($0.text) }
            }
        return value.flatMap { accepts($0) ? $0 : nil }
    }

    static func consolidationAlpha(default value: Double = 0.3) -> ParameterDeclaration {
        ParameterDeclaration(
            "alpha", .number, default: .number(value), summary: "factor of what the fast memory learned")
    }

    static func basis(default value: String) -> ParameterDeclaration {
        ParameterDeclaration(
            "basis", .choice(["absolute", "residual"]), default: .text(value),
            summary: "compare slow with slow + fast (absolute) or with fast alone (residual)")
    }
}
