/// Looks up names of backbones and data that a suite uses instead of folders. A bank fulfils it.
public protocol SuiteResources: Sendable {
    /// The folder of a backbone; nil when the name is unknown.
    func backboneFolder(_ name: String) throws -> String?

    /// The folder of a data set; nil when the name is unknown.
    func dataFolder(_ name: String) throws -> String?

    /// Every name that is known, for hints.
    var backboneNames: [String] { get }
    var dataNames: [String] { get }
}

/// No names at all: suites name folders.
public struct FoldersOnly: SuiteResources {
    public init() {}
    public func backboneFolder(_ name: String) -> String? { nil }
    public func dataFolder(_ name: String) -> String? { nil }
    public var backboneNames: [String] { [] }
    public var dataNames: [String] { [] }
}
