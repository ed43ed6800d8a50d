import Foundation
import Networks
import Tensors

extension ContinualRun {
    /// Checks a saved state: I1, I2, I6, I9, I11, I12, I16 (cil-engine 15).
    ///
    /// - Parameter task: which checkpoint; nil takes the newest.
    /// - Throws: `data.missing`-like failures of reading; a check that fails does not throw.
    public func doctor(task: Int? = nil) throws -> [InvariantCheck] {
        guard let last = task ?? paths.lastTask(of: plan.count) else { return [] }
        let saved = try loadState(paths.task(last))
        let again = try loadState(paths.task(last))
        let seen = plan.seen(after: last)
        let set = try validation(last).set.count > 0 ? validation(last).set : sampleSet(splits.train(last).samples)
        let positions = Array(0..<min(64, set.count))
        func logits(_ state: RunState, _ view: MemoryView) throws -> Matrix<Float> {
            let features = try MemoryEvaluator(runner: runner, configuration: configuration, state: state).features(
                set, view, .post, positions: positions)
            return state.head.logits(features, seen: seen)
        }
        var checks: [InvariantCheck] = []
        let hash = Self.hash(loaded.backbone)
        let recorded = try LoadedCheckpoint(path: paths.task(last)).header["backbone_sha256"]?.string
        checks.append(
            InvariantCheck("I6", task: last, passed: hash == recorded, note: "backbone as when it was saved"))
        let (first, second) = (try logits(saved, .combined), try logits(again, .combined))
        let same = try Checkpoint.hash(saved) == Checkpoint.hash(again)
        checks.append(
            InvariantCheck(
                "I9", task: last, passed: same && first.elements == second.elements,
                value: maximalDifference(first, second), note: "loaded twice into fresh states"))
        let repeated = try logits(saved, .combined)
        checks.append(
            InvariantCheck(
                "I12", task: last, passed: repeated.elements == first.elements,
                value: maximalDifference(repeated, first), note: "evaluated twice"))
        checks.append(
            InvariantCheck(
                "I11", task: last, passed: saved.head.rows.count == plan.order.count && first.columns == seen,
                value: Double(first.columns), note: "\(seen) classes compete, one head"))
        try checks += doctorMemories(saved, last) { try logits(saved, $0) }
        return checks
    }

    /// I2, I1 and I16, where the structure resets fast after each task.
    private func doctorMemories(
        _ saved: RunState, _ task: Int, _ logits: (MemoryView) throws -> Matrix<Float>
    ) throws -> [InvariantCheck] {
        guard [.chain, .parallel].contains(configuration.structure), configuration.consolidation.keep == 0 else {
            return []
        }
        let norms = try saved.memory.fast.indices.map { try saved.memory.norm(of: .fast($0)) }
        var checks = [
            InvariantCheck(
                "I2", task: task, passed: norms.allSatisfy { $0 == 0 }, value: norms.max() ?? 0,
                note: "norm of fast after the reset")
        ]
        let difference = maximalDifference(try logits(.combined), try logits(.slowOnly))
        let bare = maximalDifference(try logits(.fastOnly), try logits(.backboneOnly))
        checks.append(
            InvariantCheck(
                "I1", task: task, passed: difference == 0, value: difference, note: "combined and slow_only"))
        checks.append(
            InvariantCheck(
                "I16", task: task, passed: max(difference, bare) == 0, value: max(difference, bare),
                note: "post.combined = post.slow_only and post.fast_only = backbone_only"))
        return checks
    }
}
