import Diagnostics
import Settings

/// Turns what other programs use into recipes of ours (merge-methods 7.4).
public struct RecipeImport: Sendable {
    public enum Source: String, Sendable, CaseIterable {
        case mergekit, peft
    }

    /// A recipe as YAML, checked, and what was left out on the way.
    public struct Result: Sendable {
        public var yaml: String
        public var notes: [PlanNote]
    }

    public var registry: MethodRegistry

    public init(registry: MethodRegistry = .standard) { self.registry = registry }

    /// - Parameter text: a mergekit file (several documents become stages), or the arguments of PEFT's
    ///   `add_weighted_adapter` as YAML or JSON: `adapters`, `weights`, `combination_type`, `svd_rank`, `svd_clamp`,
    ///   `density`, `majority_sign_method`.
    /// - Throws: `recipe.*` with the place in the source.
    public func recipe(from source: Source, text: String) throws -> Result {
        let documents = try YAMLReader.documents(in: text).filter { !$0.isNull }
        guard let first = documents.first else { throw Failure(.recipeSyntax, "the file is empty") }
        var notes: [PlanNote] = []
        var trees: [YAMLNode] = []
        let names = documents.compactMap { $0["name"]?.scalar?.text }
        for document in documents {
            let form = MergekitForm(stageNames: names)
            switch source {
            case .mergekit: trees.append(try form.nativeTree(RecipeImport.named(document), notes: &notes))
            case .peft: trees.append(try PEFTCall(document).tree())
            }
        }
        let root =
            trees.count == 1
            ? trees[0] : YAMLNode.mapping([("stages", YAMLNode(.sequence(trees), at: first.place))], at: first.place)
        _ = try RecipeReader(registry: registry).read(tree: root, folder: "", overrides: [])
        return Result(yaml: YAMLWriter.text(root), notes: notes)
    }

    /// With `compat: mergekit`, whatever the file says about itself.
    private static func named(_ document: YAMLNode) -> YAMLNode {
        guard let members = document.members else { return document }
        let others = members.filter { $0.key != "compat" }
        let compat = YAMLNode.Member(
            key: "compat", keyPlace: document.place,
            value: .text(Compatibility.mergekit.rawValue, at: document.place))
        return YAMLNode(.mapping(others + [compat]), at: document.place)
    }
}

/// The arguments of PEFT's `add_weighted_adapter`.
private struct PEFTCall {
    private let fields: FieldReader

    init(_ node: YAMLNode) throws {
        fields = try FieldReader(node, what: "", emptyIsMapping: false)
        try fields.refuseUnknown(known: [
            "adapters", "weights", "adapter_name", "combination_type", "svd_rank", "svd_clamp", "svd_full_matrices",
            "svd_driver", "density", "majority_sign_method",
        ])
    }

    func tree() throws -> YAMLNode {
        let place = fields.place
        let adapters = try fields.texts("adapters")
        let weights = try fields.list("weights")
        guard !adapters.isEmpty, weights.isEmpty || weights.count == adapters.count else {
            throw Failure(
                .recipeBadParameter, "\(adapters.count) adapters and \(weights.count) weights",
                place: place.description, hint: "'adapters' and 'weights' are lists of the same length")
        }
        let models = adapters.enumerated().map { index, adapter -> YAMLNode in
            var members: [(String, YAMLNode)] = [("model", .text(adapter.value, at: adapter.place))]
            if !weights.isEmpty { members.append(("parameters", .mapping([("weight", weights[index])], at: place))) }
            return .mapping(members, at: adapter.place)
        }
        let parameters = ["svd_rank", "svd_clamp", "density", "majority_sign_method"].compactMap { key in
            fields[key].flatMap { $0.isNull ? nil : (key, $0) }
        }
        // PEFT's own default.
        var members: [(String, YAMLNode)] = [
            ("merge_method", fields["combination_type"] ?? .text("svd", at: place)),
            ("compat", .text(Compatibility.peft.rawValue, at: place)),
            ("models", YAMLNode(.sequence(models), at: place)),
        ]
        if !parameters.isEmpty { members.append(("parameters", .mapping(parameters, at: place))) }
        if let name = fields["adapter_name"] { members.insert(("name", name), at: 0) }
        return .mapping(members, at: place)
    }
}
