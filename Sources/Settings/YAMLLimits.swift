/// How much a YAML file may ask of its reader. A file beyond a limit is `recipe.syntax`, never a crash or a hang.
public struct YAMLLimits: Sendable {
    /// Size of the text in UTF-8.
    public var bytes = 1 << 20
    /// Nesting of lists and mappings after aliases are expanded.
    public var depth = 64
    /// Values after aliases are expanded.
    public var nodes = 200_000
    /// Documents in one file.
    public var documents = 1_000

    public init() {}
}
