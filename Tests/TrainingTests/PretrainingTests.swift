import Diagnostics
import Foundation
import Networks
import Settings
import Testing
import Training
import WeightFiles

@Suite struct PretrainingTests {
    private static let text = """
        name: tiny
        seed: 7
        image: { side: 8, levels: 16 }
        model: { patch: 4, width: 16, depth: 1, heads: 2, mlp_ratio: 2 }
        glyphs: { classes: 6, pen: [0.1, 0.2] }
        feature: mean
        head: { kind: cosine, scale: 8 }
        train: { steps: 60, batch: 12, accumulate: 2, learning_rate: 0.01, warmup: 5, clip: 5 }
        validate: { per_class: 5 }
        checkpoint_every: 20
        """

    private final class Folder {
        let path = FileManager.default.temporaryDirectory.path + "/pretraining-\(UUID().uuidString)"
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    /// Trains to the end, interrupted after each of the steps given.
    private func run(_ target: String, stops: [Int] = []) throws -> Pretraining.Outcome {
        let configuration = try PretrainReader.read(text: Self.text)
        for stop in stops {
            let part = try Pretraining(configuration, target: target, threads: 2)
            _ = try part.resume()
            #expect(throws: CancellationError.self) {
                try part.train(isCancelled: { part.trainer.stepCount >= stop })
            }
        }
        let last = try Pretraining(configuration, target: target, threads: stops.isEmpty ? 1 : 2)
        #expect(try last.resume() == stops.last ?? 0)
        try last.train()
        return try last.finish(probes: [], settings: Self.text, to: target, replacing: false)
    }

    @Test func `an interrupted run ends with the bytes of one that was not, and learns`() throws {
        let folder = try Folder()
        let outcome = try run(folder.path + "/straight")
        _ = try run(folder.path + "/broken", stops: [7, 33])
        #expect(outcome.accuracy > 0.5, "accuracy \(outcome.accuracy)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/straight").sorted()
        #expect(names == ["config.json", "model.safetensors", "recipe.yaml", "training.jsonl"])
        for name in names {
            let pair = try ["straight", "broken"].map {
                try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\($0)/\(name)"))
            }
            #expect(pair[0] == pair[1], "\(name) differs")
        }
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/broken.pretraining"))
        let loaded = try Backbone<Float>(folder: folder.path + "/straight")
        #expect(loaded.description.width == 16)
        let classes = loaded.configuration["pretraining"]?["training_classes"]?.array
        #expect(classes?.count == 6)
    }

    @Test func `a checkpoint of another configuration is refused`() throws {
        let folder = try Folder()
        let target = folder.path + "/a"
        let first = try Pretraining(PretrainReader.read(text: Self.text), target: target)
        #expect(throws: CancellationError.self) { try first.train(isCancelled: { first.trainer.stepCount >= 2 }) }
        let changed = try PretrainReader.read(text: Self.text, overrides: [SettingOverride("seed=8")])
        let second = try Pretraining(changed, target: target)
        #expect(throws: Failure.self) { try second.resume() }
    }

    @Test(arguments: [
        "name: a\nfeature: pooler", "name: a\nmodel: { patch: 3 }", "name: a\nglyphs: { pen: [0.3, 0.2] }",
        "name: a\nstep: 3", "seed: 1", "name: a\ntrain: { steps: 0 }", "name: a\ndtype: f64", "",
        "name: a\nmodel: { width: 30, heads: 4 }",
    ]) func `settings that make no sense are refused with their place`(text: String) throws {
        let failure = #expect(throws: Failure.self) { try PretrainReader.read(text: text) }
        #expect(failure?.place != nil)
    }

    @Test func `gradient checkpointing changes no weight`() throws {
        let folder = try Folder()
        let weights = try [false, true].map { checkpoints in
            let configuration = try PretrainReader.read(
                text: Self.text,
                overrides: [
                    SettingOverride("train.gradient_checkpointing=\(checkpoints)"), SettingOverride("train.steps=3"),
                ])
            let run = try Pretraining(configuration, target: folder.path + "/\(checkpoints)")
            #expect(run.trainer.backbone.usesGradientCheckpointing == checkpoints)
            try run.train()
            return Array(run.trainer.backbone.parameters.values)
        }
        #expect(weights[0] == weights[1])
    }

    @Test func `half precision is written as it was measured`() throws {
        let folder = try Folder()
        let configuration = try PretrainReader.read(
            text: Self.text, overrides: [SettingOverride("dtype=f16"), SettingOverride("train.steps=2")])
        let run = try Pretraining(configuration, target: folder.path + "/half")
        try run.train()
        _ = try run.finish(probes: [], settings: "", to: folder.path + "/half", replacing: false)
        let loaded = try Backbone<Float>(folder: folder.path + "/half")
        #expect(Array(loaded.parameters.values) == Array(run.trainer.backbone.parameters.values))
    }
}
