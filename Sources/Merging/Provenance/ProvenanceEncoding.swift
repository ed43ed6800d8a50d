import Tensors
import WeightFiles

extension Provenance {
    /// The record as JSON, schema `lorabank.provenance/1`.
    ///
    /// - Parameter includesTimes: false leaves out the wall times, so that equal merges give equal records.
    public func json(includesTimes: Bool = true) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("schema", .string(Provenance.schema)),
            .init("program", .string(program)),
            .init("recipe", recipe.json),
            .init("recipe_sha256", .string(recipe.digest.hex)),
            .init("stages", .array(stages.map { $0.json(includesTimes: includesTimes) })),
            .init("notes", .array(notes.map(\.json))),
        ]
        if includesTimes { members.append(.init("seconds", .double(seconds))) }
        return .object(members)
    }
}

extension Provenance.Stage {
    func json(includesTimes: Bool) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("name", name.isEmpty ? .null : .string(name)),
            .init("method", .string(method)),
            .init("compat", .string(compatibility.rawValue)),
            .init("seed", seed.map { .number(String($0)) } ?? .null),
            .init("inputs", .array(inputs.map(\.json))),
            .init("base", base?.json ?? .null),
            .init("defaults", defaultsJSON),
            .init("modules", .array(record.modules.map(\.json))),
            .init("omitted_modules", .array(omittedModules.map { .string($0) })),
            .init("saved_tensors", .array(record.savedTensors.map { .string($0) })),
            .init("dtype", .string(record.dtype.rawValue)),
            .init("replaced_entries", .integer(record.replacedEntries)),
            .init("warnings", .array(record.warnings.map { .string($0) })),
            .init("notes", .array(notes.map(\.json))),
        ]
        if includesTimes { members.append(.init("seconds", .double(record.seconds))) }
        return .object(members)
    }

    private var defaultsJSON: JSONValue {
        .object(
            defaults.sorted { $0.key < $1.key }.map { method, values in
                .init(method, .object(values.sorted { $0.key < $1.key }.map { .init($0.key, $0.value.json) }))
            })
    }
}

extension Provenance.Input {
    var json: JSONValue {
        .object([
            .init("name", .string(name)),
            .init("version", version.map { .integer($0) } ?? .null),
            .init("object", object.map { .string($0) } ?? .null),
            .init("reference", .string(reference)),
            .init("files", .object(files.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value.hex)) })),
        ])
    }
}

extension PlanNote {
    var json: JSONValue {
        .object([
            .init("code", .string(code)), .init("message", .string(message)),
            .init("place", place.isEmpty ? .null : .string(place)),
        ])
    }
}

extension ParameterValue {
    /// The value as a recipe would write it.
    public var json: JSONValue {
        switch self {
        case .number(let value): .number(NumberText.shortest(value))
        case .bool(let value): .bool(value)
        case .text(let text): .string(text)
        case .choice(let key, let value): .object([.init(key, .number(NumberText.shortest(value)))])
        case .list(let values): .array(values.map(\.json))
        }
    }
}

extension MergeRecord.Module {
    /// One row of `modules` in the provenance.
    var json: JSONValue {
        .object([
            .init("name", .string(name)),
            .init("method", .string(method)),
            .init("rank_in", .integer(rankIn)),
            .init("rank_out", .integer(rankOut)),
            .init("discarded_energy", .double(discardedEnergy)),
            .init("frobenius", .double(frobenius)),
            .init("coverage", .double(coverage)),
            .init("trimmed_share", trimmedShare.map { .double($0) } ?? .null),
            .init("max_rounding_error", .double(maxRoundingError)),
            .init("cosines", cosines.map { .array($0.map { .array($0.map { .double($0) }) }) } ?? .null),
            .init("warnings", .array(warnings.map { .string($0) })),
        ])
    }
}
