import Diagnostics
import Foundation
import Networks
import Tensors

extension ContinualRun {
    private var isChecked: Bool { configuration.invariants != .off }

    // MARK: While the trainer is there

    /// I3, I10, I14, I15, I17: membership, liveness, isolation of experts, update counts.
    func checkTrainer(_ context: inout TaskContext, _ trainer: TaskTrainer) throws {
        guard isChecked else { return }
        let task = context.task
        let names = Set(trainer.memberNames)
        var wanted = Set(context.roles.members.map { "\($0)" }).union(["head"])
        if configuration.head.bias { wanted.insert("head.bias") }
        context.checks.append(
            InvariantCheck(
                "I3", task: task, passed: names == wanted, value: Double(names.symmetricDifference(wanted).count),
                note: "optimiser holds " + trainer.memberNames.joined(separator: ", ")))
        let alive = context.roles.lanes.allSatisfy { lane in
            guard let slot = state.memory[.fast(lane)] else { return false }
            return slot.pairs.contains { slot.b($0).contains { $0 != 0 } }
        }
        let learns = hasGradient(context)
        context.checks.append(
            InvariantCheck(
                "I10", task: task, passed: alive || !learns, value: alive ? 1 : 0,
                note: learns ? "B moved in every lane" : "one class competes: its loss has no gradient"))
        if configuration.structure == .chain3 {
            let wrong = trainer.groups.indices.filter {
                trainer.position.updates[$0] != expectedUpdates(trainer.groups[$0].period, trainer.position.total)
            }
            context.checks.append(
                InvariantCheck(
                    "I15", task: task, passed: wrong.isEmpty, value: Double(wrong.count),
                    note: "updates per level \(trainer.position.updates)"))
        }
        try context.checks.append(gradientIsolation(context))
        if context.roles.lanes.count > 1 { try context.checks.append(expertIsolation(context)) }
    }

    /// A class that competes with no other has probability 1, and its cross-entropy no gradient.
    private func hasGradient(_ context: TaskContext) -> Bool { loss(context).competing.count > 1 }

    /// I4: on one batch every slot would accept a gradient, and only those that take part get one.
    private func gradientIsolation(_ context: TaskContext) throws -> InvariantCheck {
        let memory = state.memory
        let names = memory.names
        let mix = try AdapterMix(names.compactMap { memory[$0] }, on: memory.backbone, trainable: Set(names.indices))
        let gradients = Gradients(backbone: runner.backbone, mix: mix)
        let positions = Array(0..<min(16, context.train.set.count))
        let loss = loss(context)
        let sums = (0..<ForwardPass<Float>.accumulators).map { _ in
            HeadLoss.Sums(rows: loss.competing.count, width: loss.width)
        }
        let rows = state.head.rows
        let labels = positions.map { context.train.set.rows[$0] }
        var stray: Float = 0
        var isAlive = true
        for lane in context.roles.lanes {
            gradients.zero()
            let coefficients = memory.trainingCoefficients(context.roles, lane: lane)
            try runner.backbone.step(
                context.train.set.input(positions), pooling: runner.pooling, mix: mix,
                coefficients: .constant(coefficients), into: gradients, threads: runner.threads
            ) { samples, features, gradient, place in
                for (offset, sample) in samples.enumerated() {
                    loss.add(
                        features + offset * loss.width, label: labels[sample], rows: rows, scale: 1, into: sums[place],
                        gradient: gradient + offset * loss.width)
                }
            }
            for (index, name) in names.enumerated() {
                let largest = gradients.slots[index]?.reduce(Float(0)) { max($0, abs($1)) } ?? 0
                if coefficients[index] == 0 {
                    stray = max(stray, largest)
                } else if context.roles.members.contains(name), largest == 0 {
                    isAlive = false
                }
            }
        }
        return InvariantCheck(
            "I4", task: context.task, passed: stray == 0 && (isAlive || !hasGradient(context)), value: Double(stray),
            note: isAlive ? "largest gradient of a slot that sits out" : "a member received no gradient")
    }

    /// I14: a change of one expert moves only its own rows.
    private func expertIsolation(_ context: TaskContext) throws -> InvariantCheck {
        let memory = state.memory
        let names = memory.names
        let positions = Array(0..<min(8, context.train.set.count))
        let lanes = context.roles.lanes
        func features() throws -> [Float] {
            let mix = try AdapterMix(names.compactMap { memory[$0] }, on: memory.backbone, plan: .separate)
            let table = lanes.flatMap { lane in
                positions.flatMap { _ in memory.trainingCoefficients(context.roles, lane: lane) }
            }
            return try runner.backbone.features(
                context.train.set.input(lanes.flatMap { _ in positions }), pooling: runner.pooling, mix: mix,
                coefficients: .perSample(table), threads: runner.threads)
        }
        let before = try features()
        guard let slot = memory[.fast(lanes[0])] else {
            return InvariantCheck("I14", task: context.task, passed: true, note: "no expert")
        }
        let saved = Array(slot.values[0..<slot.count])
        for i in 0..<slot.count { slot.values[i] += 0.01 }
        let after = try features()
        slot.assign(saved)
        let own = positions.count * runner.width
        let moved = zip(before, after).dropFirst(own).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
        let isSeen = before[0..<own] != after[0..<own]
        return InvariantCheck(
            "I14", task: context.task, passed: moved == 0 && isSeen, value: Double(moved),
            note: "change of other experts' rows when expert \(lanes[0]) is perturbed")
    }

