import Diagnostics
import Foundation
import Networks
import Tensors
import WeightFiles

/// What one task needs while it is learned.
struct TaskContext {
    let task: Int
    let roles: TaskRoles
    let train: TrainSet
    let validation: ValSet
    /// Rows of the head that belong to the task.
    let rows: Range<Int>
    /// Number of classes known after it.
    let seen: Int
    /// The fast slot that stands for the task: the winner in `parallel`.
    var active: Int?
    /// Hashes of slots that must not change (I5).
    var untouched: [SlotName: String] = [:]
    var checks: [InvariantCheck] = []
}

extension ContinualRun {
    /// One task in the order of cil-engine 8.3.
    func learn(_ task: Int, _ clock: RunClock) throws {
        let budget = cacheBudget
        var context = try prepare(task)
        let before = try featuresBefore(context)
        try train(&context)
        clock.lap("train", task: task)
        try checkAfterTraining(&context)
        try ablate(context, .pre)
        try Checkpoint.write(.pre, state, header: header, to: paths.pre(task))
        let probe = try probeLogits(context, .pre)
        let consolidation = try consolidate(&context)
        try refresh(context, probe: probe, before: before, changed: consolidation)
        state.finished = task + 1
        try checkAfterConsolidation(&context, consolidation, probe: probe)
        try evaluate(context)
        try ablate(context, .post)
        try settle(&context)
        try writeResults()
        // Training activations are given back; those of validation and test stay.
        cacheBudget = min(budget, cacheBudget + context.train.set.keptBytes)
        clock.lap("consolidate and evaluate", task: task)
    }

    private func prepare(_ task: Int) throws -> TaskContext {
        let memory = state.memory
        let roles = TaskRoles(configuration, task: task, slots: max(1, memory.fast.count), hasSlow: memory.slow != nil)
        let train = TrainSet(set: try sampleSet(splits.train(task).samples))
        var context = TaskContext(
            task: task, roles: roles, train: train, validation: try validation(task), rows: plan.rows(of: task),
            seen: plan.seen(after: task), active: roles.lanes.first)
        if interrupted == nil {
            if configuration.structure == .pam, task > 0, !roles.lanes.isEmpty { memory.copy(.slow, to: .fast(0)) }
            for label in train.set.rows { state.trainedOn[label] += 1 }
            try announce(context)
            try measureTransfer(context)
        }
        for name in memory.names where !roles.members.contains(name) {
            guard let slot = memory[name] else { continue }
            context.untouched[name] = Checkpoint.hash(slot)
        }
        return context
    }

    private func announce(_ context: TaskContext) throws {
        let steps = (context.train.set.count + configuration.batch - 1) / configuration.batch
        try logs.event(
            "task_start", task: context.task,
            [
                .init("classes", .array(plan.tasks[context.task].map(JSONValue.integer))),
                .init("n_train", .integer(context.train.set.count)),
                .init("n_val", .integer(context.validation.set.count)), .init("steps_per_epoch", .integer(steps)),
                .init("members", .array(context.roles.members.sorted().map { .string("\($0)") } + [.string("head")])),
                .init("prefix_cached", .bool(context.train.set.isCached)),
            ] + norms())
        if steps < 5 {
            options.note("task \(context.task) has \(steps) steps per epoch; a smaller batch or more epochs may help")
        }
    }

    func norms() throws -> [JSONValue.Member] {
        let memory = state.memory
        var members: [JSONValue.Member] = [
            .init("fast_norm", .array(try memory.fast.indices.map { .double(try memory.norm(of: .fast($0))) }))
        ]
        if configuration.structure.hasSlow { members.append(.init("slow_norm", .double(try memory.norm(of: .slow)))) }
        if memory.mid != nil { members.append(.init("mid_norm", .double(try memory.norm(of: .mid)))) }
        return members
    }

    /// ã of cil-engine 13: nearest class means within the task's classes, before the task is learned and for the bare
    /// backbone. Nothing of it reaches training.
    private func measureTransfer(_ context: TaskContext) throws {
        guard configuration.measuresForwardTransfer, context.task > 0, context.rows.count > 1 else { return }
        let evaluator = try evaluator()
        let test = try test(context.task)
        func accuracy(_ features: (SampleSet) throws -> Matrix<Float>) throws -> Double {
            var means = NearestMean(width: runner.width, classCount: plan.order.count)
            means.add(try features(context.train.set), labels: context.train.set.rows)
            let logits = means.head().logits(try features(test.set))
            return Scores.accuracy(logits, labels: test.set.rows, within: context.rows)?.0 ?? 0
        }
        state.transferBefore.append(try accuracy { try evaluator.features($0, .combined, .post) })
        state.transferUntouched.append(try accuracy { try runner.features(of: $0, mix: nil) })
    }

