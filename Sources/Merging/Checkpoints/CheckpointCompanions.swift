import Diagnostics
import Foundation
import Tensors
import WeightFiles

/// The files that make a folder of weights a model: configuration, tokenizer, licence. They are copied from the base,
/// or from the first model where there is none.
struct CheckpointCompanions {
    private let folder: String?

    init(_ plan: CheckpointPlan) {
        let candidates = [plan.base].compactMap { $0 } + plan.operands.sorted { $0.key < $1.key }.map(\.value)
        folder = candidates.first?.folder
    }

    private static let endings = [".json", ".txt", ".model", ".jinja", ".tiktoken"]
    private static let largest = 256 << 20

    /// Copies them into a folder that is not visible yet.
    ///
    /// - Parameter types: element types of the tensors; the configuration names the one of the weights.
    func write(to target: String, types: Set<DType>) throws {
        guard let folder else { return }
        let source = FolderSource(path: folder, followLinks: true)
        for name in try source.fileNames() where CheckpointCompanions.belongs(name) {
            let content = try source.open(name)
            guard content.count <= CheckpointCompanions.largest else { continue }
            var bytes = content.withBytes { Array($0) }
            if name == "config.json" { bytes = CheckpointCompanions.withType(bytes, types) }
            try AtomicFile.write(bytes, to: target + "/" + name, overwrite: true)
        }
    }

    private static func belongs(_ name: String) -> Bool {
        let lower = name.lowercased()
        if lower.hasPrefix(".") || lower.hasSuffix(".safetensors.index.json") || lower.hasSuffix(".bin.index.json") {
            return false
        }
        if ["adapter_config.json", "lorabank_provenance.json", "trainer_state.json"].contains(lower) { return false }
        return endings.contains { lower.hasSuffix($0) } || lower.hasPrefix("license") || lower == "notice"
    }

    /// `torch_dtype` (or `dtype`) of the configuration, where all weights have one type; otherwise as it was.
    private static func withType(_ bytes: [UInt8], _ types: Set<DType>) -> [UInt8] {
        let names: [DType: String] = [.f32: "float32", .f16: "float16", .bf16: "bfloat16", .f64: "float64"]
        let floats = types.filter(\.isNumber)
        guard floats.count == 1, let name = floats.first.flatMap({ names[$0] }),
            let document = try? StrictJSON.parse(bytes, .configuration), let members = document.members,
            members.contains(where: {
                ["torch_dtype", "dtype"].contains($0.key) && $0.value.string.map { $0 != name } ?? false
            })
        else { return bytes }
        let changed = members.map { member in
            ["torch_dtype", "dtype"].contains(member.key) && member.value.string != nil
                ? JSONValue.Member(member.key, .string(name)) : member
        }
        return Array((JSONValue.object(changed).text(.indented(2), asciiOnly: false) + "\n").utf8)
    }
}
