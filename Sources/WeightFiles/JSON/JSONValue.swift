/// A JSON document that was parsed strictly: key order is kept, duplicate keys were refused, numbers keep their literal.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    /// The literal as written, e.g. `8`, `1e-05`; already checked against the JSON grammar.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    public struct Member: Hashable, Sendable {
        public var key: String
        public var value: JSONValue

        public init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// The member of an object, nil for other values and missing keys.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    public var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// A number without fraction and exponent that fits; nil otherwise.
    public var integer: Int? {
        if case .number(let literal) = self { Int(literal) } else { nil }
    }

    /// Any number; infinite when the literal overflows.
    public var double: Double? {
        if case .number(let literal) = self { Double(literal) } else { nil }
    }

    public var array: [JSONValue]? {
        if case .array(let values) = self { values } else { nil }
    }

    public var members: [Member]? {
        if case .object(let members) = self { members } else { nil }
    }
}
