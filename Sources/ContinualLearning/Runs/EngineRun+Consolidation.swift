import Diagnostics
import Networks
import Tensors
import WeightFiles

extension EngineRun {
    /// Moves the fast slot into the slow one and resets it, as the structure says.
    ///
    /// - Returns: whether slow slots were written.
    func consolidate(
        _ task: Int, winner: Int?, _ validation: SampleInput, _ record: inout TaskRecord, _ log: inout InvariantLog
    ) throws -> Bool {
        guard let winner, let slow = state.slow, !(configuration.firstTaskOnly && task > 0) else { return false }
        if configuration.structure == .pam { return try averageFactors(task, slow, &record) }
        if let gate = configuration.consolidation.gate {
            let gain =
                try validationAccuracy(task, validation, .combined, winner)
                - validationAccuracy(task, validation, .slowOnly, winner)
            record.event("gate", [.init("task", .integer(task)), .init("gain", .double(gain))])
            if gain < gate {
                try reset(task, winner, &record)
                return true
            }
        }
        let rule = try configuration.consolidation.rule ?? ConsolidationRule("ta")
        if configuration.structure == .chain3 { return try cascade(task, rule, &record, &log) }
        let isWhole = configuration.structure == .singleEMA
        state.slow = try apply(
            rule, to: slow, from: state.fast[winner].slot, task: task, isWhole: isWhole, name: "slow", &record, &log)
        if !isWhole { try reset(task, winner, &record) }
        return true
    }

    /// Fast → mid every so many tasks, mid → slow every so many more (section 10).
    private func cascade(
        _ task: Int, _ rule: ConsolidationRule, _ record: inout TaskRecord, _ log: inout InvariantLog
    ) throws -> Bool {
        guard let mid = state.mid, let slow = state.slow else { return false }
        let periods = configuration.timeScales.cascadePeriods
        let isLast = task == sequence.count - 1
        var wrote = false
        if (task + 1) % periods[0] == 0 {
            let updates = try outcome(rule, mid, state.fast[0].slot, task, isWhole: false)
            note(updates, "mid", task, &record)
            try check(updates, &log)
            state.mid = try state.building.slow(updates.slow, rank: layout.rank, task: task).renamed("mid", layout)
            try reset(task, 0, &record)
            wrote = true
        }
        if (task + 1) % periods[1] == 0 || (isLast && configuration.timeScales.finalFlush) {
            state.slow = try apply(
                rule, to: slow, from: state.mid ?? mid, task: task, isWhole: false, name: "slow", &record, &log)
            if let mid = state.mid {
                layout.reset(mid) { random.initial("mid", task: task + 1, site: "\($0)") }
            }
            wrote = true
        }
        return wrote
    }

    private func outcome(
        _ rule: ConsolidationRule, _ slow: LoRASlot<Float>, _ fast: LoRASlot<Float>, _ task: Int, isWhole: Bool
    ) throws -> ConsolidationOutcome {
        let budget: SlowRank = slow.name == "mid" ? .keep(layout.rank) : EngineState.slowBudget(configuration)
        return try Consolidation.apply(
            rule: rule, slow: slow.updates(), fast: fast.updates(), rank: budget, task: task, fastIsWhole: isWhole,
            factors: configuration.factorMode)
    }

    private func apply(
        _ rule: ConsolidationRule, to slow: LoRASlot<Float>, from fast: LoRASlot<Float>, task: Int, isWhole: Bool,
        name: String, _ record: inout TaskRecord, _ log: inout InvariantLog
    ) throws -> LoRASlot<Float> {
        let result = try outcome(rule, slow, fast, task, isWhole: isWhole)
        note(result, name, task, &record)
        try check(result, &log)
        return try state.building.slow(result.slow, rank: EngineState.slowRank(configuration), task: task)
    }

    private func check(_ result: ConsolidationOutcome, _ log: inout InvariantLog) throws {
        try log.check("I7", result.arithmeticExcess(), "consolidated slots are what the rule says, up to the cut")
    }

    private func note(_ result: ConsolidationOutcome, _ slot: String, _ task: Int, _ record: inout TaskRecord) {
        for (site, part) in result.sites.sorted(by: { $0.key < $1.key }) {
            record.add(
                "consolidation.csv",
                "\(task),\(slot),\(site),\(part.ruleNorm),\(part.fastNorm),\(part.change),\(part.truncationError),"
                    + "\(part.keptEnergy),\(part.conflictMass.map { "\($0)" } ?? ""),\(part.rank)")
        }
        record.event(
            "consolidate",
            [
                .init("task", .integer(task)), .init("slot", .string(slot)), .init("change", .double(result.change)),
                .init("trunc_err", .double(result.truncationError)),
                .init("conflict_mass", result.conflictMass.map(JSONValue.double) ?? .null),
            ])
    }

