import Diagnostics
import Networks
import Tensors
import WeightFiles

/// The whole state of a training run in one safetensors file: numbers, moments, step counts.
///
/// A run that goes on from it takes the same steps, bit for bit, as one that was never interrupted: what is random in
/// a run is a function of the step number, so no generator's state has to be kept.
public enum TrainingCheckpoint {
    private static let format = "lorabank.training/1"

    /// Writes the state; whatever stood at `path` is replaced in one step.
    ///
    /// - Parameter identity: what must be equal when the run goes on, e.g. the digest of its configuration.
    public static func write(
        _ trainer: Trainer, identity: String, notes: [String: String] = [:], to path: String
    ) throws {
        let state = trainer.optimizer.state
        var metadata = notes
        metadata["format"] = format
        metadata["identity"] = identity
        metadata["step"] = "\(trainer.stepCount)"
        metadata["group_steps"] = state.steps.map(String.init).joined(separator: ",")
        var declarations: [TensorDeclaration] = []
        for (group, names) in zip(trainer.optimizer.groups, names(trainer)) {
            declarations += names.map { TensorDeclaration($0, .f32, [group.values.count]) }
        }
        let writer = try SafetensorsWriter(
            path: path, layout: SafetensorsLayout(declarations, metadata: metadata), overwrite: true)
        for (index, names) in names(trainer).enumerated() {
            try writer.write(UnsafeRawBufferPointer(trainer.optimizer.groups[index].values), toTensor: names[0])
            try state.first[index].withUnsafeBytes { try writer.write($0, toTensor: names[1]) }
            if names.count > 2 { try state.second[index].withUnsafeBytes { try writer.write($0, toTensor: names[2]) } }
        }
        try writer.commit()
    }

    /// Puts a trainer of the same parts into the state of the file.
    ///
    /// - Returns: the notes that were written with it.
    /// - Throws: `config.bad_value` when the file belongs to another run, `backbone.missing_tensor`,
    ///   `backbone.shape_mismatch`, and what reading the file throws. The trainer is left as it was then.
    @discardableResult
    public static func restore(_ trainer: Trainer, identity: String, from path: String) throws -> [String: String] {
        let file = try SafetensorsFile(path: path)
        let metadata = file.metadata
        guard metadata["format"] == format, metadata["identity"] == identity,
            let step = metadata["step"].flatMap(Int.init),
            let steps = metadata["group_steps"]?.split(separator: ",").compactMap({ Int($0) }),
            steps.count == trainer.optimizer.groups.count
        else {
            throw Failure(
                .configBadValue, "the checkpoint was made with another configuration or another program version",
                path: path, place: "identity", hint: "go on with the same configuration, or start anew without it",
                details: ["expected": identity, "found": metadata["identity"] ?? "none"])
        }
        let names = names(trainer)
        let known = Set(names.joined())
        if let stranger = file.names.first(where: { !known.contains($0) }) {
            throw Failure(.backboneUnexpectedTensor, "the run has nothing of this name", path: path, place: stranger)
        }
        let tensors = try names.enumerated().map { index, names in
            try names.map { try numbers($0, trainer.optimizer.groups[index].values.count, file, path) }
        }
        let isRestored = trainer.optimizer.restore(
            Optimizer<Float>.State(
                steps: steps, first: tensors.map { $0[1] }, second: tensors.map { $0.count > 2 ? $0[2] : [] }))
        guard isRestored else { throw Failure(.internalDefect, "the moments do not fit the groups", path: path) }
        for (group, values) in zip(trainer.optimizer.groups, tensors) {
            _ = group.values.update(fromContentsOf: values[0])
        }
        trainer.stepCount = step
        trainer.refresh()
        return metadata
    }

    /// Names of each group's tensors: its numbers, first and, for AdamW, second moments.
    private static func names(_ trainer: Trainer) -> [[String]] {
        let kinds = trainer.optimizer.kind == .adamw ? ["value", "first", "second"] : ["value", "first"]
        return trainer.optimizer.groups.map { group in kinds.map { "\($0).\(group.name)" } }
    }

    private static func numbers(_ name: String, _ count: Int, _ file: SafetensorsFile, _ path: String) throws -> [Float]
    {
        guard let view = file.view(name) else {
            throw Failure(.backboneMissingTensor, "the checkpoint lacks a tensor", path: path, place: name)
        }
        guard view.dtype == .f32, view.count == count else {
            throw Failure(
                .backboneShapeMismatch, "\(view.count) numbers of type \(view.dtype.rawValue), the run has \(count)",
                path: path, place: name)
        }
        var values = [Float](repeating: 0, count: count)
        try values.withUnsafeMutableBufferPointer { try view.copy(into: $0) }
        return values
    }
}
