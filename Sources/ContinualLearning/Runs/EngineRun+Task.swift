import Diagnostics
import Foundation
import Networks
import Tensors
import Training
import WeightFiles

extension EngineRun {
    /// Trains, consolidates, evaluates and saves one task; the order of steps is that of section 8.3.
    func runTask(_ task: Int) throws {
        let data = sequence.tasks[task]
        let rows = rowsOfTask[task]
        var record = TaskRecord()
        var log = InvariantLog(task: task, isStrict: configuration.strictInvariants)
        record.event(
            "task_start",
            [
                .init("task", .integer(task)), .init("name", .string(sequence.names[task])),
                .init("classes", .array(data.classes.map(JSONValue.integer))),
                .init("train", .integer(data.trainInput.count)), .init("val", .integer(data.validationInput.count)),
            ])
        try checkSplits(task, &log)
        let others = try foreignHashes(task)
        let limit = configuration.sharesCompute ? configuration.prefixCacheMegabytes << 20 : 0
        let train = try SampleInput(
            data.trainInput, on: backbone, firstLayer: layout.firstLayer, limitBytes: limit, threads: threads)
        let validation = try SampleInput(
            data.validationInput, on: backbone, firstLayer: layout.firstLayer, limitBytes: limit, threads: threads)
        let targets = data.trainInput.labels.map { rowOfClass[$0] ?? 0 }
        for label in data.trainInput.labels { state.classCounts[rowOfClass[label] ?? 0] += 1 }
        let winner = try learn(task, train, validation, targets, rows, &record, &log)
        try checkForeign(task, others, &log)
        // 1. what the network is before the consolidation, on validation data
        try ablate(task, moment: "pre", validation, expert: winner, &record)
        // 4. snapshot
        var before = Checkpoint.Before()
        for (name, slot) in state.all { before.slots.append((name, try copy(slot))) }
        let probe = try probeLogits(validation, task, view: .combined, expert: winner)
        // 3., 5., 6. gate, consolidate, reset
        let consolidated = try consolidate(task, winner: winner, validation, &record, &log)
        if consolidated { try checkPreserved(probe, validation, task, &log) }
        // 8. head refit and statistics with the consolidated network
        try refit(task, train, targets, rows, consolidated: consolidated, &record)
        try addStatistics(task, features: train)
        // 9. checks, evaluation, checkpoint
        try ablate(task, moment: "post", validation, expert: nil, &record)
        try checkState(task, validation, consolidated: consolidated, &log)
        let accuracy = try evaluate(task, &record)
        state.finished = task + 1
        for result in log.results { record.add("invariants.jsonl", result.line) }
        passedInvariants += log.results.count { $0.passes }
        failedInvariants += log.results.count { !$0.passes }
        try save(task, before: before, accuracy: accuracy, record: &record, log: log)
    }

    // MARK: Training by structure

    /// - Returns: the fast slot that goes into the consolidation; nil without fast slots.
    private func learn(
        _ task: Int, _ train: SampleInput, _ validation: SampleInput, _ targets: [Int], _ rows: Range<Int>,
        _ record: inout TaskRecord, _ log: inout InvariantLog
    ) throws -> Int? {
        let isFrozen = configuration.firstTaskOnly && task > 0
        if configuration.structure == .backbone || isFrozen || configuration.epochs == 0 {
            if configuration.head.kind == .linear, !configuration.head.concatenated {
                try trainHeadAlone(task, train, targets, rows, &record)
            }
            return isFrozen && !state.fast.isEmpty ? state.lastFast : nil
        }
        if configuration.structure == .parallel {
            return try compete(task, train, validation, targets, rows, &record, &log)
        }
        let index: Int
        switch configuration.structure {
        case .moe: index = task % state.fast.count
        case .independent: index = task
        default: index = 0
        }
        if configuration.structure == .pam, task > 0, let slow = state.slow {
            _ = state.fast[0].slot.values.update(fromContentsOf: slow.values[0..<slow.count])
        }
        let slots = trainedSlots(index)
        let report = try fit(task, train, targets, slots, state.head, rows, 1, &record)
        state.fast[index].isTrained = true
        state.lastFast = index
        let average = state.fast[index].lossAverage
        state.fast[index].lossAverage = average.map { 0.9 * $0 + 0.1 * report.loss } ?? report.loss
        try check(report, slots, &log)
        return index
    }

    /// The slots of the forward pass while fast slot `index` is trained (section 4.1).
    func trainedSlots(_ index: Int) -> [TrainedSlot] {
        let fast = state.fast[index].slot
        let periods = configuration.timeScales.gradientPeriods
        switch configuration.structure {
        case .chain3:
            var slots: [TrainedSlot] = []
            if let slow = state.slow {
                slots.append(TrainedSlot(slot: slow, multiplier: configuration.slow.multiplier, period: periods[2]))
            }
            if let mid = state.mid { slots.append(TrainedSlot(slot: mid, multiplier: 1, period: periods[1])) }
            return slots + [TrainedSlot(slot: fast, multiplier: 1, period: periods[0])]
        case .chain, .moe, .parallel:
            guard let slow = state.slow else { return [TrainedSlot(slot: fast, multiplier: 1)] }
            return [
                TrainedSlot(slot: slow, multiplier: configuration.slow.multiplier),
                TrainedSlot(slot: fast, multiplier: 1),
            ]
        default: return [TrainedSlot(slot: fast, multiplier: 1)]
        }
    }

