import Diagnostics

/// What the catalogue takes from a model card (`README.md`): the first heading and single-line fields of its front
/// matter. Everything is data: control characters are dropped.
struct ModelCard: Hashable {
    var title: String?
    var licence: String?
    var author: String?

    init(_ text: String?) {
        guard let text else { return }
        let lines = text.split(whereSeparator: \.isNewline).prefix(400)
        var body = lines[...]
        if lines.first == "---", let end = lines.dropFirst().firstIndex(of: "---") {
            for line in lines[1..<end] { take(line) }
            body = lines[(end + 1)...]
        }
        if let heading = body.first(where: { $0.hasPrefix("# ") }) { title = ModelCard.clean(heading.dropFirst(2)) }
    }

    private mutating func take(_ line: Substring) {
        let parts = line.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return }
        let value = ModelCard.clean(parts[1].drop { $0 == " " })
        switch parts[0] {
        case "license", "licence": licence = value
        case "author": author = value
        default: break
        }
    }

    private static func clean(_ text: Substring) -> String? {
        let scalars = text.unicodeScalars.filter { !ForeignText.isUnsafe($0) }.prefix(200)
        var result = ""
        result.unicodeScalars.append(contentsOf: scalars)
        while let last = result.last, last.isWhitespace { result.removeLast() }
        if result.count >= 2, let quote = result.first, quote == "\"" || quote == "'", result.last == quote {
            result = String(result.dropFirst().dropLast())
        }
        return result.isEmpty ? nil : result
    }
}
