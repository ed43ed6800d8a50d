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
}

/// Adapters in memory.
enum Sample {
    static func module(
        _ name: String, a: [Float], b: [Float], rank: Int, scale: Double = 1, dtype: DType = .f32
    ) throws -> LoRAModule {
        let dIn = a.count / rank
        let dOut = b.count / rank
        return LoRAModule(
            name: name, kind: .linear, dOut: dOut, dIn: dIn, rank: rank, scale: scale, alpha: scale * Double(rank),
            a: try tensor(name + ".lora_A.weight", [rank, dIn], a, dtype),
            b: try tensor(name + ".lora_B.weight", [dOut, rank], b, dtype), deltaShape: [dOut, dIn])
    }

    static func tensor(_ name: String, _ shape: [Int], _ values: [Float], _ dtype: DType = .f32) throws -> TensorView {
        let buffer = try TensorBuffer(name: name, dtype: dtype, shape: shape)
        try values.withUnsafeBufferPointer { _ = try buffer.write($0) }
        return buffer.view
    }

    /// Repeatable numbers in −0.5…0.5.
    static func numbers(_ count: Int, seed: UInt64, scale: Float = 1) -> [Float] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return scale * (Float(state >> 40) / Float(1 << 24) - 0.5)
        }
    }

    static func random(
        _ name: String, rank: Int = 4, dOut: Int = 16, dIn: Int = 16, seed: UInt64, scale: Float = 1
    ) throws -> LoRAModule {
        try module(
            name, a: numbers(rank * dIn, seed: seed), b: numbers(dOut * rank, seed: seed + 1, scale: scale), rank: rank)
    }

    static func adapter(
        _ modules: [LoRAModule], saved: [SavedTensor] = [], base: String = "example/base",
        configuration: JSONValue = .object([])
    ) -> Adapter {
        Adapter(
            modules: modules, saved: saved, base: BaseIdentity(name: base), format: "peft",
            configuration: configuration,
            findings: [])
    }
}
