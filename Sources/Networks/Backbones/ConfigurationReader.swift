import Diagnostics
import WeightFiles

/// Typed access to a `config.json`, with errors that name the key.
struct ConfigurationReader {
    let json: JSONValue
    let path: String

    subscript(key: String) -> JSONValue? {
        if case .null? = json[key] { return nil }
        return json[key]
    }

    var modelType: String { self["model_type"]?.string ?? "" }

    /// A positive whole number; the first key that is present counts.
    func count(_ keys: String..., default fallback: Int? = nil) throws -> Int {
        for key in keys {
            guard let value = self[key] else { continue }
            guard let number = value.integer, number > 0, number < 1 << 31 else {
                throw Failure(.configBadType, "'\(key)' must be a positive whole number", path: path, place: key)
            }
            return number
        }
        guard let fallback else {
            throw Failure(.configMissingField, "'\(keys[0])' is missing", path: path, place: keys[0])
        }
        return fallback
    }

    func number(_ key: String, default fallback: Double) throws -> Double {
        guard let value = self[key] else { return fallback }
        guard let number = value.double, number.isFinite else {
            throw Failure(.configBadType, "'\(key)' must be a number", path: path, place: key)
        }
        return number
    }

    func flag(_ key: String, default fallback: Bool) throws -> Bool {
        guard let value = self[key] else { return fallback }
        guard let flag = value.bool else {
            throw Failure(.configBadType, "'\(key)' must be true or false", path: path, place: key)
        }
        return flag
    }

    func activation(_ key: String, default fallback: String) throws -> Activation {
        let name = self[key]?.string ?? fallback
        guard let activation = Activation(configurationName: name) else {
            throw unsupported("the activation '\(name)'", key)
        }
        return activation
    }

    func unsupported(_ what: String, _ key: String) -> Failure {
        Failure(.configFeatureUnsupported, "\(what) is not implemented", path: path, place: key)
    }

    /// - Throws: `config.bad_value` when `whole` is no multiple of `part`.
    func divide(_ whole: Int, by part: Int, _ key: String) throws -> Int {
        guard part > 0, whole % part == 0 else {
            throw Failure(.configBadValue, "\(whole) is not divisible by \(part)", path: path, place: key)
        }
        return whole / part
    }
}
