/// A stable name `area.what` of something an inspection reports without refusing the input.
public struct FindingCode: Hashable, Sendable {
    public let name: String

    init(_ name: String) { self.name = name }
}

/// How much a finding matters. Errors are thrown as `Failure`; a finding of level `error` stands in stored reports only.
public enum FindingLevel: String, Sendable, Codable, Comparable, CaseIterable {
    case info, warning, error

    public static func < (a: FindingLevel, b: FindingLevel) -> Bool {
        (allCases.firstIndex(of: a) ?? 0) < (allCases.firstIndex(of: b) ?? 0)
    }
}

/// One observation about an adapter or a file.
public struct Finding: Hashable, Sendable {
    public var code: String
    public var level: FindingLevel
    /// Tensor, module or file concerned; empty for the whole.
    public var place: String
    public var details: String?

    public init(_ code: FindingCode, _ level: FindingLevel, place: String = "", details: String? = nil) {
        self.init(code: code.name, level: level, place: place, details: details)
    }

    public init(code: String, level: FindingLevel, place: String = "", details: String? = nil) {
        self.code = code
        self.level = level
        self.place = place
        self.details = details
    }
}
