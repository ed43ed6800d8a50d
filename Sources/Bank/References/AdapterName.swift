import Adapters
import Diagnostics
import Foundation

/// The rules for names of adapters, aliases and tags.
public enum AdapterName {
    public static let localNamespace = "local"
    /// Longest name, in UTF-8 bytes.
    public static let limit = 200

    /// Splits `[namespace/]name` and checks both.
    ///
    /// A part has 1…200 bytes, no control or invisible characters, none of `@ : / \ = "` and white space, does not
    /// begin with `-`, `.` or `~`, and is kept in Unicode's composed form (NFC).
    /// - Throws: `usage.bad_argument`.
    public static func parse(_ text: String) throws -> (namespace: String, name: String) {
        let parts = text.precomposedStringWithCanonicalMapping.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2 else {
            throw Failure(.usageBadArgument, "'\(text)' is no adapter name: it has more than one '/'")
        }
        for part in parts { try check(String(part), in: text) }
        return parts.count == 2 ? (String(parts[0]), String(parts[1])) : (localNamespace, String(parts[0]))
    }

    /// Makes a valid name out of a file or folder name: forbidden characters become `-`.
    public static func proposal(from text: String) -> String {
        var result = ""
        for scalar in text.precomposedStringWithCanonicalMapping.unicodeScalars {
            result.unicodeScalars.append(isAllowed(scalar) ? scalar : "-")
        }
        while let first = result.first, "-.~".contains(first) { result.removeFirst() }
        while result.utf8.count > limit { result.removeLast() }
        return result.isEmpty ? "adapter" : result
    }

    /// The proposal for what stands at a location; `.` and `..` count as the folder that they mean.
    public static func proposal(for location: AdapterLocation) -> String {
        guard [".", ".."].contains(location.name) else { return proposal(from: location.name) }
        let resolved = URL(fileURLWithPath: location.path).standardizedFileURL.resolvingSymlinksInPath()
        return proposal(from: resolved.lastPathComponent)
    }

    /// - Throws: `usage.bad_argument`.
    static func check(_ part: String, in text: String) throws {
        let rule: String? =
            if part.isEmpty { "it is empty" } else if part.utf8.count > limit {
                "it is longer than \(limit) bytes"
            } else if let first = part.first, "-.~".contains(first) {
                "it begins with '\(first)'"
            } else if let bad =
                part.unicodeScalars.first(where: { !isAllowed($0) })
            {
                "it contains '\(ForeignText.escaped(String(bad)))'"
            } else { nil }
        if let rule {
            throw Failure(
                .usageBadArgument, "'\(text)' is no valid name: \(rule)",
                hint: "use letters of any language, digits, '.', '_' and '-'")
        }
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        if ForeignText.isUnsafe(scalar) || scalar.properties.isWhitespace { return false }
        return !"@:/\\=\"*?".unicodeScalars.contains(scalar)
    }
}

extension Tag {
    /// Reads `K=V` or `K`.
    ///
    /// A key follows the rules of names; a value is any text of up to 1,000 bytes without control characters.
    /// - Throws: `usage.bad_argument`.
    public init(parsing text: String) throws {
        let parts = text.precomposedStringWithCanonicalMapping.split(
            separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let key = String(parts[0])
        let value = parts.count == 2 ? String(parts[1]) : ""
        try AdapterName.check(key, in: text)
        guard value.utf8.count <= 1_000, !value.unicodeScalars.contains(where: ForeignText.isUnsafe) else {
            throw Failure(.usageBadArgument, "the value of tag '\(key)' is too long or has control characters")
        }
        self.init(key: key, value: value)
    }
}