    /// One training with its events, alignment and progress.
    func fit(
        _ task: Int, _ input: SampleInput, _ targets: [Int], _ slots: [TrainedSlot], _ head: SharedHead,
        _ rows: Range<Int>, _ rate: Double, _ record: inout TaskRecord
    ) throws -> TrainingReport {
        var events: [(Int, TrainingReport)] = []
        trainer.onEpoch = { [progress, sequence, configuration] epoch, report in
            events.append((epoch, report))
            progress.advance(by: Int64(input.count))
            progress.note(
                "task \(task + 1)/\(sequence.count) epoch \(epoch + 1)/\(configuration.epochs) "
                    + "loss \(Self.short(report.loss))")
        }
        defer { trainer.onEpoch = { _, _ in } }
        var aligned: [(Int, Alignment.Record)] = []
        let alignment = Alignment(settings: configuration.alignment, sharesA: layout.sharesA)
        let global = configuration.structure == .pam && task > 0 ? state.slow?.snapshot : nil
        let competing = headRows(rows)
        let report = try trainer.train(
            task: task, input: input, targets: targets, slots: slots, head: head, rows: competing,
            offsets: offsets(competing), rate: rate
        ) { [state, configuration] step, mix, optimizer in
            guard step % configuration.alignment.every == 0 else { return }
            guard let fast = slots.last?.slot else { return }
            let group = optimizer.groups.firstIndex { $0.name == fast.name } ?? 0
            if let global {
                aligned.append((step, alignment.alignFactors(fast, with: global, optimizer: optimizer, group: group)))
            } else if configuration.alignment.isOn, let slow = state.slow {
                guard let record = try alignment.align(fast, with: slow) else { return }
                aligned.append((step, record))
                for index in optimizer.groups.indices where optimizer.groups[index].name == fast.name {
                    optimizer.reset(group: index)
                }
            } else {
                return
            }
            mix.refresh()
        }
        trainingSeconds += report.seconds
        trainedSamples += input.count * configuration.epochs
        note(events, aligned, task, slots.last?.slot.name ?? "head", report, &record)
        return report
    }

    private func note(
        _ events: [(Int, TrainingReport)], _ aligned: [(Int, Alignment.Record)], _ task: Int, _ slot: String,
        _ report: TrainingReport, _ record: inout TaskRecord
    ) {
        record.event(
            "members",
            [
                .init("task", .integer(task)), .init("groups", .array(report.members.map(JSONValue.string))),
                .init("steps_per_epoch", .integer(report.stepsPerEpoch)),
                .init("few_steps", .bool(report.stepsPerEpoch < 5)),
                .init("updates", .array(report.updates.map(JSONValue.integer))),
            ])
        for (epoch, values) in events {
            record.event(
                "epoch",
                [
                    .init("task", .integer(task)), .init("slot", .string(slot)), .init("epoch", .integer(epoch)),
                    .init("loss", .double(values.loss)), .init("train_accuracy", .double(values.accuracy)),
                ])
        }
        for (step, values) in aligned {
            record.event(
                "align",
                [
                    .init("task", .integer(task)), .init("step", .integer(step)),
                    .init("conflict_fraction", .double(Double(values.conflicts) / Double(max(1, values.entries)))),
                    .init("conflict_mass", .double(values.total > 0 ? values.massBefore / values.total : 0)),
                    .init("conflict_mass_after", .double(values.total > 0 ? values.massAfter / values.total : 0)),
                ])
        }
    }

    static func short(_ value: Double) -> String { String((value * 1000).rounded() / 1000) }

    /// Rows that compete and are trained: the task's own, or all seen.
    func headRows(_ rows: Range<Int>) -> Range<Int> {
        configuration.head.loss == .local ? rows : 0..<rows.upperBound
    }

    /// τ·log π of each competing row (logit adjustment).
    func offsets(_ rows: Range<Int>) -> [Float] {
        guard configuration.head.loss == .logitAdjusted else { return [] }
        let total = Double(rows.reduce(0) { $0 + state.classCounts[$1] })
        return rows.map { Float(configuration.head.tau * log(max(1, Double(state.classCounts[$0])) / max(1, total))) }
    }

    private func trainHeadAlone(
        _ task: Int, _ train: SampleInput, _ targets: [Int], _ rows: Range<Int>, _ record: inout TaskRecord
    ) throws {
        let features = try reading.features(
            train, mix: state.mix(),
            coefficients: state.all.isEmpty ? nil : state.coefficients(.combined, configuration))
        let competing = headRows(rows)
        let report = try trainer.trainHead(
            task: task, features: features, targets: targets, head: state.head, rows: competing,
            epochs: configuration.epochs, offsets: offsets(competing))
        progress.advance(by: Int64(train.count * configuration.epochs))
        record.event(
            "epoch",
            [
                .init("task", .integer(task)), .init("slot", .string("head")),
                .init("epoch", .integer(configuration.epochs - 1)), .init("loss", .double(report.loss)),
                .init("train_accuracy", .double(report.accuracy)),
            ])
    }

    func copy(_ slot: LoRASlot<Float>) throws -> LoRASlot<Float> {
        let copy = try LoRASlot<Float>(
            name: slot.name, sites: slot.pairs.map { ($0.site, $0.rank, $0.scale) }, on: layout.backbone)
        _ = copy.values.update(fromContentsOf: slot.values[0..<slot.count])
        return copy
    }
}
