import Adapters
import Diagnostics
import WeightFiles

/// What the words around an adapter tell: base name, model card, metadata. Never more than a warning.
struct TextCheck {
    let adapter: Adapter

    func findings() -> [Finding] { baseFindings() + cardFindings() + metadataFindings() }

    // MARK: Base model

    private func baseFindings() -> [Finding] {
        let name = adapter.base.name
        var findings: [Finding] = []
        if TextCheck.looksLikeLocalPath(name) {
            findings.append(
                Finding(
                    .configLocalBasePath, .warning, place: "base_model_name_or_path",
                    details: "'\(name)' is a path on somebody's machine, not the name of a base model"))
        }
        if name.unicodeScalars.contains(where: ForeignText.isUnsafe) {
            findings.append(Finding(.nameControlCharacters, .warning, place: "base_model_name_or_path"))
        }
        return findings
    }

    /// True for absolute and home paths, `./`, `../` anywhere, drive letters, `file:` addresses, and names with more
    /// than one slash (a hub name has at most one).
    static func looksLikeLocalPath(_ name: String) -> Bool {
        if name.hasPrefix("http://") || name.hasPrefix("https://") { return false }
        if ["/", "./", "~", "file:", "\\"].contains(where: name.hasPrefix) { return true }
        let parts = name.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "/" || $0 == "\\" })
        if parts.count > 2 || parts.contains("..") { return true }
        let start = Array(name.unicodeScalars.prefix(3))
        return start.count == 3 && start[0].isASCII && start[0].properties.isAlphabetic && start[1] == ":"
            && (start[2] == "\\" || start[2] == "/")
    }

    // MARK: Card

    private func cardFindings() -> [Finding] {
        guard let card = adapter.card else { return [] }
        let keys = frontMatterKeys(card)
        var findings: [Finding] = []
        if !keys.contains("license") && !keys.contains("license_name") {
            findings.append(
                Finding(.cardMissingLicence, .info, place: "README.md", details: "the model card names no licence"))
        }
        if !keys.contains("base_model") {
            findings.append(
                Finding(.cardMissingBase, .info, place: "README.md", details: "the model card names no base model"))
        }
        let unsafe = card.unicodeScalars.contains { scalar in
            ForeignText.isUnsafe(scalar) && !"\n\r\t\u{FEFF}\u{200D}\u{200C}".unicodeScalars.contains(scalar)
        }
        if unsafe { findings.append(Finding(.cardControlCharacters, .info, place: "README.md")) }
        return findings
    }

    /// Names before the first colon of each unindented line between the two `---`.
    private func frontMatterKeys(_ card: String) -> Set<String> {
        let lines = card.split(separator: "\n", omittingEmptySubsequences: false).map { $0.filter { $0 != "\r" } }
        guard lines.first == "---" else { return [] }
        let matter = lines.dropFirst().prefix { $0 != "---" }
        return Set(matter.compactMap { line in line.firstIndex(of: ":").map { String(line[..<$0]) } })
    }

    // MARK: Metadata

    private func metadataFindings() -> [Finding] {
        var texts = adapter.metadata.map { ("__metadata__." + $0.key, $0.value) }
        for member in adapter.configuration.members ?? [] where member.key != "base_model_name_or_path" {
            for text in TextCheck.strings(in: member.value) { texts.append((member.key, text)) }
        }
        var findings: Set<Finding> = []
        for (place, text) in texts {
            let words = text.split(whereSeparator: { " \n\t\",;()<>[]{}".contains($0) })
            if words.contains(where: TextCheck.looksLikeHomePath) {
                findings.insert(Finding(.metadataLocalPath, .info, place: place))
            }
            if words.contains(where: TextCheck.looksLikeAddress) {
                findings.insert(Finding(.metadataEmailAddress, .info, place: place))
            }
        }
        return findings.sorted { ($0.place, $0.code) < ($1.place, $1.code) }
    }

    private static func strings(in value: JSONValue) -> [String] {
        switch value {
        case .string(let text): [text]
        case .array(let values): values.flatMap(strings)
        case .object(let members): members.flatMap { strings(in: $0.value) }
        default: []
        }
    }

    private static func looksLikeHomePath(_ word: Substring) -> Bool {
        ["/home/", "/Users/", "/root/", "/mnt/", "/data/", "C:\\Users\\", "~/"].contains(where: word.hasPrefix)
    }

    private static func looksLikeAddress(_ word: Substring) -> Bool {
        let parts = word.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let dot = parts[1].lastIndex(of: ".") else { return false }
        let ending = parts[1][parts[1].index(after: dot)...]
        return dot > parts[1].startIndex && ending.count >= 2 && ending.allSatisfy(\.isLetter)
    }
}
