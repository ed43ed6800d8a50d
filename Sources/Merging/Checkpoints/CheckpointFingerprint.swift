import Digests
import Foundation
import WeightFiles

/// Tells two runs apart: a digest of the plan and of what identifies every input file.
///
/// Contents are not read: a file is known by its path, size, times of change and inode, which any write to it alters.
struct CheckpointFingerprint {
    let digest: SHA256Digest

    /// - Parameter purpose: what is made of the inputs, e.g. `merge`.
    init(_ plan: StagePlan, purpose: String) {
        var hasher = SHA256Hasher()
        func add(_ text: String) {
            hasher.update(text)
            hasher.update([0])
        }
        add("lorabank-checkpoint/1 \(purpose)")
        add(
            "\(plan.compatibility.rawValue) \(plan.others.rawValue) \(plan.checkpoint?.others?.rawValue ?? "") \(plan.zeroNonFinite)"
        )
        add("\(plan.output.precision.rawValue) \(plan.output.rank.map { "\($0)" } ?? "") \(plan.memoryLimitBytes)")
        add("\(plan.seed.map(String.init) ?? "") \(plan.padRanks) \(plan.checkpoint?.modulePrefix ?? "")")
        for step in plan.post { add(step.id + CheckpointFingerprint.text(step.parameters)) }
        for pattern in plan.checkpoint?.ignore ?? [] { add(pattern.text) }
        for module in plan.modules {
            add("\(module.module) \(module.method)\(CheckpointFingerprint.text(module.parameters))")
            for operand in module.operands {
                add("\(operand.operand) \(operand.weight.bitPattern)\(CheckpointFingerprint.text(operand.parameters))")
            }
            for case .text(let path) in module.parameters.values where path.hasPrefix("/") {
                add(CheckpointFingerprint.identity(ofFile: path))
            }
        }
        for checkpoint in [plan.checkpoint?.base].compactMap({ $0 }) {
            add(CheckpointFingerprint.identity(checkpoint.weights))
        }
        for (index, operand) in plan.operands.enumerated() {
            guard let checkpoint = plan.checkpoint?.operands[index] else {
                add(operand.adapter.deltaID().hex)
                for saved in operand.adapter.saved { add(saved.name + SHA256Digest.of(saved.tensor.bytes).hex) }
                for module in operand.adapter.modules {
                    for tensor in [module.bias, module.magnitude].compactMap({ $0 }) {
                        add(tensor.name + SHA256Digest.of(tensor.bytes).hex)
                    }
                }
                continue
            }
            add(CheckpointFingerprint.identity(checkpoint.weights))
        }
        digest = hasher.finish()
    }

    /// Of an extraction: everything that decides the factors.
    init(base: Checkpoint, tuned: Checkpoint, options: Extraction.Options) {
        let parts = [
            "lorabank-extraction/1 \(options.rank) \(options.memoryLimitBytes) \(options.seed)",
            CheckpointFingerprint.identity(base.weights), CheckpointFingerprint.identity(tuned.weights),
        ]
        digest = SHA256Digest.of(parts.joined(separator: "\0"))
    }

    private static func text(_ values: [String: ParameterValue]) -> String {
        values.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    }

    private static func identity(_ weights: any WeightSet) -> String {
        weights.files.map { identity(ofFile: $0.content.path) }.joined(separator: "\n")
    }

    private static func identity(ofFile path: String) -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { return path }
        return "\(path) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) "
            + "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec) \(status.st_ino) \(status.st_dev)"
    }
}
