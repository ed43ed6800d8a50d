import Adapters
import Diagnostics
import Foundation
import Governance
import Tensors
import WeightFiles

@testable import Bank

/// A folder that is removed with the object.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "lorabank-tests-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func newBank(_ name: String = "bank", policy: Governance.PolicyMode = .open, actor: String = "ada") throws -> Bank {
        try Bank.create(at: file(name), policy: policy, actor: actor)
    }
}

/// Small PEFT folders for tests: the weights depend on `seed` alone.
struct SampleAdapter {
    var seed = 1
    var modules = ["model.layers.0.q_proj", "model.layers.0.v_proj"]
    var rank = 2
    var width = 6
    var base = "tiny/base"
    var alpha = 4
    var extraFiles: [String: String] = [:]

    /// Writes `adapter_config.json` and `adapter_model.safetensors` into a new folder.
    @discardableResult
    func write(to folder: String) throws -> AdapterLocation {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try configuration.write(toFile: folder + "/adapter_config.json", atomically: false, encoding: .utf8)
        try writeWeights(to: folder + "/adapter_model.safetensors")
        for (name, text) in extraFiles {
            try text.write(toFile: folder + "/" + name, atomically: false, encoding: .utf8)
        }
        return AdapterLocation(path: folder, form: .folder)
    }

    var configuration: String {
        """
        {"base_model_name_or_path": "\(base)", "lora_alpha": \(alpha), "peft_type": "LORA", "r": \(rank),
         "target_modules": ["q_proj", "v_proj"]}
        """
    }

    func writeWeights(to path: String) throws {
        var values: [(TensorDeclaration, [Float])] = []
        for (number, module) in modules.enumerated() {
            for (factor, shape) in [("lora_A", [rank, width]), ("lora_B", [width, rank])] {
                let declaration = TensorDeclaration("base_model.model.\(module).\(factor).weight", .f32, shape)
                values.append(
                    (declaration, numbers(count: rank * width, stream: number * 2 + (factor == "lora_A" ? 0 : 1))))
            }
        }
        let writer = try SafetensorsWriter(
            path: path, layout: SafetensorsLayout(values.map(\.0), metadata: ["format": "pt"]), overwrite: true)
        for (declaration, numbers) in values {
            try numbers.withUnsafeBytes { try writer.write($0, toTensor: declaration.name) }
        }
        try writer.commit()
    }

    private func numbers(count: Int, stream: Int) -> [Float] {
        var state = UInt64(truncatingIfNeeded: seed &* 7919 &+ stream &+ 1) &* 0x9E37_79B9_7F4A_7C15
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
        }
    }
}

extension Bank {
    /// Writes a sample folder beside the bank and imports it.
    @discardableResult
    func importSample(
        _ name: String, seed: Int = 1, tags: [String] = [], rank: Int = 2, in folder: TemporaryFolder
    ) throws -> ImportOutcome {
        let path = folder.file(
            "sources/" + UUID().uuidString + "/" + (name.split(separator: "/").last.map(String.init) ?? name))
        let location = try SampleAdapter(seed: seed, rank: rank).write(to: path)
        var options = ImportOptions()
        options.name = name
        options.tags = try tags.map(Tag.init(parsing:))
        return try importAdapter(location, options: options)
    }

    var objectFiles: [String] {
        let folder = FileManager.default.enumerator(atPath: layout.objects)
        return (folder?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(".tar") }.sorted()
    }
}

/// The code of the failure that `body` throws; nil when it does not.
func code(_ body: () throws -> Void) -> ErrorCode? {
    do {
        try body()
        return nil
    } catch { return (error as? Failure)?.code }
}
