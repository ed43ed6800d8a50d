import Diagnostics
import Networks
import Tensors
import Training

/// One slot in a task's training.
struct TrainedSlot {
    let slot: LoRASlot<Float>
    /// Relative to the task's learning rate; 0: in the forward pass, but frozen.
    let multiplier: Double
    /// Steps between its updates.
    var period = 1
}

/// What one task's training reports.
struct TrainingReport {
    var loss = 0.0
    var accuracy = 0.0
    var stepsPerEpoch = 0
    var seconds = 0.0
    /// Updates of each slot.
    var updates: [Int] = []
    /// Largest gradient of each slot at the first step.
    var firstGradients: [Double] = []
    /// ‖B‖ of each trained slot after the first step is above 0.
    var isAlive = true
    var members: [String] = []
}

/// Trains slots and head rows on one task.
final class TaskTrainer {
    let backbone: Backbone<Float>
    let pooling: Pooling
    let configuration: RunConfiguration
    let layout: SlotLayout
    let random: KeyedRandom
    let threads: Int
    /// Name of the expert, so that each draws its own numbers where it should; batches are the same for all.
    var isCancelled: () -> Bool = { false }
    var onEpoch: (Int, TrainingReport) -> Void = { _, _ in }

    init(
        backbone: Backbone<Float>, pooling: Pooling, configuration: RunConfiguration, layout: SlotLayout,
        random: KeyedRandom, threads: Int
    ) {
        self.backbone = backbone
        self.pooling = pooling
        self.configuration = configuration
        self.layout = layout
        self.random = random
        self.threads = threads
    }

    /// Trains on `input` with the rows `targets` of `head`.
    ///
    /// - Parameters:
    ///   - rows: head rows that are trained; classes that compete in the loss.
    ///   - rate: factor of the learning rate (expert multipliers).
    ///   - afterStep: called with the number of steps taken, for alignment; may rewrite factors.
    /// - Throws: `CancellationError` at a step boundary; `merge.non_finite` when the loss is not finite.
    func train(
        task: Int, input: SampleInput, targets: [Int], slots: [TrainedSlot], head: SharedHead, rows: Range<Int>,
        offsets: [Float] = [], rate: Double = 1,
        afterStep: ((Int, AdapterMix<Float>, Optimizer<Float>) throws -> Void)? = nil
    ) throws -> TrainingReport {
        let trainable = Set(slots.indices.filter { slots[$0].multiplier > 0 })
        let mix = try AdapterMix(slots.map(\.slot), on: layout.backbone, trainable: trainable)
        let gradients = Gradients(backbone: backbone, mix: mix)
        let (groups, owner) = groups(slots, gradients, head, rows)
        let optimizer = Optimizer(configuration.optimizer.kind, groups: groups)
        let pass = HeadPass(head, rows: rows, offsets: offsets)
        let steps = (input.count + configuration.batch - 1) / configuration.batch
        let schedule = LearningRateSchedule(
            configuration.optimizer.schedule, base: configuration.optimizer.learningRate * rate,
            minimum: configuration.optimizer.minimumRate * rate, warmupSteps: configuration.optimizer.warmupSteps,
            totalSteps: steps * configuration.epochs)
        var report = TrainingReport()
        report.stepsPerEpoch = steps
        report.members = groups.map(\.name)
        report.updates = slots.map { _ in 0 }
        let clock = ContinuousClock()
        let began = clock.now
        var step = 0
        for epoch in 0..<configuration.epochs {
            let order = random.permutation(input.count, "order", task, epoch)
            pass.clear()
            var (loss, right) = (0.0, 0)
            for start in stride(from: 0, to: order.count, by: configuration.batch) {
                if isCancelled() { throw CancellationError() }
                let batch = Array(order[start..<min(start + configuration.batch, order.count)])
                pass.clear()
                pass.targets = batch.map { targets[$0] }
                pass.weight = 1 / Float(batch.count)
                head.zeroGradient()
                try backbone.step(
                    input(batch), pooling: pooling, mix: mix, learning: .adapters, into: gradients, threads: threads,
                    loss: { pass.add($0, $1, $2, $3) })
                pass.reduce()
                loss += pass.loss * Double(batch.count)
                right += pass.right
                if step == 0 { report.firstGradients = Self.largest(gradients) }
                try update(
                    optimizer, slots, owner, gradients, rate: schedule.rate(at: step), step: step, report: &report)
                step += 1
                mix.refresh()
                if step == 1 { report.isAlive = Self.isAlive(slots) }
                try afterStep?(step, mix, optimizer)
            }
            report.loss = loss / Double(max(1, order.count))
            report.accuracy = Double(right) / Double(max(1, order.count))
            guard report.loss.isFinite else {
                throw Failure(
                    .mergeNonFinite, "the training loss of task \(task) is not finite", place: "epoch \(epoch)",
                    hint: "lower optimizer.lr, or set optimizer.clip_norm")
            }
            onEpoch(epoch, report)
        }
        try flush(optimizer, slots, owner, gradients, rate: schedule.rate(at: step), step: step, report: &report)
        mix.refresh()
        let elapsed = (clock.now - began).components
        report.seconds = Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
        return report
    }

    // MARK: Groups

