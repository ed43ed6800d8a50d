import Diagnostics
import Evaluation
import Foundation
import Networks
import Tensors
import Testing
import WeightFiles

@testable import ContinualLearning

/// A random vision transformer of two blocks and a data set of bars and blobs, in a temporary folder.
final class TinyWorld {
    let folder: String

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "cil-\(UUID().uuidString)").path
        try DurableFiles.createFolders(folder + "/backbone")
        try DurableFiles.createFolders(folder + "/data")
        try writeBackbone()
        try writeData()
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func writeBackbone() throws {
        let text = """
            {"architecture": "timm.VisionTransformer", "img_size": 8, "patch_size": 4, "in_chans": 1, "num_classes": 0,
             "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0, "class_token": true,
             "global_pool": "token", "qkv_bias": true, "pre_norm": true, "act": "gelu (erf)", "layer_norm_eps": 1e-6}
            """
        try AtomicFile.write(Array(text.utf8), to: folder + "/backbone/config.json")
        let backbone = try Backbone<Float>(configuration: StrictJSON.parse(text, .configuration))
        let random = CounterRandom(seed: 7, stream: "tiny")
        for (index, source) in backbone.checkpointTensors.enumerated() {
            let isNorm = source.name.contains("norm") && source.name.hasSuffix("weight")
            for i in 0..<source.count {
                let draw = random.uniform(UInt64(index * 100_000 + i)) - 0.5
                backbone.parameters.values[source.offset + i] = isNorm ? 1 : draw * 0.6
            }
        }
        let tensors = try backbone.checkpointTensors.map { source in
            try Checkpoint.tensor(
                source.name, source.shape,
                UnsafeMutableBufferPointer(
                    rebasing: backbone.parameters.values[source.offset..<source.offset + source.count]))
        }
        try SafetensorsWriter.write(tensors, to: folder + "/backbone/model.safetensors")
    }

    private func writeData() throws {
        try AtomicFile.write(
            Array(
                #"{"classes": ["a", "b", "c", "d", "e"], "tasks": [[0, 1], [2, 3], [4]], "value_range": [0, 255]}"#.utf8
            ),
            to: folder + "/data/meta.json")
        for (split, count, seed) in [("train", 16, 1), ("test", 5, 2)] {
            let random = CounterRandom(seed: UInt64(seed), stream: "bars")
            var images: [UInt8] = [0, 0, 8, 3, 0, 0, 0, UInt8(count * 5), 0, 0, 0, 8, 0, 0, 0, 8]
            var labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, UInt8(count * 5)]
            for sample in 0..<count * 5 {
                let label = sample % 5
                labels.append(UInt8(label))
                for pixel in 0..<64 {
                    let (y, x) = (pixel / 8, pixel % 8)
                    let lit = [y < 3, x < 3, x == y, x + y == 7, y > 4][label]
                    let noise = random.uniform(UInt64(sample * 64 + pixel)) * 90
                    images.append(UInt8((lit ? 160 : 0) + noise))
                }
            }
            try AtomicFile.write(images, to: folder + "/data/\(split)-images-idx3-ubyte")
            try AtomicFile.write(labels, to: folder + "/data/\(split)-labels-idx1-ubyte")
        }
    }

    static let common = """
        backbone: backbone
        input: { mean: 0.3, std: 0.3 }
        feature: cls
        sites: [qkv, proj]
        rank: 2
        epochs: 2
        batch: 8
        optimizer: { lr: 1.0e-2, weight_decay: 0.1 }
        val_fraction: 0.25
        val_min: 2
        """

    func configuration(_ settings: String) throws -> RunConfiguration {
        let data = settings.contains("data:") ? "" : "data: { path: data }\n"
        let keys = Set(settings.split(separator: "\n").compactMap { $0.split(separator: ":").first.map(String.init) })
        let common = Self.common.split(separator: "\n").filter {
            !keys.contains(String($0.split(separator: ":").first ?? ""))
        }
        return try RunConfigurationReader.read(
            text: data + common.joined(separator: "\n") + "\n" + settings, folder: folder)
    }

    func run(_ settings: String, in name: String = "run", isCancelled: @escaping () -> Bool = { false }) throws
        -> ContinualRun
    {
        let configuration = try configuration(settings)
        var options = ContinualRun.Options()
        options.isCancelled = isCancelled
        return try ContinualRun(
            configuration, loaded: LoadedSuite(configuration.suite), folder: folder + "/" + name, options: options)
    }

    /// All files of a run directory but wall times.
    func files(of name: String) throws -> [String: Data] {
        let root = folder + "/" + name
        var result: [String: Data] = [:]
        let enumerator = FileManager.default.enumerator(atPath: root)
        while let path = enumerator?.nextObject() as? String {
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isFolder)
            if isFolder.boolValue || path == "timings.jsonl" { continue }
            result[path] = try Data(contentsOf: URL(fileURLWithPath: root + "/" + path))
        }
        return result
    }
}

/// The failure that `body` throws.
func failureOf(_ body: () throws -> some Any) -> Failure? {
    do {
        _ = try body()
        return nil
    } catch { return error as? Failure }
}