    /// Features of the train data before the task, where drift is corrected or measured.
    private func featuresBefore(_ context: TaskContext) throws -> Matrix<Float>? {
        guard configuration.head.driftCorrection, !state.statistics.isEmpty, context.task > 0 else { return nil }
        guard interrupted == nil else {
            // The slots have moved on; what they were stands in the last checkpoint.
            let fresh = try RunState(
                configuration, plan: plan, backbone: loaded.backbone.description, tasks: plan.count)
            var checkpoint = try LoadedCheckpoint(path: paths.task(context.task - 1))
            try checkpoint.restore(fresh)
            let evaluator = try MemoryEvaluator(runner: runner, configuration: configuration, state: fresh)
            return try evaluator.statisticsFeatures(
                context.train.set, of: evaluator.features(context.train.set, .combined, .post))
        }
        let evaluator = try evaluator()
        return try evaluator.statisticsFeatures(
            context.train.set, of: evaluator.features(context.train.set, .combined, .post))
    }

    // MARK: Training

    /// The loss of a task: which rows compete.
    func loss(_ context: TaskContext, kind: HeadLossKind? = nil) -> HeadLoss {
        let kind = kind ?? configuration.head.loss
        var loss = HeadLoss(
            width: runner.width, competing: kind == .local ? context.rows : 0..<context.seen,
            normalises: configuration.suite.normalisation == .l2, cosine: configuration.head.cosine,
            kappa: Float(configuration.head.kappa))
        if kind == .logitAdjusted {
            let total = Double(state.trainedOn.reduce(0, +))
            loss.offsets = (0..<context.seen).map {
                Float(configuration.head.tau * log(max(Double(state.trainedOn[$0]), 1) / max(total, 1)))
            }
        }
        return loss
    }

    private func train(_ context: inout TaskContext) throws {
        guard !context.roles.lanes.isEmpty else { return try trainHead(context) }
        let loss = loss(context)
        let perExpert = context.roles.lanes.count > 1 && configuration.experts.headSharing == .perExpert
        let rows =
            perExpert
            ? context.roles.lanes.map { _ in state.head.rows.copy(of: loss.competing) } : [state.head.rows]
        let trainer = try TaskTrainer(
            runner: runner, configuration: configuration, memory: state.memory, roles: context.roles,
            samples: context.train, task: context.task, rows: rows, trained: loss.competing, loss: loss)
        if var checkpoint = interrupted {
            try checkpoint.restore(trainer)
            options.progress.advance(by: Int64(trainer.position.total * configuration.batch))
            interrupted = nil
        } else if !state.carried.isEmpty {
            _ = trainer.restorePending(state.carried)
        }
        let began = Date()
        let stepsBefore = trainer.position.total
        defer {
            trainingSeconds += Date().timeIntervalSince(began)
            trainedSamples +=
                (trainer.position.total - stepsBefore) * context.train.set.count / max(1, trainer.stepsPerEpoch)
        }
        do {
            try trainer.run(progress: options.progress, shouldStop: options.isCancelled) { record in
                try afterEpoch(record, context, trainer)
            }
        } catch is CancellationError {
            try saveStep(trainer)
            throw CancellationError()
        }
        state.carried = configuration.timeScales.partial == .carry ? trainer.pending.mapValues { Array($0) } : [:]
        for lane in context.roles.lanes { state.memory.isTrained[lane] = true }
        state.memory.lastTrained = context.roles.lanes.last
        try recordLevels(context, trainer)
        try checkTrainer(&context, trainer)
        if configuration.structure == .parallel { try chooseWinner(&context, trainer) }
    }

    private func afterEpoch(_ record: EpochRecord, _ context: TaskContext, _ trainer: TaskTrainer) throws {
        for (place, lane) in context.roles.lanes.enumerated() {
            let loss = record.losses[min(place, record.losses.count - 1)]
            let average = state.memory.lossAverage[lane]
            state.memory.lossAverage[lane] = average.map { 0.9 * $0 + 0.1 * loss } ?? loss
        }
        let evaluator = try evaluator()
        var accuracies: [Double?] = []
        for (place, lane) in context.roles.lanes.enumerated() {
            let rows = trainer.laneRows.count > 1 ? trainer.laneRows[place] : nil
            accuracies.append(
                try laneScore(evaluator, context.validation.set, context, lane: lane, rows: rows, scope: .seen)?.0)
        }
        try logs.event(
            "epoch", task: context.task,
            [
                .init("epoch", .integer(record.epoch)), .init("loss", .array(record.losses.map(JSONValue.double))),
                .init("val_accuracy", .array(accuracies.map { .measured($0) })),
                .init("lr", .object(record.rates.map { .init($0.name, .double($0.rate)) })),
            ] + norms())
        let best = accuracies.compactMap { $0 }.max()
        options.progress.note(
            "task \(context.task + 1)/\(plan.count) epoch \(record.epoch + 1)/\(configuration.epochs) "
                + "loss \(Self.short(record.losses.min() ?? 0)) val \(best.map { Self.short($0 * 100) + " %" } ?? "–")")
        if configuration.checkpointsEpochs, record.epoch + 1 < configuration.epochs { try saveStep(trainer) }
    }

