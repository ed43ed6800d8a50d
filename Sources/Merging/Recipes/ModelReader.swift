import Diagnostics
import Settings

/// Reads `models`.
struct ModelReader {
    let settings: SettingReader

    func models(_ fields: FieldReader) throws -> [ModelEntry] {
        let items = try fields.list("models")
        guard !items.isEmpty else {
            throw Failure(
                .recipeBadParameter, "the recipe names no models",
                place: (fields["models"]?.place ?? fields.place).description,
                hint: "models: [ { model: NAME }, { model: \"tag:set=starter\" } ]")
        }
        return try items.enumerated().map { index, item in try entry(item, what: "models[\(index)]") }
    }

    /// A mapping with `model`, or the reference alone.
    private func entry(_ node: YAMLNode, what: String) throws -> ModelEntry {
        if let scalar = node.scalar, scalar.value != .null, !scalar.text.isEmpty {
            return try entry(Located(scalar.text, at: node.place), ParameterBlock())
        }
        let fields = try FieldReader(node, what: what, emptyIsMapping: false)
        try fields.refuseUnknown(
            known: ["model", "parameters"],
            hints: ["weight": "write parameters: { weight: … }", "density": "write parameters: { density: … }"])
        guard let reference = try fields.text("model") else {
            throw Failure(.recipeBadParameter, "'\(what)' has no 'model'", place: node.place.description)
        }
        return try entry(reference, try settings.block(fields["parameters"], what: fields.path("parameters")))
    }

    private func entry(_ reference: Located<String>, _ parameters: ParameterBlock) throws -> ModelEntry {
        guard reference.value.hasPrefix("stage:") else {
            return ModelEntry(reference: reference, isStage: false, parameters: parameters)
        }
        let stage = String(reference.value.dropFirst("stage:".count))
        guard !stage.isEmpty else {
            throw Failure(.recipeBadParameter, "'stage:' without a name", place: reference.place.description)
        }
        return ModelEntry(reference: Located(stage, at: reference.place), isStage: true, parameters: parameters)
    }
}

/// Reads the `models` of an override or a layer range: entries name a model of the stage, or stand in its order.
struct ModelScope {
    let models: [ModelEntry]
    let settings: SettingReader

    func parameters(_ fields: FieldReader) throws -> [ModelParameters] {
        try fields.list("models").enumerated().map { index, item in
            let what = "\(fields.path("models"))[\(index)]"
            let entry = try FieldReader(item, what: what, emptyIsMapping: true)
            try entry.refuseUnknown(known: ["model", "parameters"])
            return ModelParameters(
                model: try position(try entry.text("model"), index, item, what),
                parameters: try settings.block(entry["parameters"], what: entry.path("parameters")))
        }
    }

    private func position(_ name: Located<String>?, _ index: Int, _ node: YAMLNode, _ what: String) throws -> Int {
        guard let name else {
            guard models.indices.contains(index) else {
                throw Failure(
                    .recipeBadParameter, "'\(what)': the recipe has only \(models.count) models",
                    place: node.place.description)
            }
            return index
        }
        let written = models.map { ($0.isStage ? "stage:" : "") + $0.reference.value }
        guard let found = written.firstIndex(of: name.value) else {
            throw Failure(
                .recipeBadParameter, "'\(name.value)' is not one of the recipe's models",
                place: name.place.description, hint: Spelling.hint(for: name.value, among: written))
        }
        return found
    }
}
