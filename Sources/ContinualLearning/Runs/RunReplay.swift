import Diagnostics
import Foundation
import Networks
import Tensors

/// The consolidations of a finished run once more, by another rule, from the snapshots before each of them; nothing is
/// trained (cil-engine 17).
public struct RunReplay: Sendable {
    public var rule: String
    /// Slow learned by gradients in the run, so that what fast learned depended on the old rule.
    public var isApproximate: Bool
    /// Accuracy on validation samples of all tasks, of the new slow memory with class means of the train data.
    public var validationAccuracy: Double?
    /// The same for what the run itself left.
    public var originalAccuracy: Double?
    /// ‖S‖ after each task.
    public var slowNorms: [Double]
    public var truncationErrors: [Double]
}

extension ContinualRun {
    /// - Parameters:
    ///   - rule: the rule to apply instead.
    /// - Throws: `recipe.bad_parameter` for structures that do not consolidate one fast slot per task.
    public func replay(_ rule: ConsolidationRule) throws -> RunReplay {
        guard [.chain, .moe, .parallel].contains(configuration.structure) else {
            throw Failure(
                .recipeBadParameter,
                "structure \(configuration.structure.rawValue) moves nothing into slow by a rule that could be replaced",
                place: "structure", hint: "replay takes chain, moe-v0 and parallel")
        }
        var slow: [String: LowRankUpdate] = [:]
        var result = RunReplay(
            rule: rule.id, isApproximate: configuration.slow.multiplier > 0, slowNorms: [], truncationErrors: [])
        let memory = state.memory
        for task in 0..<state.finished {
            let before = try loadState(paths.pre(task))
            let fast = try before.memory.updates(of: .fast(before.memory.lastTrained ?? 0))
            let outcome = try Consolidation.apply(
                rule: rule, slow: slow, fast: fast, rank: memory.rankBound(of: .slow), task: task,
                factors: configuration.factorMode)
            slow = outcome.slow
            result.slowNorms.append(
                try slow.keys.sorted().reduce(0.0) { sum, site in
                    let norm = try slow[site]?.norm() ?? 0
                    return sum + norm * norm
                }.squareRoot())
            result.truncationErrors.append(outcome.truncationError)
        }
        result.originalAccuracy = try classMeanAccuracy(state)
        let other = try loadState(paths.task(state.finished - 1))
        try other.memory.write(slow, to: .slow, generation: 0)
        result.validationAccuracy = try classMeanAccuracy(other)
        return result
    }

    /// Accuracy on validation data by class means of the train data: it depends on the memory alone, not on a head that
    /// was trained beside another one.
    private func classMeanAccuracy(_ state: RunState) throws -> Double? {
        let evaluator = try MemoryEvaluator(runner: runner, configuration: configuration, state: state)
        var means = NearestMean(width: runner.width, classCount: plan.order.count)
        for task in 0..<self.state.finished {
            let set = try sampleSet(splits.train(task).samples)
            means.add(try evaluator.features(set, .slowOnly, .post), labels: set.rows)
        }
        let head = means.head()
        var (right, count) = (0.0, 0)
        for task in 0..<self.state.finished {
            let set = try validation(task).set
            let logits = head.logits(try evaluator.features(set, .slowOnly, .post))
            guard let accuracy = Scores.accuracy(logits, labels: set.rows, within: 0..<plan.order.count)?.0 else {
                continue
            }
            right += accuracy * Double(set.count)
            count += set.count
        }
        return count > 0 ? right / Double(count) : nil
    }
}