    private static func short(_ value: Double) -> String { String(format: "%.3g", value) }

    /// Tasks in which no adapter learns: the head alone, on features that stay.
    private func trainHead(_ context: TaskContext) throws {
        interrupted = nil
        let features = try evaluator().features(context.train.set, .combined, .post)
        let loss = loss(context)
        let mean = HeadTraining(configuration: configuration, loss: loss, purpose: "head-order", task: context.task)
            .run(
                features, labels: context.train.set.rows, rows: state.head.rows, trained: loss.competing,
                epochs: configuration.epochs)
        options.progress.advance(by: Int64(context.train.set.count * configuration.epochs))
        if options.isCancelled() { throw CancellationError() }
        try logs.event("head", task: context.task, [.init("loss", .double(mean))])
    }

    // MARK: After consolidation

    /// Refit, balance, statistics: with the network as it now is (8.3, step 8).
    private func refresh(
        _ context: TaskContext, probe: Matrix<Float>?, before: Matrix<Float>?, changed: ConsolidationSummary?
    ) throws {
        let evaluator = try evaluator()
        let features = try evaluator.features(context.train.set, .combined, .post)
        if configuration.head.refit ?? needsRefit(changed), configuration.head.refitEpochs > 0 {
            let loss = loss(context, kind: .local)
            let shift = try probe.map { try maximalDifference($0, probeLogits(context, .post)) }
            let mean = HeadTraining(
                configuration: configuration, loss: loss, purpose: "refit-order", task: context.task
            ).run(
                features, labels: context.train.set.rows, rows: state.head.rows, trained: context.rows,
                epochs: configuration.head.refitEpochs)
            try logs.event(
                "refit", task: context.task,
                [
                    .init("loss", .double(mean)), .init("max_logit_change_before_refit", .measured(shift)),
                    .init("epochs", .integer(configuration.head.refitEpochs)),
                ])
        }
        if configuration.head.weightAlign {
            let factor = state.head.alignWeights(of: context.rows)
            try logs.event("weight_align", task: context.task, [.init("factor", .double(factor))])
        }
        try learnStatistics(context, evaluator, features, before: before)
    }

    private func needsRefit(_ changed: ConsolidationSummary?) -> Bool {
        if configuration.structure == .parallel, configuration.experts.headSharing == .shared { return true }
        guard let changed else { return false }
        return !changed.preservesFunction
    }

    private func learnStatistics(
        _ context: TaskContext, _ evaluator: MemoryEvaluator, _ features: Matrix<Float>, before: Matrix<Float>?
    ) throws {
        if !state.statistics.isEmpty {
            let own = try evaluator.statisticsFeatures(context.train.set, of: features)
            for kind in state.statistics.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
                try state.statistics[kind]?.learn(
                    task: context.task, features: own, labels: context.train.set.rows, before: before)
            }
            if let before { state.drifts.append(FeatureDrift.cosine(before, own)) }
        }
        guard configuration.structure.usesEvalRule, configuration.evaluationRule == .gate,
            configuration.gate == .linear, let slot = context.active
        else { return }
        var gate = state.gate ?? SlotGate(width: runner.width, slots: state.memory.fast.count)
        gate.learn(
            try runner.features(of: context.train.set, mix: nil), labels: context.train.set.rows, slot: slot)
        state.gate = gate
    }

    /// Scores of a few validation samples, to see what a step changed.
    func probeLogits(_ context: TaskContext, _ moment: Moment, view: MemoryView = .combined) throws -> Matrix<Float> {
        let set = context.validation.set.count > 0 ? context.validation.set : context.train.set
        let positions = Array(0..<min(64, set.count))
        let features = try evaluator().features(set, view, moment, active: context.active, positions: positions)
        return state.head.logits(features, seen: context.seen)
    }

    func maximalDifference(_ a: Matrix<Float>, _ b: Matrix<Float>) -> Double {
        zip(a.elements, b.elements).reduce(0) { max($0, Double(abs($1.0 - $1.1))) }
    }
}
