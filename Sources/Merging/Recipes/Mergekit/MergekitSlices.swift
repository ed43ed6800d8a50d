import Diagnostics
import Settings

/// mergekit's `slices`: the same models over consecutive ranges of layers become `models` and `layers`.
///
/// Slices that stack layers of different models or repeat layers build a new model; no adapter can express that.
struct MergekitSlices {
    private let slices: [FieldReader]
    private let place: SourcePlace

    init(_ node: YAMLNode) throws {
        place = node.place
        guard let items = node.sequence, !items.isEmpty else {
            throw Failure(.recipeBadParameter, "'slices' must be a list", place: node.place.description)
        }
        slices = try items.enumerated().map { index, item in
            let fields = try FieldReader(item, what: "slices[\(index)]", emptyIsMapping: false)
            try fields.refuseUnknown(known: ["sources", "parameters"])
            return fields
        }
    }

    /// `models` and `layers` in our form.
    func members() throws -> [YAMLNode.Member] {
        var names: [String] = []
        var models: [YAMLNode] = []
        var layers: [YAMLNode] = []
        var end = 0
        for (index, slice) in slices.enumerated() {
            let sources = try slice.list("sources").enumerated().map {
                try source($1, what: "slices[\(index)].sources[\($0)]")
            }
            guard let first = sources.first else {
                throw Failure(.recipeBadParameter, "'slices[\(index)]' has no sources", place: slice.place.description)
            }
            let own = sources.map(\.name)
            if index == 0 {
                names = own
                models = sources.map { YAMLNode.mapping([("model", $0.model)], at: $0.place) }
            }
            guard own == names, sources.allSatisfy({ $0.range == first.range }), first.range.lowerBound >= end else {
                throw Failure(
                    .recipeBadParameter,
                    "'slices' that stack or repeat layers build a new model; adapters cannot express that",
                    place: slice.place.description,
                    hint: "use slices with the same models and layer_range in ascending order")
            }
            end = first.range.upperBound
            layers.append(layer(slice, sources, first.range))
        }
        return [
            YAMLNode.Member(key: "models", keyPlace: place, value: YAMLNode(.sequence(models), at: place)),
            YAMLNode.Member(key: "layers", keyPlace: place, value: YAMLNode(.sequence(layers), at: place)),
        ]
    }

    private struct Source {
        var model: YAMLNode
        var name: String
        var range: Range<Int>
        var parameters: YAMLNode?
        var place: SourcePlace
    }

    private func source(_ node: YAMLNode, what: String) throws -> Source {
        let fields = try FieldReader(node, what: what, emptyIsMapping: false)
        try fields.refuseUnknown(known: ["model", "layer_range", "parameters"])
        let bounds = try fields.list("layer_range").map { FieldReader.integer($0) ?? -1 }
        guard bounds.count == 2, bounds[0] >= 0, bounds[1] > bounds[0], let model = fields["model"] else {
            throw Failure(
                .recipeBadParameter, "'\(what)' needs 'model' and 'layer_range: [first, end]'",
                place: node.place.description)
        }
        return Source(
            model: model, name: model.scalar?.text ?? "\(model.place)", range: bounds[0]..<bounds[1],
            parameters: fields["parameters"], place: node.place)
    }

    private func layer(_ slice: FieldReader, _ sources: [Source], _ range: Range<Int>) -> YAMLNode {
        let bounds = [range.lowerBound, range.upperBound].map {
            YAMLNode(.scalar(YAMLScalar(String($0), quoted: false)), at: slice.place)
        }
        var members: [(String, YAMLNode)] = [("range", YAMLNode(.sequence(bounds), at: slice.place))]
        if let parameters = slice["parameters"] { members.append(("parameters", parameters)) }
        let models = sources.map { source in
            YAMLNode.mapping(source.parameters.map { [("parameters", $0)] } ?? [], at: source.place)
        }
        members.append(("models", YAMLNode(.sequence(models), at: slice.place)))
        return YAMLNode.mapping(members, at: slice.place)
    }
}
