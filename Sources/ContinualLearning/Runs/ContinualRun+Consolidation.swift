import Diagnostics
import Merging
import Tensors
import WeightFiles

/// What the end of a task did to the memories.
struct ConsolidationSummary {
    var outcomes: [ConsolidationOutcome] = []
    /// The network computes the same as before: α = 1, nothing kept, nothing cut.
    var preservesFunction = false
    /// Slots that were reset.
    var reset: [SlotName] = []
    var wasSkipped = false
}

extension ContinualRun {
    /// fast → slow, as the structure and the rule say (8.3, steps 3–7).
    func consolidate(_ context: inout TaskContext) throws -> ConsolidationSummary? {
        guard configuration.structure.consolidates, !context.roles.lanes.isEmpty else { return nil }
        if configuration.structure == .pam { return try average(context) }
        var summary = ConsolidationSummary()
        let isWorth = try isWorthKeeping(context)
        switch configuration.structure {
        case .singleEMA: try move(.fast(0), to: .slow, context, &summary, fastIsWhole: true)
        case .chain3: try cascade(context, &summary)
        default:
            let active = context.active ?? 0
            if isWorth { try move(.fast(active), to: .slow, context, &summary) } else { summary.wasSkipped = true }
            summary.preservesFunction = isWorth && preservesFunction(summary)
            for lane in context.roles.lanes {
                let share = lane == active && isWorth ? configuration.consolidation.keep : 0
                state.memory.keep(share, of: .fast(lane), generation: context.task + 1)
                if share == 0 { summary.reset.append(.fast(lane)) }
            }
        }
        if configuration.consolidation.keep > 0,
            (configuration.consolidation.rule.values["alpha"]?.number ?? 0.3) + configuration.consolidation.keep > 1
        {
            options.note("alpha + keep is above 1: the same knowledge counts twice")
        }
        return summary
    }

    private func preservesFunction(_ summary: ConsolidationSummary) -> Bool {
        let rule = configuration.consolidation.rule
        guard rule.id == "ta", rule.values["alpha"]?.number == 1, configuration.consolidation.keep == 0 else {
            return false
        }
        return summary.outcomes.allSatisfy { $0.truncationError < 1e-9 }
    }

    /// Whether fast gains enough on validation data to become long-term.
    private func isWorthKeeping(_ context: TaskContext) throws -> Bool {
        guard let minimum = configuration.consolidation.minimumGain, context.validation.set.count > 0 else {
            return true
        }
        func accuracy(_ view: MemoryView) throws -> Double {
            let features = try evaluator().features(context.validation.set, view, .pre, active: context.active)
            let logits = state.head.logits(features, seen: context.seen)
            return Scores.accuracy(logits, labels: context.validation.set.rows, within: context.rows)?.0 ?? 0
        }
        let gain = try accuracy(.combined) - accuracy(.slowOnly)
        try logs.event(
            "gate", task: context.task, [.init("gain", .double(gain)), .init("passed", .bool(gain >= minimum))])
        return gain >= minimum
    }

    /// Moves one memory into a slower one by the rule.
    func move(
        _ from: SlotName, to target: SlotName, _ context: TaskContext, _ summary: inout ConsolidationSummary,
        fastIsWhole: Bool = false, alpha: Double? = nil
    ) throws {
        var rule = configuration.consolidation.rule
        if let alpha {
            var values = rule.values
            values["alpha"] = .number(alpha)
            rule = try ConsolidationRule(rule.id, values)
        }
        let outcome = try Consolidation.apply(
            rule: rule, slow: state.memory.updates(of: target), fast: state.memory.updates(of: from),
            rank: state.memory.rankBound(of: target), task: context.task, fastIsWhole: fastIsWhole,
            factors: configuration.factorMode)
        try state.memory.write(outcome.slow, to: target, generation: context.task)
        summary.outcomes.append(outcome)
        try record(outcome, from, target, rule.id, context)
    }

    private func record(
        _ outcome: ConsolidationOutcome, _ from: SlotName, _ target: SlotName, _ rule: String, _ context: TaskContext
    ) throws {
        for site in outcome.sites.keys.sorted() {
            guard let entry = outcome.sites[site] else { continue }
            let columns = [
                "\(context.task)", "\(from)", "\(target)", rule, "\(entry.change)", "\(entry.truncationError)",
                "\(entry.keptEnergy)", entry.conflictMass.map { "\($0)" } ?? "", site,
            ]
            try logs.add("consolidation.csv", columns.joined(separator: ","))
        }
        try logs.event(
            "consolidate", task: context.task,
            [
                .init("from", .string("\(from)")), .init("to", .string("\(target)")), .init("rule", .string(rule)),
                .init("change", .double(outcome.change)), .init("truncation_error", .double(outcome.truncationError)),
                .init("conflict_mass", .measured(outcome.conflictMass)),
            ] + norms())
    }

    // MARK: PAM

    /// θ_g ← (1 − w)·θ_g + w·θ, elementwise on the factors, which share a basis because θ began as a copy (9.1).
    private func average(_ context: TaskContext) throws -> ConsolidationSummary {
        var summary = ConsolidationSummary()
        guard let slow = state.memory.slow, let clone = state.memory[.fast(0)] else { return summary }
        guard slow.count == clone.count else {
            throw Failure(
                .recipeBadParameter, "slow and its clone differ in rank; their factors have no average", place: "slow")
        }
        guard context.task > 0 else {
            state.memory.copy(.fast(0), to: .slow)
            summary.preservesFunction = true
            return summary
        }
        let weight = configuration.alignment.mergeWeight ?? 1 / Double(context.task + 1)
        let before = try state.memory.updates(of: .slow)
        let top = try state.memory.updates(of: .fast(0))
        for i in 0..<slow.count {
            slow.values[i] = Float((1 - weight) * Double(slow.values[i]) + weight * Double(clone.values[i]))
        }
        let after = try state.memory.updates(of: .slow)
        var (deviation, change, whole) = (0.0, 0.0, 0.0)
        for site in after.keys.sorted() {
            guard let s = before[site], let f = top[site], let result = after[site] else { continue }
            let exact = try s.dense().scaled(by: 1 - weight).plus(f.dense(), times: weight)
            let dense = try result.dense()
            deviation += try squared(dense.minus(exact))
            change += try squared(dense.minus(s.dense()))
            whole += try squared(exact)
        }
        try logs.event(
            "consolidate", task: context.task,
            [
                .init("from", .string("fast[0]")), .init("to", .string("slow")), .init("rule", .string("pam")),
                .init("change", .double(change.squareRoot())),
                .init(
                    "deviation_from_averaged_products",
                    .double(whole > 0 ? (deviation / whole).squareRoot() : 0)),
            ] + norms())
        return summary
    }

    private func squared(_ matrix: Matrix<Double>) throws -> Double {
        let norm = matrix.frobeniusNorm
        return norm * norm
    }
}
