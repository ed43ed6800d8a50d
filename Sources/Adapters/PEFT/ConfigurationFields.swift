import Diagnostics
import WeightFiles

/// Typed access to the fields of an adapter configuration. A missing field and a null count as the default.
struct ConfigurationFields {
    let document: JSONValue

    /// - Throws: `config.bad_type` when the document is no object, `config.bad_value` for a number anywhere in it that
    ///   does not fit a double.
    init(_ document: JSONValue) throws {
        guard document.members != nil else { throw Failure(.configBadType, "the configuration is not a JSON object") }
        try ConfigurationFields.checkNumbers(in: document, at: "")
        self.document = document
    }

    subscript(name: String) -> JSONValue? {
        guard let value = document[name], value != .null else { return nil }
        return value
    }

    private static func checkNumbers(in value: JSONValue, at place: String) throws {
        switch value {
        case .number(let literal):
            guard value.double?.isFinite == true else {
                throw Failure(.configBadValue, "the number \(literal.prefix(40)) is out of range", place: place)
            }
        case .array(let values): for value in values { try checkNumbers(in: value, at: place) }
        case .object(let members):
            for member in members {
                try checkNumbers(in: member.value, at: place.isEmpty ? member.key : place + "." + member.key)
            }
        default: break
        }
    }

    func string(_ name: String) throws -> String? {
        try self[name].map { value in
            guard let text = value.string else { throw wrongType(name, value, expected: "a string") }
            return text
        }
    }

    func bool(_ name: String) throws -> Bool {
        guard let value = self[name] else { return false }
        guard let flag = value.bool else { throw wrongType(name, value, expected: "true or false") }
        return flag
    }

    /// A rank. Unlike other fields it may not be null.
    func rank(_ name: String, default fallback: Int) throws -> Int {
        guard let value = document[name] else { return fallback }
        return try ConfigurationFields.rank(value, at: name)
    }

    static func rank(_ value: JSONValue, at place: String) throws -> Int {
        guard case .number(let literal) = value else { throw wrongType(place, value, expected: "an integer") }
        guard literal.allSatisfy({ $0.isNumber || $0 == "-" }) else {
            throw wrongType(place, value, expected: "an integer")
        }
        guard let rank = value.integer, rank >= 1, rank <= Int(Int32.max) else {
            throw Failure(.configBadValue, "\(place) is \(literal.prefix(40)); a rank is at least 1", place: place)
        }
        return rank
    }

    func number(_ name: String, default fallback: Double) throws -> Double {
        guard let value = document[name] else { return fallback }
        return try ConfigurationFields.number(value, at: name)
    }

    static func number(_ value: JSONValue, at place: String) throws -> Double {
        guard let number = value.double else { throw wrongType(place, value, expected: "a number") }
        return number
    }

    func strings(_ name: String) throws -> [String] {
        guard let value = self[name] else { return [] }
        guard let values = value.array else { throw wrongType(name, value, expected: "an array of strings") }
        return try values.map {
            guard let text = $0.string else { throw wrongType(name, $0, expected: "an array of strings") }
            return text
        }
    }

    /// Checks the type only: a string or an array of strings.
    func checkStringOrStrings(_ name: String) throws {
        guard let value = self[name], value.string == nil else { return }
        _ = try strings(name)
    }

    /// Checks the type only: an integer or an array of integers.
    func checkIntegerOrIntegers(_ name: String) throws {
        guard let value = self[name] else { return }
        for element in value.array ?? [value] where element.integer == nil {
            throw wrongType(name, element, expected: "an integer or an array of integers")
        }
    }

    func pattern<Value>(
        _ name: String, _ convert: (JSONValue, String) throws -> Value
    ) throws -> ModulePatterns<Value> {
        guard let value = self[name] else { return ModulePatterns([]) }
        guard let members = value.members else { throw wrongType(name, value, expected: "an object") }
        return ModulePatterns(try members.map { ($0.key, try convert($0.value, name + "." + $0.key)) })
    }

    func wrongType(_ name: String, _ value: JSONValue, expected: String) -> Failure {
        ConfigurationFields.wrongType(name, value, expected: expected)
    }

    static func wrongType(_ name: String, _ value: JSONValue, expected: String) -> Failure {
        let found =
            switch value {
            case .null: "null"
            case .bool: "a truth value"
            case .number(let literal): "the number \(literal.prefix(40))"
            case .string: "a string"
            case .array: "an array"
            case .object: "an object"
            }
        return Failure(.configBadType, "\(name) is \(found), not \(expected)", place: name)
    }
}
