import Diagnostics
import Foundation

/// A reference as a user writes it, taken apart.
enum AdapterReference: Hashable {
    /// `name` or `name@3`.
    case name(namespace: String, name: String, version: Int?)
    /// `name:alias`.
    case alias(namespace: String, name: String, alias: String)
    /// `id:1f3c…`: the beginning of an object's digest.
    case object(prefix: String)
    /// `tag:key=value` or `tag:key`.
    case tag(TagFilter)
    /// `path:…`, or text that can only be a path.
    case path(String)

    /// Fewest digits of `id:`.
    static let shortestPrefix = 8

    /// - Throws: `usage.bad_argument` for text that is neither a name nor another form.
    init(parsing text: String) throws {
        if let path = text.removing(prefix: "path:") {
            self = .path(path)
        } else if let digits = text.removing(prefix: "id:") {
            self = .object(prefix: try AdapterReference.digits(digits, in: text))
        } else if let tag = text.removing(prefix: "tag:") {
            self = .tag(try TagFilter(parsing: tag))
        } else if ["/", "./", "../", "~/"].contains(where: text.hasPrefix) || text == "." || text == ".." {
            self = .path(text)
        } else if let at = text.lastIndex(of: "@") {
            let (namespace, name) = try AdapterName.parse(String(text[..<at]))
            guard let version = Int(text[text.index(after: at)...]), version >= 1 else {
                throw Failure(
                    .usageBadArgument, "'\(text)' has no version number behind '@'", hint: "write name@3, or name:alias"
                )
            }
            self = .name(namespace: namespace, name: name, version: version)
        } else if let colon = text.firstIndex(of: ":") {
            let (namespace, name) = try AdapterName.parse(String(text[..<colon]))
            let alias = String(text[text.index(after: colon)...]).precomposedStringWithCanonicalMapping
            try AdapterName.check(alias, in: text)
            self = .alias(namespace: namespace, name: name, alias: alias)
        } else {
            let (namespace, name) = try AdapterName.parse(text)
            self = .name(namespace: namespace, name: name, version: nil)
        }
    }

    private static func digits(_ digits: String, in text: String) throws -> String {
        let lower = digits.lowercased()
        let valid = lower.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        guard valid, (shortestPrefix...64).contains(lower.utf8.count) else {
            throw Failure(
                .usageBadArgument, "'\(text)' is no content id",
                hint: "write id: and \(shortestPrefix) to 64 hexadecimal digits")
        }
        return lower
    }
}

extension String {
    func removing(prefix: String) -> String? { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil }
}
