import Diagnostics

/// A dotted path into a recipe: `output.rank`, `models[0].parameters.weight`, `models[*].weight`.
public struct SettingPath: Hashable, Sendable {
    public enum Segment: Hashable, Sendable {
        case key(String)
        case index(Int)
        /// `[*]`: every item.
        case every
    }

    public var segments: [Segment]

    /// - Throws: `recipe.bad_parameter` for an empty part or a bracket that holds neither a number nor `*`.
    public init(_ text: String, at place: SourcePlace) throws {
        segments = []
        for part in text.split(separator: ".", omittingEmptySubsequences: false) {
            var rest = part
            let key = rest.prefix { $0 != "[" }
            rest = rest.dropFirst(key.count)
            guard !key.isEmpty else { throw SettingPath.malformed(text, place) }
            segments.append(.key(String(key)))
            while rest.first == "[" {
                guard let end = rest.firstIndex(of: "]") else { throw SettingPath.malformed(text, place) }
                let inner = rest[rest.index(after: rest.startIndex)..<end]
                if inner == "*" {
                    segments.append(.every)
                } else if let index = Int(inner), index >= 0 {
                    segments.append(.index(index))
                } else {
                    throw SettingPath.malformed(text, place)
                }
                rest = rest[rest.index(after: end)...]
            }
            guard rest.isEmpty else { throw SettingPath.malformed(text, place) }
        }
    }

    private static func malformed(_ text: String, _ place: SourcePlace) -> Failure {
        Failure(
            .recipeBadParameter, "'\(text)' is no path to a setting", place: place.description,
            hint: "like output.rank, parameters.lambda, models[0].parameters.weight")
    }
}

/// One `--set key=value`.
public struct SettingOverride: Sendable {
    public var path: SettingPath
    public var value: YAMLNode
    /// The option as typed, for messages.
    public var place: SourcePlace

    /// - Parameter text: `key=value`; the value is read as YAML.
    /// - Throws: `usage.bad_argument` without `=`, `recipe.syntax`, `recipe.bad_parameter`.
    public init(_ text: String) throws {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else {
            throw Failure(
                .usageBadArgument, "'--set \(text)' is not of the form key=value",
                hint: "for example --set output.rank=32")
        }
        place = .option("--set \(text)")
        path = try SettingPath(String(parts[0]), at: place)
        value = try YAMLReader.value(String(parts[1]), option: "--set \(text)")
    }

    /// The tree with the value put in. Mappings on the way are made when missing, list items are not.
    ///
    /// - Throws: `recipe.bad_parameter` when the path leads through something that is neither.
    public func applied(to root: YAMLNode) throws -> YAMLNode { try replacing(root, path.segments[...]) }

    private func replacing(_ node: YAMLNode, _ segments: ArraySlice<SettingPath.Segment>) throws -> YAMLNode {
        guard let segment = segments.first else { return value }
        let rest = segments.dropFirst()
        switch segment {
        case .key(let key):
            guard var members = node.isNull ? [] : node.members else { throw dead(node, "key '\(key)'") }
            if let index = members.firstIndex(where: { $0.key == key }) {
                members[index].value = try replacing(members[index].value, rest)
            } else {
                let empty = YAMLNode(.scalar(YAMLScalar("", quoted: false)), at: place)
                members.append(YAMLNode.Member(key: key, keyPlace: place, value: try replacing(empty, rest)))
            }
            return YAMLNode(.mapping(members), at: node.place)
        case .index(let index):
            guard var items = node.sequence, items.indices.contains(index) else { throw dead(node, "item [\(index)]") }
            items[index] = try replacing(items[index], rest)
            return YAMLNode(.sequence(items), at: node.place)
        case .every:
            guard let items = node.sequence else { throw dead(node, "list") }
            return YAMLNode(.sequence(try items.map { try replacing($0, rest) }), at: node.place)
        }
    }

    private func dead(_ node: YAMLNode, _ missing: String) -> Failure {
        let count = node.sequence.map { " with \($0.count) items" } ?? ""
        return Failure(
            .recipeBadParameter, "the path leads to no \(missing): there is \(node.whatItIs)\(count)",
            place: place.description)
    }
}
