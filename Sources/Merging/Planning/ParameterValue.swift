/// A parameter of a merge method after all recipe rules (overrides, layers, gradients, filters) were applied.
public indirect enum ParameterValue: Hashable, Sendable {
    case number(Double)
    case bool(Bool)
    case text(String)
    /// `{energy: 0.99}`, `{tail: 0.01}` and the like.
    case choice(String, Double)
    case list([ParameterValue])

    public var number: Double? {
        if case .number(let value) = self { value } else { nil }
    }

    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    public var text: String? {
        if case .text(let value) = self { value } else { nil }
    }
}