    // MARK: After training

    /// I5: slots that take no part are what they were.
    func checkAfterTraining(_ context: inout TaskContext) throws {
        guard isChecked else { return }
        let changed = context.untouched.filter { name, hash in
            state.memory[name].map { Checkpoint.hash($0) } != hash
        }
        context.checks.append(
            InvariantCheck(
                "I5", task: context.task, passed: changed.isEmpty, value: Double(changed.count),
                note: "\(context.untouched.count) slots sit out"
                    + (changed.isEmpty
                        ? "" : "; changed: " + changed.keys.sorted().map { "\($0)" }.joined(separator: " "))
            ))
    }

    // MARK: After consolidation

    /// I1, I2, I6–I8, I10–I13, I16, I17.
    func checkAfterConsolidation(
        _ context: inout TaskContext, _ summary: ConsolidationSummary?, probe: Matrix<Float>?
    ) throws {
        guard isChecked else { return }
        let task = context.task
        // The other rules trim, decay or flatten S itself, whatever F is.
        let leavesSlow = ["ta", "mean", "schedule", "magmax", "ties-lite", "pam-lite", "orth", "none"].contains(
            configuration.consolidation.rule.id)
        for outcome in summary?.outcomes ?? [] {
            let excess = outcome.arithmeticExcess()
            let consistent = !outcome.isInert || !leavesSlow || outcome.change <= 1e-9
            context.checks.append(
                InvariantCheck(
                    "I7", task: task, passed: excess <= 0 && consistent, value: outcome.residual,
                    tolerance: outcome.truncationError * outcome.ruleNorm + 1e-5,
                    note: "‖S⁺ − rule(S, F)‖; slow moved by \(outcome.change)"))
        }
        if let summary { try checkReset(&context, summary) }
        if let summary, summary.preservesFunction, let probe, configuration.structure != .pam {
            let largest = probe.elements.reduce(Float(1e-12)) { max($0, abs($1)) }
            // The head was refitted meanwhile; features tell the same and do not depend on it.
            let difference = try featureDifference(context) / Double(largest)
            context.checks.append(
                InvariantCheck(
                    "I8", task: task, passed: difference <= 1e-4, value: difference, tolerance: 1e-4,
                    note: "features of fast + slow before, of slow alone after, relative"))
        }
        let hash = Self.hash(loaded.backbone)
        context.checks.append(
            InvariantCheck("I6", task: task, passed: hash == backboneHash, note: "backbone \(hash.prefix(12))"))
        try checkHeadAndEvaluation(&context)
        // Choosing on test data is allowed where the configuration asks for it; the run is then marked as leaky.
        let others = Set(splits.testReadings().keys).subtracting(["report"])
        let declared: Set<String> = configuration.selection.split == .test ? [WinnerSelection.leakyReading] : []
        context.checks.append(
            InvariantCheck(
                "I13", task: task, passed: splits.areDisjoint && others.isSubset(of: declared),
                note: "test read besides the report: "
                    + (others.isEmpty ? "never" : others.sorted().joined(separator: ", "))))
        let finite = state.memory.names.allSatisfy { name in
            state.memory[name].map { slot in slot.values[0..<slot.count].allSatisfy(\.isFinite) } ?? true
        }
        let headFinite = state.head.rows.weights.allSatisfy(\.isFinite)
        context.checks.append(
            InvariantCheck("I17", task: task, passed: finite && headFinite, note: "all parameters are finite"))
    }

    /// I8 on features: pre.combined is gone, so it is made again from the snapshot.
    private func featureDifference(_ context: TaskContext) throws -> Double {
        let before = try RunState(
            configuration, plan: plan, backbone: loaded.backbone.description, tasks: plan.count)
        var snapshot = try LoadedCheckpoint(path: paths.pre(context.task))
        try snapshot.restore(before)
        let set = context.validation.set.count > 0 ? context.validation.set : context.train.set
        let positions = Array(0..<min(64, set.count))
        let old = try MemoryEvaluator(runner: runner, configuration: configuration, state: before).features(
            set, .combined, .pre, active: context.active, positions: positions)
        let new = try evaluator().features(set, .slowOnly, .post, positions: positions)
        return maximalDifference(old, new)
    }

