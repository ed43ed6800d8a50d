import Diagnostics

/// Reads the keys of one mapping with their types; everything it throws names the place.
public struct FieldReader {
    public let members: [YAMLNode.Member]
    public let place: SourcePlace
    /// What the mapping is, for messages: `output`, `models[2]`; empty for the recipe itself.
    public let what: String

    /// - Parameter emptyIsMapping: a key with nothing behind it counts as an empty mapping.
    public init(_ node: YAMLNode, what: String, emptyIsMapping: Bool = true) throws {
        place = node.place
        self.what = what
        if let found = node.members {
            members = found
        } else if emptyIsMapping, node.isNull {
            members = []
        } else {
            let name = what.isEmpty ? "a recipe" : "'\(what)'"
            throw Failure(
                .recipeBadParameter, "\(name) must be a mapping, found \(node.whatItIs)",
                place: node.place.description)
        }
    }

    public subscript(key: String) -> YAMLNode? { members.first { $0.key == key }?.value }

    public func path(_ key: String) -> String { what.isEmpty ? key : what + "." + key }

    /// - Parameter hints: answers for keys that people put here by mistake.
    /// - Throws: `recipe.unknown_key` for the first key that is not in `known`.
    public func refuseUnknown(known: [String], hints: [String: String] = [:]) throws {
        guard let stranger = members.first(where: { !known.contains($0.key) }) else { return }
        let location = what.isEmpty ? "" : " in '\(what)'"
        throw Failure(
            .recipeUnknownKey, "unknown key '\(stranger.key)'\(location)", place: stranger.keyPlace.description,
            hint: hints[stranger.key] ?? Spelling.hint(for: stranger.key, among: known)
                ?? "known here: \(known.joined(separator: ", "))")
    }

    public func wrongType(_ key: String, expected: String, found node: YAMLNode) -> Failure {
        Failure(
            .recipeBadParameter, "'\(path(key))' must be \(expected), found \(node.whatItIs)",
            place: node.place.description)
    }

    // MARK: Scalars

    /// Text; a number or a boolean counts as its text.
    public func text(_ key: String) throws -> Located<String>? {
        guard let node = self[key] else { return nil }
        guard let scalar = node.scalar, scalar.value != .null, !scalar.text.isEmpty else {
            throw wrongType(key, expected: "text", found: node)
        }
        return Located(scalar.text, at: node.place)
    }

    public func bool(_ key: String) throws -> Located<Bool>? {
        guard let node = self[key] else { return nil }
        guard case .bool(let value) = node.scalar?.value else {
            throw wrongType(key, expected: "true or false", found: node)
        }
        return Located(value, at: node.place)
    }

    public func integer(_ key: String, in range: ClosedRange<Int>) throws -> Located<Int>? {
        guard let node = self[key] else { return nil }
        guard let value = FieldReader.integer(node), range.contains(value) else {
            let bounds =
                range.upperBound == .max
                ? "of at least \(range.lowerBound)" : "in \(range.lowerBound)...\(range.upperBound)"
            throw wrongType(key, expected: "a whole number \(bounds)", found: node)
        }
        return Located(value, at: node.place)
    }

    public func unsigned(_ key: String) throws -> UInt64? {
        guard let node = self[key] else { return nil }
        guard let value = node.scalar?.unsigned else {
            throw wrongType(key, expected: "a whole number in 0...\(UInt64.max)", found: node)
        }
        return value
    }

    /// One of the raw values of an enumeration.
    public func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, of type: Choice.Type) throws -> Located<
        Choice
    >?
    where Choice.RawValue == String {
        guard let node = self[key] else { return nil }
        let names = Choice.allCases.map(\.rawValue)
        guard let text = node.scalar?.text, let value = Choice(rawValue: text) else {
            var failure = wrongType(key, expected: "one of \(names.joined(separator: ", "))", found: node)
            failure.hint = node.scalar.flatMap { Spelling.hint(for: $0.text, among: names) }
            throw failure
        }
        return Located(value, at: node.place)
    }

    public static func integer(_ node: YAMLNode) -> Int? {
        guard let scalar = node.scalar, case .number(let value) = scalar.value else { return nil }
        if let magnitude = scalar.unsigned { return Int(exactly: magnitude) }
        return Int(exactly: value)
    }

    public static func number(_ node: YAMLNode) -> Double? {
        if case .number(let value) = node.scalar?.value { value } else { nil }
    }

    // MARK: Collections

    /// The items of a list; missing or empty gives none.
    public func list(_ key: String) throws -> [YAMLNode] {
        guard let node = self[key], !node.isNull else { return [] }
        guard let items = node.sequence else { throw wrongType(key, expected: "a list", found: node) }
        return items
    }

    /// A list of texts, or one text.
    public func texts(_ key: String) throws -> [Located<String>] {
        guard let node = self[key], !node.isNull else { return [] }
        let items = node.sequence ?? [node]
        return try items.enumerated().map { index, item in
            guard let scalar = item.scalar, scalar.value != .null, !scalar.text.isEmpty else {
                throw wrongType(node.sequence == nil ? key : "\(key)[\(index)]", expected: "text", found: item)
            }
            return Located(scalar.text, at: item.place)
        }
    }

    /// The mapping behind a key, nil when it is missing.
    public func mapping(_ key: String) throws -> FieldReader? {
        guard let node = self[key] else { return nil }
        return try FieldReader(node, what: path(key))
    }
}
