import Diagnostics

/// The order in which stages run.
struct StageGraph {
    /// Indices into the recipe's stages: each stage behind those it uses, otherwise file order.
    let order: [Int]
    /// The stage whose result is the recipe's: the last one that no other stage uses.
    let result: Int
    /// Stages that neither the result nor anything before it uses.
    let unused: [Int]

    /// - Throws: `recipe.bad_parameter` for an unknown stage, two stages of one name, or a cycle.
    init(_ stages: [RecipeStage]) throws {
        var byName: [String: Int] = [:]
        for (index, stage) in stages.enumerated() where !stage.name.isEmpty {
            if byName.updateValue(index, forKey: stage.name) != nil {
                throw Failure(
                    .recipeBadParameter, "two stages are named '\(stage.name)'", place: stage.place.description)
            }
        }
        let uses = try stages.map { stage in
            try stage.models.filter(\.isStage).map { model -> Int in
                guard let index = byName[model.reference.value] else {
                    throw Failure(
                        .recipeBadParameter, "there is no stage '\(model.reference.value)'",
                        place: model.reference.place.description,
                        hint: Spelling.hint(for: model.reference.value, among: byName.keys.sorted()))
                }
                return index
            }
        }
        order = try StageGraph.sorted(stages, uses)
        let used = Set(uses.joined())
        result = stages.indices.last { !used.contains($0) } ?? 0
        var needed: Set<Int> = [result]
        for index in order.reversed() where needed.contains(index) { needed.formUnion(uses[index]) }
        unused = stages.indices.filter { !needed.contains($0) }
    }

    /// Repeatedly takes the first stage in file order whose operands are all done.
    private static func sorted(_ stages: [RecipeStage], _ uses: [[Int]]) throws -> [Int] {
        var waiting = uses.map { Set($0).count }
        var users = [[Int]](repeating: [], count: stages.count)
        for (index, needed) in uses.enumerated() { for stage in Set(needed) { users[stage].append(index) } }
        var order: [Int] = []
        var done = [Bool](repeating: false, count: stages.count)
        while order.count < stages.count {
            guard let next = stages.indices.first(where: { !done[$0] && waiting[$0] == 0 }) else {
                let names = stages.indices.filter { !done[$0] }.map { "'\(stages[$0].name)'" }
                let first = stages.indices.first { !done[$0] } ?? 0
                throw Failure(
                    .recipeBadParameter, "the stages \(names.joined(separator: ", ")) wait for one another",
                    place: stages[first].place.description, hint: "a stage can only use stages that do not need it")
            }
            done[next] = true
            order.append(next)
            for user in users[next] { waiting[user] -= 1 }
        }
        return order
    }
}
