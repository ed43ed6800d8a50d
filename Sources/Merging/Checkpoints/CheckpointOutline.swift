import Diagnostics
import Tensors
import WeightFiles

/// Stands for the result of a stage over full weights that has not run yet: tensors with shapes and types, no numbers.
enum CheckpointOutline {
    private final class NoMemory: Sendable {}

    private struct Weights: WeightSet {
        let tensors: [TensorView]
        let index: [String: Int]
        var metadata: [String: String] { [:] }
        var findings: [Finding] { [] }
        var files: [(name: String, content: MappedBytes)] { [] }

        func view(_ name: String) -> TensorView? { index[name].map { tensors[$0] } }
    }

    static func checkpoint(of plan: StagePlan) throws -> Checkpoint {
        guard let checkpoint = plan.checkpoint else {
            throw Failure(.internalDefect, "the stage makes no full weights", hint: "please report this")
        }
        let union = try TensorUnion(checkpoint, operands: plan.operands)
        let tensors = union.sites.compactMap { site -> TensorView? in
            guard let model = site.base ?? site.weights.min(by: { $0.key < $1.key })?.value else { return nil }
            return TensorView(
                name: site.name, dtype: model.dtype.isNumber ? .f32 : model.dtype, shape: model.shape,
                bytes: UnsafeRawBufferPointer(start: nil, count: 0), owner: NoMemory())
        }
        let index = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { ($1.name, $0) })
        return Checkpoint(name: plan.name, path: "", weights: Weights(tensors: tensors, index: index))
    }
}

extension StagePlan {
    /// The plan with the result of an earlier stage over full weights in the place of its outline.
    public func filling(stage name: String, with checkpoint: Checkpoint) -> StagePlan {
        var copy = self
        for (index, stage) in pendingOperands where stage == name {
            copy.checkpoint?.operands[index] = checkpoint
            copy.pendingOperands[index] = nil
        }
        return copy
    }
}
