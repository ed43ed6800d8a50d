import Diagnostics
import Settings

/// Reads `output` and `limits`.
enum OutputReader {
    static let keys = ["name", "rank", "dtype", "split", "uniform", "tags", "sink"]

    static func output(_ fields: FieldReader) throws -> OutputSettings {
        try fields.refuseUnknown(
            known: keys, hints: ["path": "give the path on the command line: --to PATH"])
        var output = OutputSettings()
        output.name = try fields.text("name")?.value
        if let node = fields["rank"] { output.rank = try rank(node, fields) }
        output.precision = try fields.choice("dtype", of: OutputPlan.Precision.self)?.value
        output.split = try fields.choice("split", of: FactorSplit.self)?.value
        output.uniform = try fields.bool("uniform")?.value
        output.tags = try tags(fields)
        enum Sink: String, CaseIterable {
            case adapter, dense
            case reportOnly = "report-only"
        }
        output.sink = try fields.choice("sink", of: Sink.self).map { Located($0.value.rawValue, at: $0.place) }
        return output
    }

    /// `keep`, `max`, `auto`, a whole number ≥ 1, `{energy: e}` or `{tail: ε}`.
    private static func rank(_ node: YAMLNode, _ fields: FieldReader) throws -> OutputRank {
        let wrong = fields.wrongType(
            "rank", expected: "keep, max, auto, a whole number, {energy: 0...1} or {tail: 0...1}", found: node)
        if let members = node.members {
            guard members.count == 1, let share = FieldReader.number(members[0].value), share >= 0, share <= 1 else {
                throw wrong
            }
            switch members[0].key {
            case "energy" where share > 0: return .energy(share)
            case "tail": return .tail(share)
            case "energy": throw wrong
            default:
                throw Failure(
                    .recipeUnknownKey, "unknown key '\(members[0].key)' in 'output.rank'",
                    place: members[0].keyPlace.description,
                    hint: Spelling.hint(for: members[0].key, among: ["energy", "tail"]) ?? "known here: energy, tail")
            }
        }
        if let rank = FieldReader.integer(node), rank >= 1 { return .fixed(rank) }
        switch node.scalar?.text {
        case "keep": return .keep
        case "max": return .max
        case "auto": return .auto
        default: throw wrong
        }
    }

    /// A list of `K` or `K=V`, or a mapping.
    private static func tags(_ fields: FieldReader) throws -> [String: String] {
        var tags: [String: String] = [:]
        guard let node = fields["tags"] else { return tags }
        if let members = node.members {
            for member in members {
                guard let scalar = member.value.scalar else {
                    throw fields.wrongType("tags.\(member.key)", expected: "text", found: member.value)
                }
                tags[member.key] = scalar.value == .null ? "" : scalar.text
            }
            return tags
        }
        for tag in try fields.texts("tags") {
            let parts = tag.value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = parts.first, !key.isEmpty else {
                throw Failure(
                    .recipeBadParameter, "the tag '\(tag.value)' has no key", place: tag.place.description)
            }
            tags[String(key)] = parts.count > 1 ? String(parts[1]) : ""
        }
        return tags
    }

    static func limits(_ fields: FieldReader) throws -> LimitSettings {
        try fields.refuseUnknown(known: ["memory", "threads"])
        var limits = LimitSettings()
        if let node = fields["memory"] {
            guard let bytes = node.scalar.flatMap({ ByteCount.parse($0.text) }), bytes >= ByteCount.smallestMemoryLimit
            else {
                throw fields.wrongType("memory", expected: "a size of at least 16MiB like 512MiB or 2GiB", found: node)
            }
            limits.memoryBytes = bytes
        }
        limits.threads = try fields.integer("threads", in: 1...1024)?.value
        return limits
    }
}

/// Sizes as people write them.
public enum ByteCount {
    /// Below this a merge could not hold its row blocks.
    public static let smallestMemoryLimit = 16 << 20

    /// `2GiB`, `512 MiB`, `64KiB`, `1TiB`, `1.5GiB`, or bytes; nil for anything else.
    public static func parse(_ text: String) -> Int? {
        let units: [(suffix: String, factor: Double)] = [
            ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776), ("B", 1),
        ]
        var digits = text
        var factor = 1.0
        if let unit = units.first(where: { text.hasSuffix($0.suffix) }) {
            digits = String(text.dropLast(unit.suffix.count))
            factor = unit.factor
        }
        while digits.last == " " { digits.removeLast() }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }),
            let value = Double(digits), value * factor < 9e18
        else { return nil }
        return Int(exactly: (value * factor).rounded())
    }
}
