import Diagnostics
import Networks
import Tensors
import Training

/// Trains the slots and head rows of one task (cil-engine 4.1, 6, 7).
///
/// One lane is the usual case; the K experts of `parallel` are K lanes on the same batches. Each lane has a fast slot
/// and its head rows. Everything random is a function of (seed, task, epoch): training can stop at any step and go on.
final class TaskTrainer {
    /// Gradients of a batch are summed in this many places, whatever the number of threads.
    private static let places = ForwardPass<Float>.accumulators

    let runner: NetworkRunner
    let configuration: RunConfiguration
    let memory: AdapterMemory
    let roles: TaskRoles
    let samples: SampleSet
    let task: Int
    /// Rows of the head that the lanes train; one set per lane, or one for all.
    let laneRows: [HeadRows]
    let laneMultipliers: [Double]
    let loss: HeadLoss
    private(set) var position: TrainingPosition
    private(set) var groups: [LearningGroup] = []
    let optimizer: Optimizer<Float>
    private let mix: AdapterMix<Float>
    private let slotOrder: [SlotName]
    private let gradients: Gradients<Float>
    private let laneSums: [[HeadLoss.Sums]]
    private let headGradients: [HeadLoss.Sums]
    /// Sums of slots whose period is longer than one step.
    private(set) var pending: [SlotName: UnsafeMutableBufferPointer<Float>] = [:]
    private let aligner: MemoryAligner?
    private let naive: NaiveLanes?
    private let schedule: LearningRateSchedule
    let stepsPerEpoch: Int

    /// - Parameters:
    ///   - rows: the rows of each lane; one entry when lanes share the head.
    ///   - trained: rows of the head that learn.
    init(
        runner: NetworkRunner, configuration: RunConfiguration, memory: AdapterMemory, roles: TaskRoles,
        samples: TrainSet, task: Int, rows: [HeadRows], trained: Range<Int>, loss: HeadLoss
    ) throws {
        self.runner = runner
        self.configuration = configuration
        self.memory = memory
        self.roles = roles
        self.samples = samples.set
        self.task = task
        laneRows = rows
        self.loss = loss
        let multipliers =
            configuration.structure == .parallel
            ? configuration.experts.schedule.multipliers(memory.fast.count) : roles.lanes.map { _ in 1 }
        laneMultipliers = multipliers
        let order: [SlotName] =
            roles.lanes.map { SlotName.fast($0) } + (roles.usesSlow ? [.slow] : []) + (roles.usesMid ? [.mid] : [])
        slotOrder = order
        let members = roles.members
        mix = try AdapterMix(
            order.compactMap { memory[$0] }, on: memory.backbone,
            trainable: Set(order.indices.filter { members.contains(order[$0]) }),
            plan: roles.lanes.count > 1 ? .separate : .packed)
        gradients = Gradients(backbone: runner.backbone, mix: mix)
        laneSums = (0..<Self.places).map { _ in
            rows.map { _ in HeadLoss.Sums(rows: loss.competing.count, width: loss.width) }
        }
        headGradients = rows.map { _ in HeadLoss.Sums(rows: loss.competing.count, width: loss.width) }
        stepsPerEpoch = (samples.set.count + configuration.batch - 1) / configuration.batch
        let o = configuration.optimisation
        schedule = LearningRateSchedule(
            o.schedule, base: o.rate, minimum: o.minimumRate, warmupSteps: o.warmupSteps,
            totalSteps: stepsPerEpoch * configuration.epochs)
        aligner = configuration.alignment.isOn ? MemoryAligner(configuration: configuration, task: task) : nil
        naive =
            roles.lanes.count > 1 && !configuration.sharesCompute
            ? try NaiveLanes(runner: runner, memory: memory, roles: roles) : nil
        groups = Self.makeGroups(
            configuration, memory, roles, slotOrder, gradients, laneMultipliers, rows, headGradients, trained, loss,
            pending: &pending)
        optimizer = Optimizer(o.kind, groups: groups.map(\.group))
        position = TrainingPosition(
            lossSums: Array(repeating: 0, count: max(1, roles.lanes.count)),
            updates: Array(repeating: 0, count: groups.count))
    }

    deinit { for buffer in pending.values { buffer.deallocate() } }

    // MARK: Membership

