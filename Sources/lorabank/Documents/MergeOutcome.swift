import Bank
import Merging
import Reports
import WeightFiles

/// What a merge came to, as JSON and text.
struct MergeOutcome {
    var plan: RecipePlan
    /// nil for a dry run.
    var record: MergeRecord?
    var target: MergeWork.Target
    var stored: ImportOutcome?
    var dryRun: Bool

    var document: JSONValue {
        let output = JSONValue.object([
            .init("name", .optional(stored?.name ?? target.name)), .init("version", .optional(stored?.version)),
            .init("object", .optional(stored?.object)), .init("path", .optional(target.path)),
        ])
        var members: [JSONValue.Member] = [
            .init("output", output), .init("method", .string(Provenance.mainMethod(plan.result))),
            .init("compat", .string(plan.result.compatibility.rawValue)), .init("seed", .optional(plan.result.seed)),
            .init("modules", .array(record?.modules.map(MergeOutcome.module) ?? plan.result.modules.map(planned))),
            .init("seconds", record.map { .double($0.seconds) } ?? .null),
            .init("dtype", .optional(record?.dtype.rawValue)), .init("bytes", .optional(record?.bytes)),
            .init("saved_tensors", .texts(record?.savedTensors ?? [])),
            .init("warnings", .texts(record?.warnings ?? [])),
            .init("recipe_sha", .string(plan.resolved.digest.hex)), .init("dry_run", .bool(dryRun)),
        ]
        if dryRun { members += PlanDocument.members(plan) }
        return .document("merge", members)
    }

    private static func module(_ module: MergeRecord.Module) -> JSONValue {
        .object([
            .init("name", .string(module.name)), .init("rank_in", .integer(module.rankIn)),
            .init("rank_out", .integer(module.rankOut)), .init("discarded_energy", .double(module.discardedEnergy)),
            .init("frobenius", .double(module.frobenius)), .init("method", .string(module.method)),
            .init("coverage", .double(module.coverage)), .init("trimmed_share", .optional(module.trimmedShare)),
            .init("warnings", .texts(module.warnings)),
        ])
    }

    private func planned(_ module: ModulePlan) -> JSONValue {
        let rank = module.operands.reduce(0) { sum, operand in
            let adapter = plan.result.operands[operand.operand].adapter
            return sum + (adapter.modules.first { $0.name == module.module }?.rank ?? 0)
        }
        return .object([
            .init("name", .string(module.module)), .init("rank_in", .integer(rank)), .init("rank_out", .null),
            .init("discarded_energy", .null), .init("frobenius", .null), .init("method", .string(module.method)),
        ])
    }

    func text(_ session: Session) -> String {
        let place = stored?.row.reference ?? target.path ?? target.name ?? ""
        guard let record else { return PlanDocument.text(plan, session) + "would merge into \(session.shown(place))\n" }
        let method = Provenance.mainMethod(plan.result)
        if plan.result.checkpoint != nil { return checkpointText(record, method, place, session) }
        var text = "merged \(plan.result.operands.count) adapters by \(method) into \(session.shown(place))"
        if let stored {
            text +=
                stored.alreadyPresent ? " (already there)" : " (\(stored.state.rawValue), \(stored.object.prefix(12)))"
        }
        let ranks = record.modules.map(\.rankOut)
        let discarded = record.modules.map(\.discardedEnergy).max() ?? 0
        text += "\n  \(record.modules.count) modules, rank \(AdapterTable.rank(ranks.min() ?? 0, ranks.max() ?? 0)), "
        text +=
            "\(record.dtype.rawValue), \(Quantities.bytes(record.bytes)), \(Quantities.duration(seconds: record.seconds)); "
        text +=
            discarded > 0
            ? "at most \(Quantities.significant(discarded * 100)) % of a module's energy discarded\n" : "exact\n"
        for module in record.modules {
            for warning in module.warnings { text += "  \(session.shown(module.name)): \(session.shown(warning))\n" }
        }
        return session.options.verbosity > 0 ? text + session.rendered(table(record)) : text
    }

    private func checkpointText(_ record: MergeRecord, _ method: String, _ place: String, _ session: Session) -> String
    {
        let models = plan.result.operands.count
        var text = "merged \(models) \(models == 1 ? "model" : "models") by \(method) into \(session.shown(place))\n"
        text +=
            "  \(record.modules.count) tensors merged, \(record.savedTensors.count) taken over, \(record.dtype.rawValue), "
        text += "\(Quantities.bytes(record.bytes)), \(Quantities.duration(seconds: record.seconds))\n"
        for module in record.modules {
            for warning in module.warnings { text += "  \(session.shown(module.name)): \(session.shown(warning))\n" }
        }
        return session.options.verbosity > 0 ? text + session.rendered(table(record)) : text
    }

    private func table(_ record: MergeRecord) -> TerminalTable {
        var table = TerminalTable([
            .text("MODULE", shrinks: true), .text("METHOD"), .number("RANK IN"), .number("RANK OUT"),
            .number("DISCARDED"),
            .number("NORM"),
        ])
        for module in record.modules {
            table.add([
                module.name, module.method, "\(module.rankIn)", "\(module.rankOut)",
                Quantities.significant(module.discardedEnergy), Quantities.significant(module.frobenius),
            ])
        }
        return table
    }
}