    /// fast ← ρ·fast by scaling B; with ρ = 0 a fresh A and B = 0. All experts of a competition are reset.
    private func reset(_ task: Int, _ winner: Int, _ record: inout TaskRecord) throws {
        let keep = Float(configuration.consolidation.keep)
        let members = configuration.structure == .parallel ? Array(state.fast.indices) : [winner]
        for index in members {
            let slot = state.fast[index].slot
            if keep > 0, index == winner {
                for pair in slot.pairs { for i in pair.b { slot.values[i] *= keep } }
            } else {
                state.fast[index].slot = try state.freshFast(index, task: task + 1, configuration, random)
            }
        }
        record.event(
            "reset",
            [
                .init("task", .integer(task)), .init("slots", .array(members.map { .string("fast[\($0)]") })),
                .init("keep", .double(Double(keep))), .init("fast_norm", .double(try state.fast[winner].slot.norm())),
            ])
    }

    /// θ_g ← (θ_g + θ)/2 on the factors: the clone began as a copy, so both have one basis (section 9.1).
    private func averageFactors(_ task: Int, _ slow: LoRASlot<Float>, _ record: inout TaskRecord) throws -> Bool {
        let clone = state.fast[0].slot
        if task == 0 {
            state.slow = try copy(clone).renamed("slow", layout)
            return true
        }
        let exact = try Consolidation.apply(
            rule: ConsolidationRule("ema", ["beta": .number(0.5), "basis": .text("absolute")]), slow: slow.updates(),
            fast: clone.updates(), rank: .dense, task: task, fastIsWhole: true)
        for i in 0..<slow.count { slow.values[i] = (slow.values[i] + clone.values[i]) / 2 }
        var distance = 0.0
        for (site, update) in try slow.updates() {
            if let wanted = exact.slow[site] { distance += try pow2(update.distance(to: wanted)) }
        }
        record.event(
            "consolidate",
            [
                .init("task", .integer(task)), .init("slot", .string("slow")),
                .init("deviation_from_product_mean", .double(distance.squareRoot())),
            ])
        return true
    }

    private func pow2(_ x: Double) -> Double { x * x }

    /// Trains the head's rows on the consolidated features where consolidation changed them (section 11.4).
    func refit(
        _ task: Int, _ train: SampleInput, _ targets: [Int], _ rows: Range<Int>, consolidated: Bool,
        _ record: inout TaskRecord
    ) throws {
        let old = 0..<rows.lowerBound
        if configuration.head.weightAlign { state.head.alignWeights(old: old, new: rows) }
        guard consolidated, configuration.head.refitEpochs > 0, panel.kinds.contains(.linear),
            !configuration.head.concatenated
        else { return }
        let features = try features(train, task)
        let before = state.head.weightValues
        let report = try trainer.trainHead(
            task: task, features: features, targets: targets, head: state.head, rows: rows,
            epochs: configuration.head.refitEpochs)
        let moved = zip(before, state.head.weightValues).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
        record.event(
            "refit",
            [
                .init("task", .integer(task)), .init("loss", .double(report.loss)),
                .init("train_accuracy", .double(report.accuracy)), .init("largest_change", .double(Double(moved))),
            ])
    }

    /// Features of the state as it is, [base, adapted] where the heads want both.
    func features(_ input: SampleInput, _ task: Int, view: StateView = .combined, expert: Int? = nil) throws
        -> Matrix<Float>
    {
        let mix = try state.mix()
        let coefficients = mix.map { _ in state.coefficients(view, configuration, only: expert) }
        let adapted = try reading.features(input, mix: mix, coefficients: coefficients)
        guard configuration.head.concatenated else { return adapted }
        let base = FeatureRows.unitLength(try reading.features(input, mix: nil))
        return Matrix.sideBySide([base, FeatureRows.unitLength(adapted)])
    }

    /// Adds the task's training features to the statistics heads.
    func addStatistics(_ task: Int, features input: SampleInput?) throws {
        guard panel.needsStatistics else { return }
        let data = sequence.tasks[task]
        let source =
            try input
            ?? SampleInput(
                data.trainInput, on: backbone, firstLayer: layout.firstLayer, limitBytes: 0, threads: threads)
        try panel.add(
            features(source, task), rows: data.trainInput.labels.map { rowOfClass[$0] ?? 0 }, task: task)
    }
}

extension LoRASlot where S == Float {
    /// The same numbers under another name.
    func renamed(_ name: String, _ layout: SlotLayout) throws -> LoRASlot<Float> {
        let copy = try LoRASlot<Float>(
            name: name, sites: pairs.map { ($0.site, $0.rank, $0.scale) }, on: layout.backbone)
        _ = copy.values.update(fromContentsOf: values[0..<count])
        return copy
    }
}
