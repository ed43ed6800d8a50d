import Diagnostics

/// What has to be refused before the YAML library sees the text: it compares mapping keys by their whole content, so
/// aliases inside keys would cost it exponential time.
///
/// The scan does not parse: with aliases in the file it also refuses strings and comments that only look like such
/// keys (`"]:"`), which the hint explains. Files without aliases pass untouched.
struct YAMLPrescan {
    private let bytes: [UInt8]
    private let limits: YAMLLimits

    init(_ text: String, limits: YAMLLimits) {
        bytes = Array(text.utf8)
        self.limits = limits
    }

    /// - Throws: `recipe.syntax` with the place.
    func check() throws {
        guard bytes.count <= limits.bytes else {
            throw Failure(
                .recipeSyntax, "the file has \(bytes.count) bytes, the limit is \(limits.bytes)",
                hint: "a recipe is a few kilobytes of YAML; name large inputs by path")
        }
        // An alias without its anchor is an error of its own.
        guard bytes.indices.contains(where: { bytes[$0] == UInt8(ascii: "&") && isName($0) }),
            bytes.indices.contains(where: { bytes[$0] == UInt8(ascii: "*") && isName($0) })
        else { return }
        for index in bytes.indices {
            switch bytes[index] {
            case UInt8(ascii: "?") where isExplicitKey(index):
                throw refused("an explicit key ('?') beside aliases", at: index)
            case UInt8(ascii: "]") where closesKey(index), UInt8(ascii: "}") where closesKey(index):
                throw refused("a list or mapping as a key beside aliases", at: index)
            case UInt8(ascii: "*") where isAliasKey(index):
                throw refused("an alias as a key", at: index)
            default: continue
            }
        }
    }

    private func refused(_ what: String, at index: Int) -> Failure {
        Failure(
            .recipeSyntax, "\(what) is not used in recipes", place: place(index).description,
            hint: "write keys as plain words; put text that contains such characters in quotes")
    }

    /// The end of the text counts as blank.
    private func blank(at index: Int) -> Bool {
        guard index < bytes.count else { return true }
        switch bytes[index] {
        case 0x20, 0x09, 0x0A, 0x0D: return true
        // NEL, LS and PS end a line for YAML as well.
        case 0xC2: return index + 1 < bytes.count && bytes[index + 1] == 0x85
        case 0xE2: return index + 2 < bytes.count && bytes[index + 1] == 0x80 && bytes[index + 2] & 0xFE == 0xA8
        default: return false
        }
    }

    private func startsToken(_ index: Int) -> Bool {
        guard index > 0 else { return true }
        switch bytes[index - 1] {
        case 0x20, 0x09, 0x0A, 0x0D, 0x85, 0xA8, 0xA9, 0xBF: return true
        case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","), UInt8(ascii: ":"): return true
        default: return false
        }
    }

    private func isExplicitKey(_ index: Int) -> Bool {
        guard startsToken(index) else { return false }
        guard !blank(at: index + 1) else { return true }
        switch bytes[index + 1] {
        case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "*"), UInt8(ascii: "&"), UInt8(ascii: "!"): return true
        default: return false
        }
    }

    private func skipSpaces(from index: Int) -> Int {
        var next = index
        while next < bytes.count, bytes[next] == 0x20 || bytes[next] == 0x09 { next += 1 }
        return next
    }

    private func closesKey(_ index: Int) -> Bool {
        let next = skipSpaces(from: index + 1)
        return next < bytes.count && bytes[next] == UInt8(ascii: ":")
    }

    /// An anchor or an alias: its sign with a name behind it, at the start of a token.
    private func isName(_ index: Int) -> Bool {
        startsToken(index) && index + 1 < bytes.count && YAMLPrescan.isAnchorByte(bytes[index + 1])
    }

    private func isAliasKey(_ index: Int) -> Bool {
        guard isName(index) else { return false }
        var next = index + 1
        while next < bytes.count, YAMLPrescan.isAnchorByte(bytes[next]) { next += 1 }
        next = skipSpaces(from: next)
        return next < bytes.count && bytes[next] == UInt8(ascii: ":")
    }

    private static func isAnchorByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x5F || byte == 0x2D
    }

    private func place(_ index: Int) -> SourcePlace {
        let before = bytes[..<index]
        let line = before.count { $0 == 0x0A } + 1
        let start = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        return .file(line: line, column: bytes[start..<index].count { $0 & 0xC0 != 0x80 } + 1)
    }
}
