import Diagnostics
import Merging
import Reports
import WeightFiles

/// A plan as JSON and text: what `recipe show` and `merge --dry-run` print.
enum PlanDocument {
    static func members(_ plan: RecipePlan) -> [JSONValue.Member] {
        [
            .init("stages", .array(plan.stages.map(stage))), .init("recipe", plan.resolved.json),
            .init("recipe_sha", .string(plan.resolved.digest.hex)),
        ]
    }

    private static func stage(_ stage: StagePlan) -> JSONValue {
        .object([
            .init("name", .string(stage.name)), .init("method", .string(Provenance.mainMethod(stage))),
            .init("compat", .string(stage.compatibility.rawValue)), .init("seed", .optional(stage.seed)),
            .init("adapters", .texts(stage.operands.map(\.reference))),
            .init(
                "modules",
                .array(
                    stage.modules.map { module in
                        .object([
                            .init("name", .string(module.module)), .init("method", .string(module.method)),
                            .init("adapters", .array(module.operands.map { .integer($0.operand) })),
                            .init("weights", .array(module.operands.map { .double($0.weight) })),
                        ])
                    })), .init("omitted_modules", .texts(stage.omittedModules)),
        ])
    }

    static func text(_ plan: RecipePlan, _ session: Session) -> String {
        var text = ""
        for stage in plan.stages {
            let seed = stage.seed.map { ", seed \($0)" } ?? ""
            let name = stage.name.isEmpty ? "" : " \(session.shown(stage.name))"
            text += "stage\(name): \(Provenance.mainMethod(stage)), compat \(stage.compatibility.rawValue)\(seed), "
            text += "\(stage.operands.count) adapters, \(stage.modules.count) modules\n"
            var table = TerminalTable([
                .text("ADAPTER", shrinks: true), .number("RANK"), .number("MODULES"), .number("WEIGHT"),
            ])
            for (index, operand) in stage.operands.enumerated() {
                let weights = Set(stage.modules.flatMap { $0.operands.filter { $0.operand == index }.map(\.weight) })
                let weight = weights.count == 1 ? weights.first.map { Quantities.significant($0) } ?? "" : "varies"
                table.add([operand.reference, "\(operand.adapter.rankMax)", "\(operand.adapter.modules.count)", weight])
            }
            text += session.rendered(table)
            if !stage.omittedModules.isEmpty { text += "\(stage.omittedModules.count) modules are left out\n" }
        }
        return text
    }
}
