import Diagnostics
import Foundation
import Merging
import Reports
import Settings
import WeightFiles

/// `bake`: base + update of one adapter, as a merge of that adapter alone into full weights.
struct BakeWork {
    let session: Session
    let allowUnapproved: Bool

    struct Outcome {
        var merge: MergeOutcome
        var base: String

        var document: JSONValue {
            let adapter = merge.plan.result.operands.first
            var members: [JSONValue.Member] = [
                .init("output", .object([.init("path", .optional(merge.target.path))])),
                .init("adapter", .optional(adapter?.reference)), .init("base", .string(base)),
            ]
            for member in merge.document.members ?? [] where BakeWork.sharedKeys.contains(member.key) {
                members.append(member)
            }
            return .document("bake", members)
        }

        func text(_ session: Session) -> String {
            let adapter = session.shown(merge.plan.result.operands.first?.reference ?? "")
            let place = session.shown(merge.target.path ?? "")
            guard let record = merge.record else {
                return "would fold \(adapter) into \(session.shown(base)) at \(place)\n"
            }
            return "folded \(adapter) into \(session.shown(base)): \(place)\n"
                + "  \(record.modules.count) tensors changed, \(record.savedTensors.count) taken over, \(record.dtype.rawValue), "
                + "\(Quantities.bytes(record.bytes)), \(Quantities.duration(seconds: record.seconds))\n"
        }
    }

    private static let sharedKeys: Set<String> = [
        "modules", "seconds", "dtype", "bytes", "saved_tensors", "warnings", "recipe_sha", "dry_run",
    ]

    /// The merge that folds.
    func recipe(_ reference: String, base: String, precision: String, weight: Double) throws -> Recipe {
        func setting(_ key: String, _ text: String) throws -> SettingOverride {
            try SettingOverride(key + "=" + JSONValue.string(text).text(.compact))
        }
        return try MergeWork(session: session, allowUnapproved: allowUnapproved).recipe(
            method: "task_arithmetic", [reference],
            [
                setting("base_model", base), setting("output.sink", "dense"), setting("output.dtype", precision),
                SettingOverride("models[0].parameters.weight=\(weight)"),
            ])
    }

    func bake(
        _ recipe: Recipe, options: PlanOptions, to path: String, replacing: Bool, dryRun: Bool
    ) throws -> Outcome {
        let work = MergeWork(session: session, allowUnapproved: allowUnapproved)
        let target = try MergeWork.Target(name: nil, path: path, recipe: recipe, replacing: replacing)
        let outcome = try work.merge(recipe, options: options, to: target, tags: [], dryRun: dryRun)
        guard outcome.plan.result.operands.count == 1, outcome.plan.result.checkpoint?.operands.isEmpty ?? false else {
            throw Failure(.referenceAmbiguous, "bake takes one adapter", hint: "merge several with `lorabank merge`")
        }
        return Outcome(merge: outcome, base: recipe.stages.last?.baseModel?.value ?? "")
    }
}