    /// The optimiser's groups and the slot that each belongs to (nil: the head). Membership goes by slot, never by name.
    private func groups(
        _ slots: [TrainedSlot], _ gradients: Gradients<Float>, _ head: SharedHead, _ rows: Range<Int>
    ) -> ([ParameterGroup<Float>], [Int?]) {
        let optimizer = configuration.optimizer
        var groups: [ParameterGroup<Float>] = []
        var owner: [Int?] = []
        for (index, trained) in slots.enumerated() where trained.multiplier > 0 {
            guard let gradient = gradients.slots[index] else { continue }
            let all = trained.slot.values
            let ranges = layout.sharesA ? trained.slot.pairs.map(\.b) : [0..<trained.slot.count]
            for range in ranges {
                groups.append(
                    ParameterGroup(
                        name: trained.slot.name, values: UnsafeMutableBufferPointer(rebasing: all[range]),
                        gradient: UnsafeMutableBufferPointer(rebasing: gradient[range]),
                        multiplier: trained.multiplier, weightDecay: optimizer.weightDecay))
                owner.append(index)
            }
        }
        for group in head.groups(rows, multiplier: optimizer.headMultiplier, weightDecay: optimizer.weightDecay) {
            groups.append(group)
            owner.append(nil)
        }
        return (groups, owner)
    }

    private func update(
        _ optimizer: Optimizer<Float>, _ slots: [TrainedSlot], _ owner: [Int?], _ gradients: Gradients<Float>,
        rate: Double, step: Int, report: inout TrainingReport
    ) throws {
        if let limit = configuration.optimizer.clip { GradientClipping.clip(optimizer.groups, to: limit) }
        let due = slots.indices.filter { slots[$0].multiplier > 0 && (step + 1) % slots[$0].period == 0 }
        if configuration.timeScales.averages {
            for index in due where slots[index].period > 1 {
                scale(gradients.slots[index], by: 1 / Float(slots[index].period))
            }
        }
        optimizer.step(learningRate: rate, only: Set(owner.indices.filter { owner[$0].map(due.contains) ?? true }))
        for index in due {
            report.updates[index] += 1
            gradients.slots[index]?.update(repeating: 0)
        }
    }

    /// A last step of slots whose accumulation is incomplete.
    private func flush(
        _ optimizer: Optimizer<Float>, _ slots: [TrainedSlot], _ owner: [Int?], _ gradients: Gradients<Float>,
        rate: Double, step: Int, report: inout TrainingReport
    ) throws {
        let due = slots.indices.filter { slots[$0].multiplier > 0 && step % slots[$0].period != 0 }
        guard !due.isEmpty else { return }
        if configuration.timeScales.averages {
            for index in due { scale(gradients.slots[index], by: 1 / Float(step % slots[index].period)) }
        }
        optimizer.step(learningRate: rate, only: Set(owner.indices.filter { owner[$0].map(due.contains) ?? false }))
        for index in due { report.updates[index] += 1 }
    }

    private func scale(_ values: UnsafeMutableBufferPointer<Float>?, by factor: Float) {
        guard let values else { return }
        for index in values.indices { values[index] *= factor }
    }

    private static func largest(_ gradients: Gradients<Float>) -> [Double] {
        gradients.slots.map { buffer in buffer.map { Double($0.reduce(0) { max($0, abs($1)) }) } ?? 0 }
    }

    private static func isAlive(_ slots: [TrainedSlot]) -> Bool {
        slots.allSatisfy { trained in
            trained.multiplier == 0 || trained.period > 1
                || trained.slot.pairs.contains { pair in trained.slot.b(pair).contains { $0 != 0 } }
        }
    }

    // MARK: Head alone

    /// Trains head rows on features that are at hand (refit, and structures without adapters).
    func trainHead(
        task: Int, features: Matrix<Float>, targets: [Int], head: SharedHead, rows: Range<Int>, epochs: Int,
        offsets: [Float] = []
    ) throws -> TrainingReport {
        let optimizer = Optimizer(
            configuration.optimizer.kind,
            groups: head.groups(
                rows, multiplier: configuration.optimizer.headMultiplier,
                weightDecay: configuration.optimizer.weightDecay))
        let pass = HeadPass(head, rows: rows, offsets: offsets)
        let batch = configuration.batch
        let steps = (features.rows + batch - 1) / batch
        let schedule = LearningRateSchedule(
            configuration.optimizer.schedule, base: configuration.optimizer.learningRate,
            minimum: configuration.optimizer.minimumRate, totalSteps: steps * epochs)
        var report = TrainingReport()
        report.stepsPerEpoch = steps
        report.members = ["head", "head.bias"]
        var step = 0
        for epoch in 0..<epochs {
            let order = random.permutation(features.rows, "refit", task, epoch)
            var (loss, right) = (0.0, 0)
            for start in stride(from: 0, to: order.count, by: batch) {
                if isCancelled() { throw CancellationError() }
                let part = Array(order[start..<min(start + batch, order.count)])
                var rowsOfBatch: [Float] = []
                for row in part {
                    rowsOfBatch += features.elements[row * features.columns..<(row + 1) * features.columns]
                }
                pass.clear()
                pass.targets = part.map { targets[$0] }
                pass.weight = 1 / Float(part.count)
                head.zeroGradient()
                rowsOfBatch.withUnsafeBufferPointer {
                    if let base = $0.baseAddress { pass.add(0..<part.count, base, nil, 0) }
                }
                pass.reduce()
                loss += pass.loss * Double(part.count)
                right += pass.right
                optimizer.step(learningRate: schedule.rate(at: step))
                step += 1
            }
            report.loss = loss / Double(max(1, order.count))
            report.accuracy = Double(right) / Double(max(1, order.count))
            onEpoch(epoch, report)
        }
        return report
    }
}
