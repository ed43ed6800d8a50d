import Settings

/// A parameter's value as written (merge-methods 7.2): one value, or values that depend on layer or module.
public indirect enum Setting: Sendable {
    case value(SettingValue)
    /// Numbers spread evenly over the layers, interpolated linearly.
    case gradient([Double], SourcePlace)
    /// The first entry whose filter matches the module; an entry without filter matches all.
    case filtered([(filter: ModulePattern?, value: Setting)])
    /// By layer index.
    case perLayer([Int: SettingValue], SourcePlace)
    /// By module name.
    case perModule([String: SettingValue], SourcePlace)
}

/// One value with its place.
public struct SettingValue: Hashable, Sendable {
    public enum Form: Hashable, Sendable {
        case number(Double)
        case bool(Bool)
        case text(String)
        /// `{energy: 0.99}`
        case keyed(String, Double)
    }

    public var form: Form
    public var place: SourcePlace
}

/// A `parameters:` mapping.
public struct ParameterBlock: Sendable {
    public struct Entry: Sendable {
        public var name: String
        public var place: SourcePlace
        public var setting: Setting
    }

    /// In file order.
    public var entries: [Entry]

    public init(_ entries: [Entry] = []) { self.entries = entries }

    public subscript(name: String) -> Entry? { entries.first { $0.name == name } }
}
