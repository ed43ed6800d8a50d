import Adapters
import WeightFiles

extension ResolvedRecipe {
    /// - Parameters:
    ///   - order: indices of the stages that run, in order of execution.
    ///   - plans: their plans, same order.
    init(_ recipe: Recipe, order: [Int], plans: [StagePlan]) {
        let stages = zip(order, plans).map { RecipeEncoding(stage: recipe.stages[$0], plan: $1).members() }
        var members: [JSONValue.Member] = [.init("version", .integer(1))]
        if stages.count == 1 {
            members += stages[0]
        } else {
            if let name = recipe.name { members.append(.init("name", .string(name))) }
            members.append(.init("stages", .array(stages.map { .object($0) })))
        }
        json = .object(members)
    }
}

/// One stage as a recipe in JSON.
private struct RecipeEncoding {
    let stage: RecipeStage
    let plan: StagePlan
    private var all: [JSONValue.Member] = []

    init(stage: RecipeStage, plan: StagePlan) {
        self.stage = stage
        self.plan = plan
    }

    func members() -> [JSONValue.Member] {
        var copy = self
        copy.identity()
        copy.rules()
        copy.add("output", copy.output())
        return copy.all
    }

    private mutating func add(_ key: String, _ value: JSONValue) {
        if case .object(let inner) = value, inner.isEmpty { return }
        if case .array(let inner) = value, inner.isEmpty { return }
        all.append(.init(key, value))
    }

    private mutating func identity() {
        if !stage.name.isEmpty { add("name", .string(stage.name)) }
        add("merge_method", .string(stage.method.value))
        if stage.compatibility != .none { add("compat", .string(stage.compatibility.rawValue)) }
        if let base = stage.baseModel { add("base_model", .string(base.value)) }
        add("models", .array(models()))
        add("parameters", block(stage.parameters))
        add(
            "filters",
            object([("include", patterns(stage.filters.include)), ("exclude", patterns(stage.filters.exclude))]))
        add("overrides", .array(stage.overrides.map(override)))
        add("layers", .array(stage.layers.map(layer)))
        if let pattern = stage.layerPattern { add("layer_pattern", .string(pattern.text)) }
        add("post", .array(stage.post.map { .object([.init($0.id.value, block($0.parameters))]) }))
    }

    private mutating func rules() {
        if stage.missing != .skip { add("missing", .string(stage.missing.rawValue)) }
        if let others = stage.others { add("others", .string(others.rawValue)) }
        if let seed = stage.seed { add("seed", .number(String(seed))) }
        if plan.allowBaseMismatch { add("allow_base_mismatch", .bool(true)) }
        if stage.zeroNonFinite { add("non_finite", .string("zero")) }
        add("ignore", patterns(stage.ignore))
        if !stage.dropZeroWeight { add("drop_zero_weight", .bool(false)) }
        if stage.padRanks { add("pad", .string("zero")) }
    }

    // MARK: Models

    private func models() -> [JSONValue] {
        operandEntries().map { operand, entry in
            object([("model", .string(reference(operand))), ("parameters", block(stage.models[entry].parameters))])
        }
    }

    /// Operand → entry of `models`. A tag became several operands, all of the same entry.
    private func operandEntries() -> [(operand: Int, entry: Int)] {
        plan.operands.indices.map { ($0, plan.operandEntries[$0]) }
    }

    private func reference(_ index: Int) -> String {
        if plan.operands[index].reference.hasPrefix("stage:") { return plan.operands[index].reference }
        if let object = plan.operands[index].object { return "id:" + object }
        return plan.operands[index].reference
    }

    /// Parameters of single models, one entry per operand.
    private func models(_ own: [ModelParameters]) -> JSONValue {
        guard !own.isEmpty else { return .array([]) }
        return .array(
            operandEntries().map { _, entry in
                object([("parameters", block(own.first { $0.model == entry }?.parameters ?? ParameterBlock()))])
            })
    }

    private func override(_ entry: MethodOverride) -> JSONValue {
        object([
            ("match", .string(entry.match.text)), ("merge_method", entry.method.map { .string($0.value) } ?? .null),
            ("parameters", block(entry.parameters)), ("models", models(entry.models)),
        ])
    }

    private func layer(_ entry: LayerRangeEntry) -> JSONValue {
        object([
            ("range", .array([.integer(entry.range.lowerBound), .integer(entry.range.upperBound)])),
            ("parameters", block(entry.parameters)), ("models", models(entry.models)),
        ])
    }

    // MARK: Output

    private func output() -> JSONValue {
        let output = stage.output
        return object([
            ("name", output.name.map { .string($0) } ?? .null), ("rank", output.rank.map(rank) ?? .null),
            ("dtype", output.precision.map { .string($0.rawValue) } ?? .null),
            ("split", output.split.map { .string($0.rawValue) } ?? .null),
            ("uniform", output.uniform.map { .bool($0) } ?? .null),
            ("tags", .object(output.tags.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) })),
            ("sink", output.sink.map { .string($0.value) } ?? .null),
        ])
    }

    private func rank(_ rank: OutputRank) -> JSONValue {
        switch rank {
        case .keep: .string("keep")
        case .max: .string("max")
        case .auto: .string("auto")
        case .fixed(let value): .integer(value)
        case .energy(let share): .object([.init("energy", number(share))])
        case .tail(let share): .object([.init("tail", number(share))])
        }
    }

    // MARK: Values

    /// Leaves out nulls and empty collections.
    private func object(_ members: [(String, JSONValue)]) -> JSONValue {
        .object(
            members.compactMap { key, value in
                switch value {
                case .null, .object([]), .array([]): nil
                default: .init(key, value)
                }
            })
    }

    private func patterns(_ patterns: [ModulePattern]) -> JSONValue { .array(patterns.map { .string($0.text) }) }

    private func block(_ block: ParameterBlock) -> JSONValue {
        .object(block.entries.map { .init($0.name, setting($0.setting)) })
    }

    private func setting(_ setting: Setting) -> JSONValue {
        switch setting {
        case .value(let written): value(written)
        case .gradient(let numbers, _): .array(numbers.map(number))
        case .filtered(let entries):
            .array(
                entries.map { entry in
                    object([
                        ("filter", entry.filter.map { .string($0.text) } ?? .null),
                        ("value", self.setting(entry.value)),
                    ])
                })
        case .perLayer(let table, _):
            per("layer", table.sorted { $0.key < $1.key }.map { (String($0.key), $0.value) })
        case .perModule(let table, _): per("module", table.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        }
    }

    private func per(_ axis: String, _ table: [(String, SettingValue)]) -> JSONValue {
        .object([
            .init("per", .string(axis)), .init("values", .object(table.map { .init($0.0, value($0.1)) })),
        ])
    }

    private func value(_ written: SettingValue) -> JSONValue {
        switch written.form {
        case .number(let value): number(value)
        case .bool(let value): .bool(value)
        case .text(let text): .string(text)
        case .keyed(let key, let value): .object([.init(key, number(value))])
        }
    }

    private func number(_ value: Double) -> JSONValue { .number(NumberText.shortest(value)) }
}
