/// Which finite numbers a parameter takes.
public struct ParameterRange: Hashable, Sendable, CustomStringConvertible {
    public var lower: Double
    public var upper: Double
    public var lowerIncluded: Bool
    public var upperIncluded: Bool

    public init(_ lower: Double, _ upper: Double, lowerIncluded: Bool = true, upperIncluded: Bool = true) {
        self.lower = lower
        self.upper = upper
        self.lowerIncluded = lowerIncluded
        self.upperIncluded = upperIncluded
    }

    /// Any finite number.
    public static let any = ParameterRange(-.infinity, .infinity, lowerIncluded: false, upperIncluded: false)
    /// [0, 1]
    public static let unit = ParameterRange(0, 1)
    /// (0, 1]
    public static let positiveUnit = ParameterRange(0, 1, lowerIncluded: false)
    /// (0, ∞)
    public static let positive = ParameterRange(0, .infinity, lowerIncluded: false, upperIncluded: false)
    /// [0, ∞)
    public static let nonNegative = ParameterRange(0, .infinity, upperIncluded: false)
    /// [n, ∞)
    public static func atLeast(_ n: Double) -> ParameterRange { ParameterRange(n, .infinity, upperIncluded: false) }

    /// False for NaN and for infinities.
    public func contains(_ value: Double) -> Bool {
        guard value.isFinite else { return false }
        let aboveLower = lowerIncluded ? value >= lower : value > lower
        let belowUpper = upperIncluded ? value <= upper : value < upper
        return aboveLower && belowUpper
    }

    /// `0...1`, `> 0`, `any number`.
    public var description: String {
        switch (lower.isFinite, upper.isFinite) {
        case (false, false): "any number"
        case (true, false): (lowerIncluded ? ">= " : "> ") + NumberText.shortest(lower)
        case (false, true): (upperIncluded ? "<= " : "< ") + NumberText.shortest(upper)
        case (true, true):
            (lowerIncluded ? "" : "> ") + NumberText.shortest(lower) + (upperIncluded ? "..." : "..<")
                + NumberText.shortest(upper)
        }
    }
}

/// Numbers as people write them: whole numbers without a fraction, others in the shortest form that reads back equal.
public enum NumberText {
    public static func shortest(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return value.description
    }
}

/// One parameter of a merge method: everything that the validator, the help, `recipe methods` and the schema need.
public struct ParameterDeclaration: Hashable, Sendable {
    /// What a recipe may write, and what the method then receives in `ModulePlan.parameters`.
    public enum Kind: Hashable, Sendable {
        /// A finite number in `range` → `.number`.
        case number
        /// A whole number in `range` → `.number` with an integral value.
        case integer
        /// → `.bool`.
        case bool
        /// One of these words → `.text`.
        case choice([String])
        /// A word of `words` → `.text`; a whole number ≥ 1 → `.number`; a mapping `{key: x}` with a key of `keyed`
        /// and 0 ≤ x ≤ 1 → `.choice(key, x)`. For settings like `k: full | paper | 8 | {energy: 0.99}`.
        case rank(words: [String], keyed: [String])
        /// A path; relative paths start at the recipe's folder → `.text` with the path made absolute or relative to
        /// the working folder.
        case file
    }

    public var name: String
    public var kind: Kind
    /// Used when the recipe says nothing; nil: the parameter is then absent, or an error when `required`.
    public var defaultValue: ParameterValue?
    public var required: Bool
    public var range: ParameterRange
    /// May differ from adapter to adapter (`models[i].parameters`); it then stands in `ModuleOperand.parameters`
    /// (`weight` in `ModuleOperand.weight`). Otherwise it stands in `ModulePlan.parameters`.
    public var perAdapter: Bool
    /// One sentence without a full stop.
    public var summary: String

    public init(
        _ name: String, _ kind: Kind, default defaultValue: ParameterValue? = nil, required: Bool = false,
        range: ParameterRange = .any, perAdapter: Bool = false, summary: String
    ) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.required = required
        self.range = range
        self.perAdapter = perAdapter
        self.summary = summary
    }

    /// `weight` (merge-methods 3): any finite number per adapter, default 1. A method without it refuses weights.
    public static let weight = ParameterDeclaration(
        "weight", .number, default: .number(1), perAdapter: true, summary: "factor of this adapter")

    /// `lambda`: scale of the merged update.
    public static func lambda(default value: Double = 1) -> ParameterDeclaration {
        ParameterDeclaration("lambda", .number, default: .number(value), summary: "scale of the merged update")
    }

    /// `normalize`: divide by the sum of the weights.
    public static func normalize(default value: Bool) -> ParameterDeclaration {
        ParameterDeclaration(
            "normalize", .bool, default: .bool(value), summary: "divide by the sum of the weights")
    }

    /// `density` per adapter, in [0, 1]; without a default it is required.
    public static func density(default value: Double?, summary: String) -> ParameterDeclaration {
        ParameterDeclaration(
            "density", .number, default: value.map { .number($0) }, required: value == nil, range: .unit,
            perAdapter: true, summary: summary)
    }
}
