/// What `lorabank errors CODE` shows: why a message appears, how it looks, and what helps.
///
/// Every `ErrorCode` and every `FindingCode` has one page; a test compares the lists. `docs/errors.md` is generated
/// from the same pages.
public struct ErrorPage: Sendable {
    /// What a page describes: something that ends a command, or something an inspection reports in passing.
    public enum Kind: Sendable {
        case error(ErrorClass)
        case finding
    }

    /// `area.what`.
    public let code: String
    public let kind: Kind
    /// Why it happens, one to three sentences.
    public let cause: String
    /// A message or a command that shows it.
    public let example: String
    /// What to do.
    public let remedy: String

    /// The part before the dot.
    public var area: String { String(code.prefix { $0 != "." }) }

    /// Exit status of a program that ends with this error; nil for findings.
    public var exitStatus: Int32? {
        if case .error(let errorClass) = kind { errorClass.rawValue } else { nil }
    }

    static func error(_ code: ErrorCode, cause: String, example: String, remedy: String) -> ErrorPage {
        ErrorPage(code: code.name, kind: .error(code.errorClass), cause: cause, example: example, remedy: remedy)
    }

    static func finding(_ code: FindingCode, cause: String, example: String, remedy: String) -> ErrorPage {
        ErrorPage(code: code.name, kind: .finding, cause: cause, example: example, remedy: remedy)
    }

    /// All pages: errors by area, then findings.
    public static let all: [ErrorPage] =
        filePages + safetensorsPages + configurationPages + adapterPages + pathPages + archivePages + ggufPages
        + mergePages + bankPages + usagePages + dataPages + backbonePages + routerPages
        + findingPages

    /// The page of a code; nil when there is no such code.
    public static func page(for code: String) -> ErrorPage? { all.first { $0.code == code } }
}