    private static func makeGroups(
        _ configuration: RunConfiguration, _ memory: AdapterMemory, _ roles: TaskRoles, _ order: [SlotName],
        _ gradients: Gradients<Float>, _ multipliers: [Double], _ rows: [HeadRows], _ headGradients: [HeadLoss.Sums],
        _ trained: Range<Int>, _ loss: HeadLoss, pending: inout [SlotName: UnsafeMutableBufferPointer<Float>]
    ) -> [LearningGroup] {
        let o = configuration.optimisation
        var groups: [LearningGroup] = []
        for (index, name) in order.enumerated() {
            guard roles.members.contains(name), let slot = memory[name], var gradient = gradients.slots[index] else {
                continue
            }
            let (multiplier, period) = rateAndPeriod(name, configuration, roles, multipliers)
            if period > 1 {
                let sums = UnsafeMutableBufferPointer<Float>.allocate(capacity: gradient.count)
                sums.initialize(repeating: 0)
                pending[name] = sums
                gradient = sums
            }
            let values = UnsafeMutableBufferPointer(rebasing: slot.values[0..<slot.count])
            if configuration.factorMode == .sharedA {
                // Only B learns; the common A is frozen.
                for pair in slot.pairs {
                    let group = ParameterGroup(
                        name: name.description, values: UnsafeMutableBufferPointer(rebasing: values[pair.b]),
                        gradient: UnsafeMutableBufferPointer(rebasing: gradient[pair.b]), multiplier: multiplier,
                        weightDecay: o.weightDecay)
                    groups.append(LearningGroup(slot: name, group: group, period: period))
                }
            } else {
                let group = ParameterGroup(
                    name: name.description, values: values, gradient: gradient, multiplier: multiplier,
                    weightDecay: o.weightDecay)
                groups.append(LearningGroup(slot: name, group: group, period: period))
            }
        }
        for (lane, rows) in rows.enumerated() {
            let multiplier =
                o.headMultiplier
                * (multipliers.indices.contains(lane) && headGradients.count > 1
                    ? multipliers[lane] : 1)
            groups += headGroups(rows, headGradients[lane], trained, loss, multiplier, configuration)
        }
        return groups
    }

    private static func rateAndPeriod(
        _ name: SlotName, _ configuration: RunConfiguration, _ roles: TaskRoles, _ multipliers: [Double]
    ) -> (Double, Int) {
        let t = configuration.timeScales
        let isChain3 = configuration.structure == .chain3
        switch name {
        case .slow: return (configuration.slow.multiplier, isChain3 ? t.slowPeriod : 1)
        case .mid: return (t.midMultiplier, t.midPeriod)
        case .fast(let index):
            let lane = roles.lanes.firstIndex(of: index) ?? 0
            return (multipliers.indices.contains(lane) ? multipliers[lane] : 1, isChain3 ? t.fastPeriod : 1)
        }
    }

    private static func headGroups(
        _ rows: HeadRows, _ sums: HeadLoss.Sums, _ trained: Range<Int>, _ loss: HeadLoss, _ multiplier: Double,
        _ configuration: RunConfiguration
    ) -> [LearningGroup] {
        let first = trained.lowerBound - loss.competing.lowerBound
        let o = configuration.optimisation
        var groups = [
            LearningGroup(
                slot: nil,
                group: ParameterGroup(
                    name: "head", values: rows.weights(of: trained),
                    gradient: UnsafeMutableBufferPointer(
                        rebasing: sums.weights[first * loss.width..<(first + trained.count) * loss.width]),
                    multiplier: multiplier, weightDecay: o.headWeightDecay), period: 1)
        ]
        if configuration.head.bias {
            groups.append(
                LearningGroup(
                    slot: nil,
                    group: ParameterGroup(
                        name: "head.bias", values: rows.bias(of: trained),
                        gradient: UnsafeMutableBufferPointer(rebasing: sums.bias[first..<first + trained.count]),
                        multiplier: multiplier), period: 1))
        }
        return groups
    }

    /// Names of everything that the optimiser holds, for logs and I3.
    var memberNames: [String] {
        var names: [String] = []
        for group in groups where !names.contains(group.group.name) { names.append(group.group.name) }
        return names
    }

    // MARK: Running

    /// Goes on from where training stands.
    ///
    /// - Parameters:
    ///   - shouldStop: asked before each step; true throws `CancellationError` with everything in place to go on.
    ///   - afterEpoch: called with what the epoch came to.
    func run(
        progress: any ProgressReporting, shouldStop: () -> Bool, afterEpoch: (EpochRecord) throws -> Void
    ) throws {
        while position.epoch < configuration.epochs {
            let order = Permutation.of(
                samples.count,
                CounterRandom(seed: configuration.seed, stream: "order", "\(task)", "\(position.epoch)"))
            while position.step < stepsPerEpoch {
                if shouldStop() { throw CancellationError() }
                let start = position.step * configuration.batch
                let batch = Array(order[start..<min(start + configuration.batch, order.count)])
                try step(batch)
                progress.advance(by: Int64(batch.count))
            }
            let record = EpochRecord(
                epoch: position.epoch, losses: position.lossSums.map { $0 / Double(max(1, position.samples)) },
                rates: rates)
            position.epoch += 1
            position.step = 0
            position.lossSums = position.lossSums.map { _ in 0 }
            position.samples = 0
            if position.epoch == configuration.epochs { finishPending() }
            try afterEpoch(record)
        }
    }

