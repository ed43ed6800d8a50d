import WeightFiles

extension ContinualRun {
    /// `chain3`: every `mid` tasks fast → mid, every `slow` tasks mid → slow; what has been moved is reset (10).
    func cascade(_ context: TaskContext, _ summary: inout ConsolidationSummary) throws {
        let t = configuration.timeScales
        if (context.task + 1) % t.midTasks == 0 {
            try move(.fast(0), to: .mid, context, &summary, alpha: t.alphaMid)
            let keep = configuration.consolidation.keep
            state.memory.keep(keep, of: .fast(0), generation: context.task + 1)
            if keep == 0 { summary.reset.append(.fast(0)) }
            state.cascades += 1
        }
        if (context.task + 1) % t.slowTasks == 0 { try flush(context, &summary) }
    }

    /// mid → slow.
    func flush(_ context: TaskContext, _ summary: inout ConsolidationSummary) throws {
        try move(.mid, to: .slow, context, &summary, alpha: configuration.timeScales.alphaSlow)
        state.memory.keep(0, of: .mid, generation: context.task + 1)
        summary.reset.append(.mid)
    }

    /// How often each level was updated in a task, and how often it should have been (I15).
    func recordLevels(_ context: TaskContext, _ trainer: TaskTrainer) throws {
        guard configuration.structure == .chain3 else { return }
        for (index, group) in trainer.groups.enumerated() {
            guard let slot = group.slot else { continue }
            let columns = [
                "\(context.task)", "\(slot)", "\(group.period)", "\(trainer.position.total)",
                "\(trainer.position.updates[index])", "\(expectedUpdates(group.period, trainer.position.total))",
            ]
            try logs.add("levels.csv", columns.joined(separator: ","))
        }
    }

    /// ⌊steps / C⌋, and one more when a partial accumulation is applied.
    func expectedUpdates(_ period: Int, _ steps: Int) -> Int {
        let isFlushed = configuration.timeScales.partial == .apply && steps % period != 0
        return steps / period + (isFlushed ? 1 : 0)
    }
}
