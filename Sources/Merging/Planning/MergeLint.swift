import Adapters

/// Warnings about plans that run but are known to give something else than people expect.
///
/// Every rule names what happens and what to do instead. Codes begin with `lint.`.
public enum MergeLint {
    public static func warnings(in plan: RecipePlan, registry: MethodRegistry = .standard) -> [PlanNote] {
        plan.stages.flatMap { warnings(in: $0, registry: registry) }
    }

    static func warnings(in stage: StagePlan, registry: MethodRegistry) -> [PlanNote] {
        let methods = Set(stage.modules.map(\.method)).sorted()
            .compactMap { registry.method($0, compatibility: stage.compatibility) }
        let rules: [(StagePlan, [MethodDescription]) -> [PlanNote]] = [
            factorwise, unequalRanks, lowRank, unequalBases, zeroWeight, largeSum, faintDensity, nothingShared,
            orderOfTags,
        ]
        return rules.flatMap { $0(stage, methods) }
    }

    // MARK: Methods

    private static func factorwise(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        guard stage.operands.count > 1 else { return [] }
        return methods.filter { $0.exactness == .factors && $0.id != "cat" }.map { method in
            PlanNote(
                code: "lint.factorwise",
                message: "'\(method.id)' merges A and B separately, so the result contains products of one adapter's B "
                    + "with another's A and depends on how the adapters are factored; methods on the update "
                    + "(svd, cat, linear without compat) do not",
                place: stage.name)
        }
    }

    private static func unequalRanks(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        guard !stage.padRanks, let method = methods.first(where: { $0.exactness == .factors && $0.id != "cat" }) else {
            return []
        }
        let ranks = Set(stage.operands.map(\.adapter.rankMax)).subtracting([0])
        guard ranks.count > 1 else { return [] }
        let text = ranks.sorted().map(String.init).joined(separator: " and ")
        return [
            PlanNote(
                code: "lint.unequal_ranks",
                message: "'\(method.id)' works on factors of equal rank, the adapters have ranks \(text)",
                place: stage.name)
        ]
    }

    /// An elementwise result has full rank in general; the adapters' own rank keeps little of it.
    private static func lowRank(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        guard let method = methods.first(where: { $0.exactness == .elementwise }) else { return [] }
        let most = stage.operands.map(\.adapter.rankMax).max() ?? 0
        let asked: Int
        switch stage.output.rank {
        case .fixed(let rank): asked = rank
        case .max: asked = most
        case .keep, .auto, .energy, .tail, nil: return []
        }
        guard most > 0, asked <= most else { return [] }
        return [
            PlanNote(
                code: "lint.low_rank",
                message: "the result of '\(method.id)' has full rank; rank \(asked) cuts much of it off "
                    + "(rank: auto or {energy: 0.99} choose by what is kept)",
                place: stage.name)
        ]
    }

    // MARK: Operands

    private static func unequalBases(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        let bases = stage.operands.map(\.adapter.base)
        guard let first = bases.first, bases.contains(where: { BaseAgreement.compare($0, first) == .different }) else {
            return []
        }
        return [
            PlanNote(
                code: "lint.unequal_bases",
                message: "the adapters were trained on different bases; their sum is an update of none of them",
                place: stage.name)
        ]
    }

    private static func zeroWeight(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        let geometric = Set(methods.filter(\.dropsZeroWeight).map(\.id))
        for module in stage.modules where geometric.contains(module.method) {
            guard let operand = module.operands.first(where: { $0.weight == 0 }) else { continue }
            return [
                PlanNote(
                    code: "lint.zero_weight",
                    message:
                        "'\(stage.operands[operand.operand].name)' has weight 0 but its directions still shape the "
                        + "result of '\(module.method)'; leave the adapter out to remove it",
                    place: module.module)
            ]
        }
        return []
    }

    /// λ Σ|w| far above 1 makes the update several times as large as those it is made of.
    private static func largeSum(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        let sums = Set(methods.filter { $0.id == "task_arithmetic" || $0.id == "svd" || $0.id == "cat" }.map(\.id))
        for module in stage.modules where sums.contains(module.method) {
            let lambda = module.parameters["lambda"]?.number ?? 1
            let total = abs(lambda) * module.operands.reduce(0) { $0 + abs($1.weight) }
            guard total > 2.5, module.parameters["normalize"]?.bool != true else { continue }
            return [
                PlanNote(
                    code: "lint.large_sum",
                    message:
                        "the weights times lambda add up to \(NumberText.shortest((total * 100).rounded() / 100)): the "
                        + "merged update will be large; weights of 1/\(module.operands.count) or lambda 0.3 are usual",
                    place: module.module)
            ]
        }
        return []
    }

    private static func faintDensity(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        let random = Set(methods.filter(\.random).map(\.id))
        for module in stage.modules where random.contains(module.method) {
            let faint = module.operands.first {
                ($0.parameters["density"]?.number).map { $0 > 0 && $0 < 0.05 } ?? false
            }
            guard let faint else { continue }
            return [
                PlanNote(
                    code: "lint.faint_density",
                    message: "'\(module.method)' keeps fewer than 1 in 20 entries of "
                        + "'\(stage.operands[faint.operand].name)'; what it keeps is scaled up and mostly noise",
                    place: module.module)
            ]
        }
        return []
    }

    private static func nothingShared(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        guard stage.operands.count > 1, stage.modules.allSatisfy({ $0.operands.count == 1 }) else { return [] }
        return [
            PlanNote(
                code: "lint.nothing_shared",
                message: "no module is in two of the adapters: the result puts them side by side, nothing is merged",
                place: stage.name)
        ]
    }

    private static func orderOfTags(_ stage: StagePlan, _ methods: [MethodDescription]) -> [PlanNote] {
        guard let method = methods.first(where: \.sequential),
            Set(stage.operandEntries).count < stage.operandEntries.count
        else { return [] }
        return [
            PlanNote(
                code: "lint.order_of_tags",
                message:
                    "'\(method.id)' depends on the order of the adapters, and a tag gives them in the order of their "
                    + "names; list them to choose another order",
                place: stage.name)
        ]
    }
}