    private var rates: [(name: String, rate: Double)] {
        let rate = schedule.rate(at: max(0, position.total - 1))
        var result: [(name: String, rate: Double)] = []
        for group in groups where !result.contains(where: { $0.name == group.group.name }) {
            result.append((group.group.name, rate * group.group.multiplier))
        }
        return result
    }

    /// One step on the samples at these positions.
    func step(_ batch: [Int]) throws {
        try computeGradients(batch)
        if let place = headGradients.first(where: { !$0.loss.isFinite }) {
            throw Failure(
                .numericNoConvergence, "the loss became \(place.loss) in task \(task), step \(position.total)",
                place: "optimizer.lr", hint: "lower optimizer.lr, or set optimizer.clip")
        }
        for (lane, sums) in headGradients.enumerated() where lane < position.lossSums.count {
            position.lossSums[lane] += sums.loss
        }
        position.samples += batch.count
        let rate = schedule.rate(at: position.total)
        position.step += 1
        position.total += 1
        for (name, sums) in pending {
            guard let index = slotOrder.firstIndex(of: name), let gradient = gradients.slots[index] else { continue }
            for i in sums.indices { sums[i] += gradient[i] }
        }
        update(rate: rate) { position.total % $0 == 0 }
        if let aligner, position.total % aligner.interval(steps: stepsPerEpoch * configuration.epochs) == 0 {
            try aligner.align(memory, roles: roles, optimizer: optimizer, groups: groups)
        }
        mix.refresh()
        naive?.refresh()
    }

    /// One optimiser step of the groups whose period is due.
    private func update(rate: Double, isDue: (Int) -> Bool) {
        let due = Set(groups.indices.filter { groups[$0].period == 1 || isDue(groups[$0].period) })
        for index in due.sorted() { prepareUpdate(of: index, steps: groups[index].period) }
        optimizer.step(learningRate: rate, only: due)
        for (name, sums) in pending
        where groups.indices.contains(where: { groups[$0].slot == name && due.contains($0) }) {
            sums.update(repeating: 0)
        }
    }

    /// Counts an update of a group and makes its gradient the one to apply.
    ///
    /// - Parameter steps: how many steps were accumulated; with `reduce: mean` their sum is divided by it.
    private func prepareUpdate(of index: Int, steps: Int) {
        position.updates[index] += 1
        if configuration.timeScales.reduction == .mean, groups[index].period > 1 {
            let factor = 1 / Float(steps)
            for i in groups[index].group.gradient.indices { groups[index].group.gradient[i] *= factor }
        }
        if let clip = configuration.optimisation.clip { GradientClipping.clip([groups[index].group], to: clip) }
    }

    /// What is left of an accumulation at the end of the task: applied, forgotten, or kept for the next.
    private func finishPending() {
        guard !pending.isEmpty else { return }
        switch configuration.timeScales.partial {
        case .carry: return
        case .discard: for sums in pending.values { sums.update(repeating: 0) }
        case .apply:
            let open = Set(groups.indices.filter { groups[$0].period > 1 && position.total % groups[$0].period != 0 })
            guard !open.isEmpty else { return }
            for index in open.sorted() { prepareUpdate(of: index, steps: position.total % groups[index].period) }
            optimizer.step(learningRate: schedule.rate(at: max(0, position.total - 1)), only: open)
            for sums in pending.values { sums.update(repeating: 0) }
            mix.refresh()
        }
    }

    // MARK: Gradients

    /// Fills the gradients of slots and head rows for one batch; nothing moves.
    func computeGradients(_ batch: [Int]) throws {
        gradients.zero()
        for sums in headGradients { sums.clear() }
        for place in laneSums { for sums in place { sums.clear() } }
        let lanes = max(1, roles.lanes.count)
        if let naive {
            for lane in 0..<lanes {
                try naive.step(
                    lane, samples: samples, batch: batch, into: gradients, work: batchWork(batch, lanes, lane))
            }
        } else {
            let repeated = lanes == 1 ? batch : (0..<lanes).flatMap { _ in batch }
            let work = batchWork(batch, lanes, nil)
            try runner.backbone.step(
                samples.input(repeated, usingPrefix: configuration.sharesCompute), pooling: runner.pooling, mix: mix,
                coefficients: coefficients(lanes: lanes, batch: batch.count), into: gradients, threads: runner.threads
            ) { samples, features, gradient, accumulator in
                work.run(samples, features, gradient, accumulator)
            }
        }
        for place in laneSums {
            for (lane, sums) in place.enumerated() { headGradients[lane].add(sums) }
        }
        scaleShared(lanes)
    }

