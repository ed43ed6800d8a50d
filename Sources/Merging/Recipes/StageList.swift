import Diagnostics
import Settings

/// Recipes with several stages: what they share, and where the result is described.
enum StageList {
    /// Keys that may stand beside `stages`; a stage that gives one itself keeps its own.
    static let shared = [
        "compat", "base_model", "seed", "limits", "missing", "others", "allow_base_mismatch", "non_finite", "ignore",
        "drop_zero_weight", "pad", "layer_pattern",
    ]

    /// The only stage: the recipe without the keys that concern the whole file.
    static func single(_ root: YAMLNode) -> YAMLNode {
        guard let members = root.members else { return root }
        return YAMLNode(.mapping(members.filter { $0.key != "version" && $0.key != "search" }), at: root.place)
    }

    /// The stages' trees, each completed with what is shared.
    static func trees(_ fields: FieldReader) throws -> [YAMLNode] {
        try fields.refuseUnknown(
            known: ["version", "name", "stages", "output", "search"] + shared,
            hints: [
                "models": "with 'stages', models stand inside the stages",
                "merge_method": "with 'stages', the method stands inside each stage",
                "parameters": "with 'stages', parameters stand inside each stage",
            ])
        let items = try fields.list("stages")
        guard !items.isEmpty else {
            throw Failure(.recipeBadParameter, "'stages' is empty", place: fields.place.description)
        }
        return try items.enumerated().map { index, item in
            let stage = try FieldReader(item, what: "stages[\(index)]", emptyIsMapping: false)
            if let version = stage["version"], FieldReader.integer(version) != 1 {
                throw stage.wrongType("version", expected: "1", found: version)
            }
            if let search = stage["search"] {
                throw Failure(
                    .recipeBadParameter, "'search' belongs to the whole recipe, not to one stage",
                    place: search.place.description)
            }
            if items.count > 1, stage["name"] == nil, index < items.count - 1 {
                throw Failure(
                    .recipeBadParameter, "'stages[\(index)]' has no 'name'", place: item.place.description,
                    hint: "other stages refer to it as stage:NAME")
            }
            let own = stage.members.filter { $0.key != "version" }
            let inherited = fields.members.filter { member in
                shared.contains(member.key) && !own.contains { $0.key == member.key }
            }
            return YAMLNode(.mapping(own + inherited), at: item.place)
        }
    }

    /// Gives the result stage the recipe's `output`, where it has none of its own, and names a stage without name.
    static func complete(_ stages: inout [RecipeStage], result: Int, _ fields: FieldReader) throws {
        if stages[result].name.isEmpty { stages[result].name = try fields.text("name")?.value ?? "" }
        guard let inner = try fields.mapping("output") else { return }
        let shared = try OutputReader.output(inner)
        var own = stages[result].output
        own.name = own.name ?? shared.name
        own.rank = own.rank ?? shared.rank
        own.precision = own.precision ?? shared.precision
        own.split = own.split ?? shared.split
        own.uniform = own.uniform ?? shared.uniform
        own.sink = own.sink ?? shared.sink
        own.tags.merge(shared.tags) { own, _ in own }
        stages[result].output = own
    }
}
