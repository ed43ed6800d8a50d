import WeightFiles

extension JSONValue {
    static func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
    static func optional(_ number: Int?) -> JSONValue { number.map(JSONValue.integer) ?? .null }
    static func optional(_ number: UInt64?) -> JSONValue { number.map { .number(String($0)) } ?? .null }
    /// `null` for nil, NaN and infinities.
    static func optional(_ number: Double?) -> JSONValue { number.map(JSONValue.double) ?? .null }

    static func texts(_ values: some Sequence<String>) -> JSONValue { .array(values.map(JSONValue.string)) }

    /// The document of a command: `schema` first.
    static func document(_ command: String, _ members: [Member]) -> JSONValue {
        .object([.init("schema", .string("lorabank.\(command)/1"))] + members)
    }
}
