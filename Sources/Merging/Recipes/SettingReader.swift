import Diagnostics
import Settings

/// Reads the values of parameters (merge-methods 7.2).
struct SettingReader {
    /// mergekit's rule for filters: plain text means "contains".
    var plainFilterIsSubstring = false

    /// All entries of a `parameters:` mapping, types not yet checked against a method.
    func block(_ node: YAMLNode?, what: String) throws -> ParameterBlock {
        guard let node else { return ParameterBlock() }
        let fields = try FieldReader(node, what: what)
        return ParameterBlock(
            try SettingReader.withoutGroups(fields.members).map { member in
                ParameterBlock.Entry(
                    name: member.key, place: member.keyPlace,
                    setting: try setting(member.value, what: fields.path(member.key)))
            })
    }

    /// Tolerances may be written as a group: `tol: { polar: 1e-9 }` is `tol.polar: 1e-9`.
    private static func withoutGroups(_ members: [YAMLNode.Member]) -> [YAMLNode.Member] {
        members.flatMap { member -> [YAMLNode.Member] in
            guard member.key == "tol", let inner = member.value.members else { return [member] }
            return inner.map { YAMLNode.Member(key: "tol." + $0.key, keyPlace: $0.keyPlace, value: $0.value) }
        }
    }

    func setting(_ node: YAMLNode, what: String) throws -> Setting {
        switch node.content {
        case .scalar: return .value(try value(node, what: what))
        case .sequence(let items): return try list(items, node, what: what)
        case .mapping(let members):
            if members.contains(where: { $0.key == "per" }) { return try per(node, what: what) }
            if members.contains(where: { $0.key == "filter" || $0.key == "value" }) {
                throw Failure(
                    .recipeBadParameter, "'\(what)' has a filter outside a list", place: node.place.description,
                    hint: "write a list of entries: [{filter: \"*.mlp.*\", value: 0.5}, {value: 1.0}]")
            }
            return .value(try value(node, what: what))
        }
    }

    /// A scalar, or a mapping with one key and a number (`{energy: 0.99}`).
    private func value(_ node: YAMLNode, what: String) throws -> SettingValue {
        if let scalar = node.scalar {
            switch scalar.value {
            case .number(let number): return SettingValue(form: .number(number), place: node.place)
            case .bool(let bool): return SettingValue(form: .bool(bool), place: node.place)
            case .text where !scalar.text.isEmpty: return SettingValue(form: .text(scalar.text), place: node.place)
            case .null, .text: break
            }
        } else if let members = node.members, members.count == 1, let number = FieldReader.number(members[0].value) {
            return SettingValue(form: .keyed(members[0].key, number), place: node.place)
        }
        throw Failure(
            .recipeBadParameter, "'\(what)' has no usable value: \(node.whatItIs)", place: node.place.description,
            hint: "a number, true or false, a word, a list of numbers (over the layers), or a list of filters")
    }

    private func list(_ items: [YAMLNode], _ node: YAMLNode, what: String) throws -> Setting {
        if let first = items.first, first.members != nil {
            return .filtered(
                try items.enumerated().map { index, item in
                    try filtered(item, what: "\(what)[\(index)]")
                })
        }
        var values: [Double] = []
        for item in items {
            guard let number = FieldReader.number(item) else {
                throw Failure(
                    .recipeBadParameter, "the list '\(what)' may hold only numbers, found \(item.whatItIs)",
                    place: item.place.description)
            }
            values.append(number)
        }
        guard !values.isEmpty else {
            throw Failure(.recipeBadParameter, "the list '\(what)' is empty", place: node.place.description)
        }
        return .gradient(values, node.place)
    }

    private func filtered(_ node: YAMLNode, what: String) throws -> (filter: ModulePattern?, value: Setting) {
        let fields = try FieldReader(node, what: what, emptyIsMapping: false)
        try fields.refuseUnknown(known: ["filter", "value"])
        guard let inner = fields["value"] else {
            throw Failure(.recipeBadParameter, "'\(what)' has no 'value'", place: node.place.description)
        }
        // mergekit writes `filter: null` or `filter: "*"` for the rest.
        var filter: ModulePattern?
        if let written = fields["filter"], !written.isNull {
            let text = try fields.text("filter") ?? Located("*", at: node.place)
            filter =
                text.value == "*"
                ? nil : try ModulePattern(text.value, at: text.place, plainIsSubstring: plainFilterIsSubstring)
        }
        let value = try setting(inner, what: fields.path("value"))
        switch value {
        case .value, .gradient: return (filter, value)
        case .filtered, .perLayer, .perModule:
            throw Failure(
                .recipeBadParameter, "the value of a filter must be one value or a list of numbers",
                place: inner.place.description)
        }
    }

    private func per(_ node: YAMLNode, what: String) throws -> Setting {
        let fields = try FieldReader(node, what: what)
        try fields.refuseUnknown(known: ["per", "values"])
        enum Axis: String, CaseIterable { case layer, module }
        guard let axis = try fields.choice("per", of: Axis.self), let values = try fields.mapping("values") else {
            throw Failure(
                .recipeBadParameter, "'\(what)' needs 'per' and 'values'", place: node.place.description,
                hint: "{per: layer, values: {0: 0.2, 1: 0.5}}")
        }
        switch axis.value {
        case .module:
            var table: [String: SettingValue] = [:]
            for member in values.members {
                table[member.key] = try value(member.value, what: values.path(member.key))
            }
            return .perModule(table, node.place)
        case .layer:
            var table: [Int: SettingValue] = [:]
            for member in values.members {
                guard let layer = Int(member.key), layer >= 0, String(layer) == member.key else {
                    throw Failure(
                        .recipeBadParameter, "'\(member.key)' is no layer number", place: member.keyPlace.description)
                }
                table[layer] = try value(member.value, what: values.path(member.key))
            }
            return .perLayer(table, node.place)
        }
    }
}
