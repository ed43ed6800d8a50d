import Diagnostics
import Foundation
import Networks
import Tensors
import Testing

@testable import ContinualLearning

/// Ways to look into a run between two steps.
enum EngineProbe {
    /// The tasks [0, 1], [2, 3], [4] of ``TinyWorld`` in this order.
    static let order = "seeds: { class_order: null }\n"

    /// The trainer that a task begins with.
    ///
    /// - Parameter data: the task whose samples and classes it learns; nil: its own.
    static func trainer(_ run: ContinualRun, task: Int = 0, data: Int? = nil) throws -> TaskTrainer {
        let memory = run.state.memory
        let roles = TaskRoles(
            run.configuration, task: task, slots: max(1, memory.fast.count), hasSlow: memory.slow != nil)
        let rows = run.plan.rows(of: data ?? task)
        let loss = HeadLoss(width: run.runner.width, competing: rows, normalises: false, cosine: false, kappa: 1)
        let isShared = roles.lanes.count == 1 || run.configuration.experts.headSharing == .shared
        let head = run.state.head.rows
        return try TaskTrainer(
            runner: run.runner, configuration: run.configuration, memory: memory, roles: roles,
            samples: TrainSet(set: run.sampleSet(run.splits.train(data ?? task).samples)), task: task,
            rows: isShared ? [head] : roles.lanes.map { _ in head.copy(of: rows) }, trained: rows, loss: loss)
    }

    static func finish(_ trainer: TaskTrainer) throws {
        try trainer.run(progress: SilentProgress(), shouldStop: { false }, afterEpoch: { _ in })
    }

    static func values(_ slot: LoRASlot<Float>?) -> [Float] { slot.map { Array($0.values[0..<$0.count]) } ?? [] }

    static func values(_ rows: UnsafeMutableBufferPointer<Float>) -> [Float] { Array(rows) }

    /// Puts random numbers into both factors.
    static func fill(_ slot: LoRASlot<Float>?, seed: UInt64) throws {
        let slot = try #require(slot)
        let random = CounterRandom(seed: seed, stream: "fill")
        slot.assign((0..<slot.count).map { 0.4 * (random.uniform(UInt64($0)) - 0.5) })
    }

    /// Scores of the training samples for slow and one fast slot with rows of its own.
    static func logits(_ run: ContinualRun, _ trainer: TaskTrainer, lane: Int) throws -> [Float] {
        let memory = run.state.memory
        let slots = [memory.slow, memory[.fast(lane)]].compactMap { $0 }
        let features = try run.runner.features(
            of: trainer.samples, mix: AdapterMix(slots, on: memory.backbone), coefficients: slots.map { _ in 1 })
        let rows = trainer.laneRows[trainer.laneRows.count > 1 ? lane : 0]
        let weights = rows.weights(of: trainer.loss.competing)
        let bias = rows.bias(of: trainer.loss.competing)
        return (0..<features.rows).flatMap { row in
            bias.indices.map { c in
                (0..<rows.width).reduce(bias[c]) { $0 + features[row, $1] * weights[c * rows.width + $1] }
            }
        }
    }

    /// Scores of the first 20 samples of a task's validation data.
    static func logits(
        _ run: ContinualRun, _ state: RunState, _ view: MemoryView, _ moment: Moment, task: Int, active: Int? = 0
    ) throws -> [Float] {
        let evaluator = try MemoryEvaluator(runner: run.runner, configuration: run.configuration, state: state)
        let set = try run.validation(task).set
        let features = try evaluator.features(
            set, view, moment, active: active, positions: Array(0..<min(20, set.count)))
        return state.head.logits(features, seen: run.plan.seen(after: task)).elements
    }

    /// Largest absolute difference, relative to the largest of `b`.
    static func gap(_ a: [Float], _ b: [Float]) -> Float {
        guard a.count == b.count else { return .infinity }
        let size = b.reduce(Float(0)) { max($0, abs($1)) }
        let gap = zip(a, b).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
        return gap == 0 ? 0 : gap / size
    }

    /// ‖Δ(a) − Δ(b)‖ over all sites, relative to ‖Δ(b)‖.
    static func distance(_ a: [String: LowRankUpdate], _ b: [String: LowRankUpdate]) throws -> Double {
        var (gap, size) = (0.0, 0.0)
        for site in Set(a.keys).union(b.keys) {
            guard let x = a[site], let y = b[site] else { return .infinity }
            let (difference, norm) = (try x.distance(to: y), try y.norm())
            gap += difference * difference
            size += norm * norm
        }
        return size > 0 ? (gap / size).squareRoot() : .infinity
    }

    /// Fields of a file of comma-separated values, without the heading.
    static func table(_ run: ContinualRun, _ name: String) throws -> [[String]] {
        try String(contentsOfFile: run.folder + "/" + name, encoding: .utf8).split(separator: "\n").dropFirst().map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
    }
}
