import WeightFiles

/// JSON Schema under construction: JSON with literals, so that the schema's code reads like a schema.
indirect enum SchemaNode {
    case string(String)
    case bool(Bool)
    case number(String)
    case array([SchemaNode])
    case object([(String, SchemaNode)])

    var json: JSONValue {
        switch self {
        case .string(let text): .string(text)
        case .bool(let flag): .bool(flag)
        case .number(let literal): .number(literal)
        case .array(let items): .array(items.map(\.json))
        case .object(let members): .object(members.map { .init($0.0, $0.1.json) })
        }
    }

    // MARK: Pieces

    /// An object that may have these keys only.
    static func closed(
        _ properties: [(String, SchemaNode)], required: [String] = [], extra: [(String, SchemaNode)] = []
    ) -> SchemaNode {
        var members: [(String, SchemaNode)] = [("type", "object"), ("properties", .object(properties))]
        if !required.isEmpty { members.append(("required", .array(required.map { .string($0) }))) }
        members.append(("additionalProperties", false))
        return .object(members + extra)
    }

    static func reference(_ name: String) -> SchemaNode { ["$ref": .string("#/$defs/" + name)] }

    static func choice(_ words: [String]) -> SchemaNode { ["enum": .array(words.map { .string($0) })] }

    static func text(_ description: String) -> SchemaNode { ["type": "string", "description": .string(description)] }

    static func list(of item: SchemaNode, atLeast minimum: Int = 0) -> SchemaNode {
        ["type": "array", "minItems": .number(String(minimum)), "items": item]
    }

    static let share: SchemaNode = ["type": "number", "minimum": 0, "maximum": 1]
    static let boolean: SchemaNode = ["type": "boolean"]
}

extension SchemaNode: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    init(stringLiteral value: String) { self = .string(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(integerLiteral value: Int) { self = .number(String(value)) }
    init(arrayLiteral elements: SchemaNode...) { self = .array(elements) }
    init(dictionaryLiteral elements: (String, SchemaNode)...) { self = .object(elements) }
}