    /// I1, I2, I10, I16: what was reset is empty, and masking it changes nothing.
    private func checkReset(_ context: inout TaskContext, _ summary: ConsolidationSummary) throws {
        let memory = state.memory
        let norms = try summary.reset.map { try memory.norm(of: $0) }
        context.checks.append(
            InvariantCheck(
                "I2", task: context.task, passed: norms.allSatisfy { $0 == 0 }, value: norms.max() ?? 0,
                note: "norm of " + summary.reset.map { "\($0)" }.joined(separator: ", ")))
        let isAlive = summary.reset.allSatisfy { name in
            memory[name].map { slot in slot.pairs.allSatisfy { slot.a($0).contains { $0 != 0 } } } ?? true
        }
        if !summary.reset.isEmpty {
            context.checks.append(
                InvariantCheck("I10", task: context.task, passed: isAlive, note: "A of reset slots is not zero"))
        }
        let fastIsEmpty = try memory.fast.indices.allSatisfy { try memory.norm(of: .fast($0)) == 0 }
        let midIsEmpty = try memory.mid == nil || memory.norm(of: .mid) == 0
        guard fastIsEmpty, midIsEmpty else { return }
        let combined = try probeLogits(context, .post)
        let difference = maximalDifference(combined, try probeLogits(context, .post, view: .slowOnly))
        context.checks.append(
            InvariantCheck(
                "I1", task: context.task, passed: difference == 0, value: difference,
                note: "logits of combined and slow_only with an empty fast memory"))
        let bare = try probeLogits(context, .post, view: .backboneOnly)
        let fastOnly = maximalDifference(bare, try probeLogits(context, .post, view: .fastOnly))
        context.checks.append(
            InvariantCheck(
                "I16", task: context.task, passed: max(difference, fastOnly) == 0, value: max(difference, fastOnly),
                note: "post.combined = post.slow_only and post.fast_only = backbone_only"))
    }

    /// I11, I12.
    private func checkHeadAndEvaluation(_ context: inout TaskContext) throws {
        let before = try Checkpoint.hash(state)
        let first = try probeLogits(context, .post)
        let second = try probeLogits(context, .post)
        let after = try Checkpoint.hash(state)
        context.checks.append(
            InvariantCheck(
                "I12", task: context.task, passed: first.elements == second.elements && before == after,
                value: maximalDifference(first, second), note: "evaluated twice"))
        context.checks.append(
            InvariantCheck(
                "I11", task: context.task,
                passed: state.head.rows.count == plan.order.count && first.columns == context.seen,
                value: Double(first.columns), note: "\(context.seen) classes compete, one head"))
    }

    // MARK: The end of a task

    /// Saves the task, checks that the checkpoint gives it back (I9), and writes what was found.
    func settle(_ context: inout TaskContext) throws {
        for check in context.checks { count(check) }
        if isChecked {
            let check = try checkpointRoundTrip(context)
            count(check)
            context.checks.append(check)
            try write(context.checks)
        }
        try saveTask(context.task)
        let failed = context.checks.filter { !$0.passed }
        if let first = failed.first {
            let text = "\(first.id) does not hold after task \(context.task): \(first.note) (\(first.value))"
            guard configuration.invariants == .warn else {
                throw Failure(
                    .cilInvariant, text, path: folder + "/invariants.jsonl", place: first.id,
                    hint: first.explanation)
            }
            options.note("invariant " + text + ": " + first.explanation)
        }
    }

    private func count(_ check: InvariantCheck) {
        if check.passed { state.invariantsPassed += 1 } else { state.invariantsFailed += 1 }
    }

    private func write(_ checks: [InvariantCheck]) throws {
        for check in checks { try logs["invariants.jsonl"]?.add(check.document) }
    }

    /// I9: a fresh state filled from the file has the same hash and the same logits.
    private func checkpointRoundTrip(_ context: TaskContext) throws -> InvariantCheck {
        let fresh = try RunState(
            configuration, plan: plan, backbone: loaded.backbone.description, tasks: plan.count)
        // Under a name of its own: what stands under the task's name is complete, logs included.
        let path = folder + "/checkpoints/check.safetensors"
        try Checkpoint.write(.task, state, header: header, to: path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        var checkpoint = try LoadedCheckpoint(path: path)
        try checkpoint.restore(fresh)
        let sameHash = try Checkpoint.hash(fresh) == Checkpoint.hash(state)
        let set = context.validation.set.count > 0 ? context.validation.set : context.train.set
        let positions = Array(0..<min(64, set.count))
        let features = try MemoryEvaluator(runner: runner, configuration: configuration, state: fresh).features(
            set, .combined, .post, active: context.active, positions: positions)
        let logits = fresh.head.logits(features, seen: context.seen)
        let difference = maximalDifference(logits, try probeLogits(context, .post))
        return InvariantCheck(
            "I9", task: context.task, passed: sameHash && difference == 0, value: difference,
            note: "state and logits from the checkpoint")
    }
}
