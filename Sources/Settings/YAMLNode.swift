/// A YAML document as a tree in which every value knows where it was written.
///
/// Aliases are expanded (within ``YAMLLimits``), keys are text and unique, tags are refused. Plain scalars are read by
/// the core schema of YAML 1.2: `yes`, `on` and `0o17` without the `o` are text, not booleans or numbers.
public struct YAMLNode: Hashable, Sendable {
    public struct Member: Hashable, Sendable {
        public var key: String
        public var keyPlace: SourcePlace
        public var value: YAMLNode

        public init(key: String, keyPlace: SourcePlace, value: YAMLNode) {
            self.key = key
            self.keyPlace = keyPlace
            self.value = value
        }
    }

    public indirect enum Content: Hashable, Sendable {
        case scalar(YAMLScalar)
        case sequence([YAMLNode])
        /// In file order.
        case mapping([Member])
    }

    public var content: Content
    public var place: SourcePlace

    public init(_ content: Content, at place: SourcePlace) {
        self.content = content
        self.place = place
    }

    public var scalar: YAMLScalar? {
        if case .scalar(let scalar) = content { scalar } else { nil }
    }

    public var sequence: [YAMLNode]? {
        if case .sequence(let items) = content { items } else { nil }
    }

    public var members: [Member]? {
        if case .mapping(let members) = content { members } else { nil }
    }

    public var isNull: Bool { scalar?.value == .null }

    /// The value of a key, nil for other nodes and missing keys.
    public subscript(key: String) -> YAMLNode? { members?.first { $0.key == key }?.value }

    /// What stands here, for error messages: `the text 'abc'`, `a list`.
    public var whatItIs: String {
        switch content {
        case .sequence: "a list"
        case .mapping: "a mapping"
        case .scalar(let scalar):
            switch scalar.value {
            case .null: "nothing"
            case .bool(let value): value ? "true" : "false"
            case .number: "the number \(scalar.text)"
            case .text: "the text '\(scalar.text)'"
            }
        }
    }
}

extension YAMLNode {
    /// The same tree with one place everywhere.
    public func moved(to place: SourcePlace) -> YAMLNode {
        switch content {
        case .scalar: YAMLNode(content, at: place)
        case .sequence(let items): YAMLNode(.sequence(items.map { $0.moved(to: place) }), at: place)
        case .mapping(let members):
            YAMLNode(
                .mapping(
                    members.map { Member(key: $0.key, keyPlace: place, value: $0.value.moved(to: place)) }), at: place)
        }
    }

    /// A tree made by the program.
    public static func text(_ text: String, at place: SourcePlace) -> YAMLNode {
        YAMLNode(.scalar(YAMLScalar(text, quoted: true)), at: place)
    }

    public static func mapping(_ members: [(String, YAMLNode)], at place: SourcePlace) -> YAMLNode {
        YAMLNode(.mapping(members.map { Member(key: $0.0, keyPlace: place, value: $0.1) }), at: place)
    }
}
