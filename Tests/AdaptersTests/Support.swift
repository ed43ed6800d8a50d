import Foundation
import Tensors
import WeightFiles

@testable import Adapters

/// Reference files beside the package, where they exist: nil elsewhere.
enum Shared {
    static let folder: String? = {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = package.deletingLastPathComponent().appendingPathComponent("shared").path
        return FileManager.default.fileExists(atPath: path + "/golden/spec.json") ? path : nil
    }()

    static var isThere: Bool { folder != nil }

    static func path(_ name: String) -> String { (folder ?? "/nowhere") + "/" + name }

    /// Folders with an `adapter_config.json` below `name`.
    static func adapters(below name: String) -> [String] {
        guard let folder else { return [] }
        let files = FileManager.default.enumerator(atPath: folder + "/" + name)?.compactMap { $0 as? String } ?? []
        return files.filter { $0.hasSuffix("/adapter_config.json") }
            .map { name + "/" + $0.dropLast("/adapter_config.json".count) }.sorted()
    }
}

enum Fixture {
    static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/" + name).path
    }
}

/// A folder that lives as long as the object.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/adapters-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ text: String, _ name: String) throws {
        let url = URL(fileURLWithPath: file(name))
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    func write(_ tensors: [TensorView], _ name: String) throws {
        let url = URL(fileURLWithPath: file(name))
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: file(name))
    }
}

/// Repeatable small numbers.
struct Numbers {
    var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(state >> 40) / Float(1 << 24) - 0.5
    }
}

func tensor(_ name: String, _ shape: [Int], seed: UInt64 = 1, dtype: DType = .f32) throws -> TensorView {
    let buffer = try TensorBuffer(name: name, dtype: dtype, shape: shape)
    guard dtype.isWeight else { return buffer.view }
    var numbers = Numbers(seed)
    let values = (0..<buffer.count).map { _ in numbers.next() }
    try values.withUnsafeBufferPointer { _ = try buffer.write($0) }
    return buffer.view
}

func tensor(_ name: String, _ shape: [Int], values: [Float]) throws -> TensorView {
    let buffer = try TensorBuffer(name: name, dtype: .f32, shape: shape)
    try values.withUnsafeBufferPointer { _ = try buffer.write($0) }
    return buffer.view
}

/// The factors of linear modules as PEFT names them.
func linearFactors(
    _ modules: [String], rank: Int = 4, dOut: Int = 12, dIn: Int = 10, seed: UInt64 = 7, dtype: DType = .f32
) throws -> [TensorView] {
    try modules.enumerated().flatMap { index, module in
        [
            try tensor(
                "base_model.model.\(module).lora_A.weight", [rank, dIn], seed: seed + UInt64(2 * index), dtype: dtype),
            try tensor(
                "base_model.model.\(module).lora_B.weight", [dOut, rank], seed: seed + UInt64(2 * index + 1),
                dtype: dtype),
        ]
    }
}

/// An `adapter_config.json`; `fields` replaces or adds JSON fragments.
func configurationText(_ fields: [String: String] = [:]) -> String {
    var all = [
        "peft_type": "\"LORA\"", "r": "4", "lora_alpha": "8", "base_model_name_or_path": "\"example/base\"",
        "target_modules": "[\"q\"]",
    ]
    for (key, value) in fields { all[key] = value }
    return "{" + all.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}"
}

extension TemporaryFolder {
    /// Writes a PEFT folder and reads it.
    func read(
        _ tensors: [TensorView], _ fields: [String: String] = [:],
        options: AdapterReader.Options = AdapterReader.Options()
    ) throws -> Adapter {
        let name = UUID().uuidString
        try write(configurationText(fields), name + "/adapter_config.json")
        try write(tensors, name + "/adapter_model.safetensors")
        return try AdapterReader.read(path: file(name), options: options)
    }
}

extension LoRAModule {
    /// ΔW [dOut, dIn] in double precision, computed entry by entry.
    func slowDelta() throws -> [Double] {
        let a = try self.a.doubleMatrix(rows: rank, columns: dIn)
        let b = try self.b.doubleMatrix(rows: dOut, columns: rank)
        var result = [Double](repeating: 0, count: dOut * dIn)
        for i in 0..<dOut {
            for k in 0..<rank {
                for j in 0..<dIn { result[i * dIn + j] += scale * b[i, k] * a[k, j] }
            }
        }
        return result
    }
}