    /// Expert-major rows: row k·B + i is sample i for expert k, which sees slow and fast[k].
    private func coefficients(lanes: Int, batch: Int) -> Coefficients<Float>? {
        guard lanes > 1 else { return nil }
        let slots = slotOrder.count
        var table = [Float](repeating: 0, count: lanes * batch * slots)
        for lane in 0..<lanes {
            for sample in 0..<batch {
                let first = (lane * batch + sample) * slots
                table[first + lane] = 1
                for shared in lanes..<slots { table[first + shared] = 1 }
            }
        }
        return .perSample(table)
    }

    private func batchWork(_ batch: [Int], _ lanes: Int, _ only: Int?) -> BatchWork {
        let isExpanded = configuration.experts.reduction == .expandedMean
        return BatchWork(
            labels: batch.map { samples.rows[$0] }, lane: only, rows: laneRows, sums: laneSums, loss: loss,
            scale: 1 / Float(batch.count * (isExpanded ? lanes : 1)))
    }

    /// What several experts share receives the mean of their gradients, so that it does not grow with K.
    private func scaleShared(_ lanes: Int) {
        guard lanes > 1, configuration.experts.reduction == .perExpert else { return }
        let factor = 1 / Float(lanes)
        for index in lanes..<slotOrder.count {
            guard let gradient = gradients.slots[index] else { continue }
            for i in gradient.indices { gradient[i] *= factor }
        }
        if laneRows.count == 1 {
            let sums = headGradients[0]
            for i in sums.weights.indices { sums.weights[i] *= factor }
            for i in sums.bias.indices { sums.bias[i] *= factor }
        }
    }

    /// Largest absolute gradient of each slot in the mix, nil where none is computed (I4).
    func gradientMaxima() -> [SlotName: Float?] {
        var result: [SlotName: Float?] = [:]
        for (index, name) in slotOrder.enumerated() {
            result[name] = .some(gradients.slots[index].map { $0.reduce(0) { max($0, abs($1)) } })
        }
        return result
    }

    func gradient(of name: SlotName) -> [Float]? {
        slotOrder.firstIndex(of: name).flatMap { gradients.slots[$0] }.map(Array.init)
    }

    var headGradient: [[Float]] { headGradients.map { Array($0.weights) } }
    var batchLosses: [Double] { headGradients.map(\.loss) }

    // MARK: State

    /// - Returns: false when the state has another shape.
    func restore(_ state: TrainingPosition, optimizer saved: Optimizer<Float>.State, pending sums: [SlotName: [Float]])
        -> Bool
    {
        guard optimizer.restore(saved), state.updates.count == groups.count else { return false }
        position = state
        guard restorePending(sums) else { return false }
        mix.refresh()
        naive?.refresh()
        return true
    }

    func restorePending(_ sums: [SlotName: [Float]]) -> Bool {
        for (name, values) in sums {
            guard let target = pending[name], target.count == values.count else { return false }
            _ = target.update(fromContentsOf: values)
        }
        return true
    }
}

/// The loss of one batch, block by block, from several threads.
private struct BatchWork: Sendable {
    let labels: [Int]
    /// The only lane of the pass; nil: expert-major rows.
    let lane: Int?
    let rows: [HeadRows]
    /// [place][lane]
    let sums: [[HeadLoss.Sums]]
    let loss: HeadLoss
    let scale: Float

    func run(
        _ samples: Range<Int>, _ features: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>,
        _ accumulator: Int
    ) {
        let width = loss.width
        for (place, sample) in samples.enumerated() {
            let expert = lane ?? sample / labels.count
            // With a shared head all experts meet in the one set of rows.
            let target = rows.count == 1 ? 0 : expert
            loss.add(
                features + place * width, label: labels[sample % labels.count], rows: rows[target], scale: scale,
                into: sums[accumulator][target], gradient: gradient + place * width)
        }
    }
}

extension NaiveLanes {
    fileprivate func step(
        _ lane: Int, samples: SampleSet, batch: [Int], into gradients: Gradients<Float>, work: BatchWork
    ) throws {
        try step(lane, input: samples.input(batch, usingPrefix: false), into: gradients) {
            work.run($0, $1, $2, $3)
        }
    }
}
