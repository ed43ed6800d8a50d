/// What kind of failure a code stands for; the raw value is the exit status of the program.
public enum ErrorClass: Int32, Sendable, CaseIterable {
    case `internal` = 1
    case usage = 2
    case malformed = 3
    case unsafe = 4
    case incompatible = 5
    case notFound = 6
    case conflict = 7
    case denied = 8
    case integrity = 9
    case resource = 10
    case network = 11
    case busy = 12

    /// The name used in JSON (`not_found`, …).
    public var name: String {
        switch self {
        case .internal: "internal"
        case .usage: "usage"
        case .malformed: "malformed"
        case .unsafe: "unsafe"
        case .incompatible: "incompatible"
        case .notFound: "not_found"
        case .conflict: "conflict"
        case .denied: "denied"
        case .integrity: "integrity"
        case .resource: "resource"
        case .network: "network"
        case .busy: "busy"
        }
    }
}

/// A stable error name `area.what` with its class. All codes are listed in `ErrorCode.all`.
public struct ErrorCode: Hashable, Sendable {
    public let name: String
    public let errorClass: ErrorClass

    init(_ name: String, _ errorClass: ErrorClass) {
        self.name = name
        self.errorClass = errorClass
    }

    /// Exit status of a program that ends with this error.
    public var exitStatus: Int32 { errorClass.rawValue }

    /// The part before the dot.
    public var area: String { String(name.prefix { $0 != "." }) }
}
