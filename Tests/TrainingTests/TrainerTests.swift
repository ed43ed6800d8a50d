import Diagnostics
import Foundation
import Networks
import Testing
import Training
import WeightFiles

/// The trainer on a transformer of width 16.
@Suite struct TrainerTests {
    private static let architecture = """
        {"architecture": "timm.VisionTransformer", "img_size": 4, "patch_size": 2, "in_chans": 1, "num_classes": 0,
         "embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2}
        """

    private struct Setup {
        let backbone: Backbone<Float>
        let mix: AdapterMix<Float>
        let head: TrainableHead
        let trainer: Trainer

        init(
            _ trained: [Trainer.Part], kind: TrainableHead.Kind = .linear, optimizer: OptimizerKind = .adamw,
            clip: Double? = nil, threads: Int = 2, learningRate: Double = 0.01
        ) throws {
            let json = try StrictJSON.parse(Array(TrainerTests.architecture.utf8), .configuration, path: "config.json")
            backbone = try Backbone<Float>(configuration: json)
            BackboneStart.fill(backbone, seed: 5)
            let slot = try LoRASlot<Float>(
                name: "fast[0]", sites: backbone.description.sites([.q, .fc1]).map { (site: $0, rank: 2, scale: 1.0) },
                on: backbone.description)
            for i in slot.values.indices { slot.values[i] = Float(i % 7 - 3) * 0.05 }
            mix = try AdapterMix([slot], on: backbone.description, trainable: [0])
            head = TrainableHead(kind, width: 16, classes: 3, seed: 1)
            var options = Trainer.Options(
                schedule: LearningRateSchedule(.constant, base: learningRate, totalSteps: 100), pooling: .mean)
            options.optimizer = optimizer
            options.clip = clip
            options.threads = threads
            trainer = try Trainer(backbone: backbone, mix: mix, head: head, trained: trained, options: options)
        }

        var everything: [[Float]] {
            [Array(backbone.parameters.values), Array(mix.slots[0].values), Array(head.values)]
        }
    }

    private func batch(_ first: Int, _ count: Int) -> TrainingBatch {
        let labels = (first..<first + count).map { $0 % 3 }
        var pixels: [Float] = []
        for sample in first..<first + count {
            for place in 0..<16 {
                let value: Int = (place * (sample % 3 + 1) + sample) % 5
                pixels.append(Float(value) * 0.25)
            }
        }
        return TrainingBatch(.images(pixels), labels: labels)
    }

    @Test func `what is not named stays as it is, bit for bit`() throws {
        let choices: [([Trainer.Part], [Bool])] = [
            ([.head()], [false, false, true]), ([.slot(0)], [false, true, false]),
            ([.slot(0), .head()], [false, true, true]), ([.parameters(), .slot(0), .head()], [true, true, true]),
        ]
        for (parts, moves) in choices {
            let setup = try Setup(parts)
            let before = setup.everything
            for step in 0..<3 { try setup.trainer.step([batch(step * 8, 8)]) }
            let moved = zip(before, setup.everything).map { $0 != $1 }
            #expect(moved == moves, "\(parts)")
        }
    }

    @Test(arguments: [TrainableHead.Kind.linear, .cosine(scale: 8)])
    func `training everything learns the classes`(kind: TrainableHead.Kind) throws {
        let setup = try Setup([.parameters(weightDecay: 0.01), .slot(0), .head()], kind: kind)
        let first = try setup.trainer.step([batch(0, 24)])
        var last = first
        for step in 1..<60 { last = try setup.trainer.step([batch(step * 24, 24)]) }
        #expect(last.loss < 0.3 * first.loss, "\(first.loss) → \(last.loss)")
        #expect(last.correct == last.samples)
    }

    @Test func `batches that are added up give what one large batch gives`() throws {
        let whole = try Setup([.parameters(), .slot(0), .head()], optimizer: .sgd)
        let parts = try Setup([.parameters(), .slot(0), .head()], optimizer: .sgd)
        for step in 0..<3 {
            let one = try whole.trainer.step([batch(step * 12, 12)])
            let many = try parts.trainer.step([batch(step * 12, 4), batch(step * 12 + 4, 8)])
            #expect(abs(one.loss - many.loss) < 1e-5)
        }
        for (a, b) in zip(whole.everything.joined(), parts.everything.joined()) { #expect(abs(a - b) < 1e-5) }
    }

    @Test func `gradients of both heads follow finite differences`() throws {
        for kind in [TrainableHead.Kind.linear, .cosine(scale: 4)] {
            let setup = try Setup([.head()], kind: kind, optimizer: .sgd, learningRate: 0)
            try setup.trainer.step([batch(0, 9)])
            let slopes = Array(setup.head.gradient)
            for place in stride(from: 0, to: setup.head.values.count, by: 5) {
                let old = setup.head.values[place]
                let sides = try [Float(0.01), -0.01].map { step in
                    setup.head.values[place] = old + step
                    return try setup.trainer.step([batch(0, 9)]).loss
                }
                setup.head.values[place] = old
                let slope = (sides[0] - sides[1]) / 0.02
                #expect(abs(slope - Double(slopes[place])) < 2e-3, "\(kind), number \(place)")
            }
        }
    }

    @Test func `a run does not depend on the number of threads`() throws {
        let runs = try [1, 2].map { threads in
            let setup = try Setup([.parameters(), .slot(0), .head()], clip: 0.5, threads: threads)
            for step in 0..<4 { try setup.trainer.step([batch(step * 70, 70)]) }
            return setup.everything
        }
        #expect(runs[0] == runs[1])
    }

    @Test(arguments: OptimizerKind.allCases)
    func `a run that goes on from a checkpoint ends with the same bits`(optimizer: OptimizerKind) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/trainer-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/checkpoint.safetensors"
        let parts: [Trainer.Part] = [.parameters(weightDecay: 0.1), .slot(0, multiplier: 2), .head()]
        let straight = try Setup(parts, optimizer: optimizer)
        for step in 0..<6 { try straight.trainer.step([batch(step * 8, 8)]) }
        let first = try Setup(parts, optimizer: optimizer)
        for step in 0..<3 { try first.trainer.step([batch(step * 8, 8)]) }
        try TrainingCheckpoint.write(first.trainer, identity: "a", notes: ["log": "x"], to: path)
        let second = try Setup(parts, optimizer: optimizer)
        let notes = try TrainingCheckpoint.restore(second.trainer, identity: "a", from: path)
        #expect(notes["log"] == "x")
        #expect(second.trainer.stepCount == 3)
        for step in 3..<6 { try second.trainer.step([batch(step * 8, 8)]) }
        #expect(second.everything == straight.everything)
        #expect(second.trainer.optimizer.state == straight.trainer.optimizer.state)
        let untouched = try Setup(parts, optimizer: optimizer)
        #expect(throws: Failure.self) {
            try TrainingCheckpoint.restore(untouched.trainer, identity: "b", from: path)
        }
        let other = try Setup([.head()], optimizer: optimizer)
        #expect(throws: Failure.self) { try TrainingCheckpoint.restore(other.trainer, identity: "a", from: path) }
    }

    @Test func `a slot that is not trainable, and nothing at all, are refused`() throws {
        #expect(throws: Failure.self) { try Setup([.slot(1)]) }
        #expect(throws: Failure.self) { try Setup([]) }
        let setup = try Setup([.head()])
        #expect(throws: Failure.self) { try setup.trainer.step([]) }
    }
}
