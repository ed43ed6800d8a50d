import Diagnostics
import Networks
import Tensors

extension EngineRun {
    /// I13: the parts of a task have no sample in common, and nothing was chosen on test data.
    func checkSplits(_ task: Int, _ log: inout InvariantLog) throws {
        let data = sequence.tasks[task]
        let train = Set(data.train.samples.sourceIndices)
        let shared = data.validation.samples.sourceIndices.filter(train.contains)
        try log.check("I13", Double(shared.count), "training and validation samples are disjoint")
        let strange = sequence.testReadings.keys.filter { $0 != "report" && !$0.hasPrefix("selection") }
        try log.check("I13", Double(strange.count), "test data were read for reports only")
    }

    /// Hashes of slots that this task must not touch.
    func foreignHashes(_ task: Int) throws -> [String: UInt64] {
        var result: [String: UInt64] = [:]
        for (index, member) in state.fast.enumerated() where !isMember(index, task) {
            result[member.slot.name] = Self.hash(member.slot.snapshot)
        }
        if let slow = state.slow, !trainsSlow { result["slow"] = Self.hash(slow.snapshot) }
        return result
    }

    private var trainsSlow: Bool {
        switch configuration.structure {
        case .chain, .chain3, .moe, .parallel: configuration.slow.multiplier > 0
        default: false
        }
    }

    private func isMember(_ index: Int, _ task: Int) -> Bool {
        switch configuration.structure {
        case .moe: index == task % max(1, state.fast.count)
        case .independent: index == task
        default: true
        }
    }

    /// I5 and I6: what is no member stayed bit by bit.
    func checkForeign(_ task: Int, _ before: [String: UInt64], _ log: inout InvariantLog) throws {
        for (name, slot) in state.all {
            guard let hash = before[name] else { continue }
            try log.require(
                "I5", Self.hash(slot.snapshot) == hash, "\(name) is not trained in task \(task) and is unchanged")
        }
        try log.require("I6", Self.hash(backbone) == backboneHash, "the backbone is unchanged")
    }

    /// I3, I4, I10, I15, I17 for one training.
    func check(_ report: TrainingReport, _ slots: [TrainedSlot], _ log: inout InvariantLog) throws {
        let members = Set(report.members)
        let wanted = Set(slots.filter { $0.multiplier > 0 }.map(\.slot.name) + ["head", "head.bias"])
        try log.require("I3", members == wanted, "the optimiser holds " + members.sorted().joined(separator: ", "))
        for (index, trained) in slots.enumerated() {
            let value = index < report.firstGradients.count ? report.firstGradients[index] : 0
            if trained.multiplier > 0 {
                try log.require("I4", value > 0, "\(trained.slot.name) has a gradient")
            } else {
                try log.check("I4", value, "\(trained.slot.name) is frozen and has none")
            }
            let steps = report.stepsPerEpoch * configuration.epochs
            guard trained.multiplier > 0, index < report.updates.count else { continue }
            let expected = steps / trained.period + (steps % trained.period == 0 ? 0 : 1)
            try log.check(
                "I15", Double(abs(report.updates[index] - expected)),
                "\(trained.slot.name) was updated \(report.updates[index]) times")
        }
        try log.require("I10", report.isAlive, "B left zero after the first step")
        try log.require("I17", report.loss.isFinite, "the loss is finite")
    }

    /// I8: α = 1 without a cut leaves the function as it was.
    func checkPreserved(_ before: [Float], _ validation: SampleInput, _ task: Int, _ log: inout InvariantLog) throws {
        guard let rule = configuration.consolidation.rule, rule.id == "ta", rule.values["alpha"]?.number == 1,
            configuration.consolidation.keep == 0, configuration.slow.storage != .factors,
            [.chain, .moe].contains(configuration.structure), state.fast.count == 1, !before.isEmpty
        else { return }
        let after = try probeLogits(validation, task, view: .slowOnly, expert: nil)
        let scale = before.reduce(Float(0)) { max($0, abs($1)) }
        let difference = zip(before, after).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
        try log.check(
            "I8", Double(difference / max(scale, 1e-12)), atMost: 1e-4, "consolidation with α = 1 kept the logits")
    }

    /// I1, I2, I10, I11, I12, I16, I17 on the state after a task.
    func checkState(_ task: Int, _ validation: SampleInput, consolidated: Bool, _ log: inout InvariantLog) throws {
        let first = try probeLogits(validation, task, view: .combined, expert: nil)
        let again = try probeLogits(validation, task, view: .combined, expert: nil)
        try log.require("I12", first == again, "evaluation repeats itself bit by bit")
        try log.require(
            "I11", state.head.classCount == sequence.order.count, "one head with a row per class, no task id")
        for (name, slot) in state.all {
            try log.require("I17", slot.snapshot.allSatisfy(\.isFinite), "\(name) is finite")
        }
        let wasReset =
            consolidated && configuration.consolidation.keep == 0
            && [.chain, .chain3, .parallel].contains(configuration.structure)
        let norms = try state.fast.map { try $0.slot.norm() }
        guard wasReset, configuration.structure != .chain3 || configuration.timeScales.cascadePeriods[0] == 1 else {
            return
        }
        for (index, norm) in norms.enumerated() {
            try log.check("I1", norm, "fast[\(index)] is zero after its reset")
            try log.check("I2", norm, "its logged norm is that before the evaluation")
            let alive = state.fast[index].slot.pairs.allSatisfy { pair in
                state.fast[index].slot.a(pair).contains { $0 != 0 }
            }
            try log.require("I10", alive, "A of fast[\(index)] is not zero after the reset")
        }
        guard configuration.structure != .chain3 else { return }
        let slowOnly = try probeLogits(validation, task, view: .slowOnly, expert: nil)
        try log.check("I1", Self.distance(first, slowOnly), "combined and slow-only give the same logits")
        let fastOnly = try probeLogits(validation, task, view: .fastOnly, expert: nil)
        let bare = try probeLogits(validation, task, view: .backboneOnly, expert: nil)
        try log.check("I16", Self.distance(fastOnly, bare), "fast-only is the backbone while fast is zero")
    }

    static func distance(_ a: [Float], _ b: [Float]) -> Double {
        Double(zip(a, b).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) })
    }

    /// I14: changing one expert changes nothing that another one computes.
    func checkIsolation(_ task: Int, _ input: SampleInput, _ log: inout InvariantLog) throws {
        guard state.fast.count > 1, input.count > 0 else { return }
        let positions = Array(0..<min(8, input.count))
        func run() throws -> [Float] {
            try backbone.features(
                input(positions), pooling: reading.pooling, mix: state.mix(),
                coefficients: .constant(state.coefficients(.combined, configuration, only: 0)), threads: threads)
        }
        let before = try run()
        let other = state.fast[1].slot
        let kept = other.snapshot
        for index in 0..<other.count { other.values[index] += 0.5 }
        let after = try run()
        _ = other.values.update(fromContentsOf: kept)
        try log.require("I14", before == after, "an expert's samples do not see the other experts")
    }
}
