import Diagnostics
import Foundation
import Networks
import Tensors
import WeightFiles

/// One pre-training run: from a configuration to a backbone's folder.
///
/// Work in progress stands in a sibling folder, `<name>.pretraining`, with a checkpoint and a log. A run that finds a
/// checkpoint of its own configuration there goes on from it and ends with the same bytes as without the interruption.
public final class Pretraining {
    public let configuration: PretrainConfiguration
    public let trainer: Trainer
    private let batches: GlyphBatches
    private let workFolder: String
    private var log: [String] = []
    private var window = Window()

    /// What a finished run found.
    public struct Outcome: Sendable {
        public var steps: Int
        /// The step that the run went on from, 0 for a new one.
        public var resumedFrom: Int
        public var parameters: Int
        public var loss: Double
        /// On validation glyphs.
        public var accuracy: Double
        public var probes: [(name: String, result: FeatureProbe)]
    }

    /// Steps since the last line of the log.
    private struct Window {
        var steps = 0
        var loss = 0.0
        var correct = 0
        var samples = 0

        mutating func add(_ outcome: Trainer.StepOutcome) {
            steps += 1
            loss += outcome.loss
            correct += outcome.correct
            samples += outcome.samples
        }

        /// The sums exactly, for checkpoints.
        var text: String { "\(steps) \(loss.bitPattern) \(correct) \(samples)" }

        init() {}

        init(text: String) {
            let parts = text.split(separator: " ").compactMap { UInt64($0) }
            guard parts.count == 4 else { return }
            (steps, correct, samples) = (Int(parts[0]), Int(parts[2]), Int(parts[3]))
            loss = Double(bitPattern: parts[1])
        }
    }

    /// - Parameter target: the backbone's folder to be.
    public init(_ configuration: PretrainConfiguration, target: String, threads: Int? = nil) throws {
        self.configuration = configuration
        workFolder = Self.workFolder(for: target)
        let train = configuration.training
        let backbone = try Backbone<Float>(configuration: .object(configuration.architecture))
        backbone.usesGradientCheckpointing = train.usesGradientCheckpointing
        BackboneStart.fill(backbone, seed: configuration.seed)
        let kind: TrainableHead.Kind =
            configuration.head.kind == .linear ? .linear : .cosine(scale: Float(configuration.head.scale))
        let head = TrainableHead(
            kind, width: configuration.model.width, classes: configuration.classes, seed: configuration.seed)
        var options = Trainer.Options(
            schedule: LearningRateSchedule(
                train.schedule, base: train.learningRate, minimum: train.minimumRate, warmupSteps: train.warmup,
                totalSteps: train.steps), pooling: configuration.feature)
        options.optimizer = train.optimizer
        options.clip = train.clip
        options.threads = threads
        trainer = try Trainer(
            backbone: backbone, head: head,
            trained: [.parameters(weightDecay: train.weightDecay), .head(weightDecay: train.weightDecay)],
            options: options)
        batches = GlyphBatches(
            glyphs: StrokeGlyphs(
                classes: configuration.classes, side: configuration.side, levels: configuration.levels,
                variation: configuration.variation, seed: configuration.seed), seed: configuration.seed)
    }

    static func workFolder(for target: String) -> String {
        var path = target
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path + ".pretraining"
    }

    private var checkpointPath: String { workFolder + "/checkpoint.safetensors" }

    // MARK: Training

    /// Goes on from the checkpoint of an earlier, interrupted run of this configuration.
    ///
    /// - Returns: the step, 0 when there is no checkpoint.
    /// - Throws: `config.bad_value` when the checkpoint belongs to another configuration.
    public func resume() throws -> Int {
        guard FileManager.default.fileExists(atPath: checkpointPath) else { return 0 }
        do {
            let notes = try TrainingCheckpoint.restore(
                trainer, identity: configuration.identity, from: checkpointPath)
            log = (notes["log"] ?? "").split(separator: "\n").map(String.init)
            window = Window(text: notes["window"] ?? "")
        } catch var failure as Failure where failure.code == .configBadValue {
            failure.hint = "go on with the same configuration, or remove \(workFolder) to start anew"
            throw failure
        }
        return trainer.stepCount
    }

    /// Takes all remaining steps.
    ///
    /// - Throws: `CancellationError` after writing a checkpoint when `isCancelled` says so.
    public func train(
        progress: any Diagnostics.ProgressReporting = SilentProgress(), isCancelled: () -> Bool = { false }
    ) throws {
        let train = configuration.training
        let samples = train.batch * train.accumulate
        try DurableFiles.createFolders(workFolder)
        progress.begin("pre-training", total: Int64(train.steps * samples), unit: "samples")
        progress.advance(by: Int64(trainer.stepCount * samples))
        while trainer.stepCount < train.steps {
            if isCancelled() {
                try checkpoint()
                throw CancellationError()
            }
            let first = trainer.stepCount * train.accumulate
            let outcome = try trainer.step(
                (0..<train.accumulate).map { batches.training(first + $0, count: train.batch) })
            window.add(outcome)
            if trainer.stepCount % 50 == 0 || trainer.stepCount == train.steps { note(outcome, progress) }
            if trainer.stepCount % configuration.checkpointEvery == 0, trainer.stepCount < train.steps {
                try checkpoint()
            }
            progress.advance(by: Int64(samples))
        }
        progress.end()
    }

    private func note(_ outcome: Trainer.StepOutcome, _ progress: any Diagnostics.ProgressReporting) {
        let loss = window.loss / Double(max(1, window.steps))
        let accuracy = Double(window.correct) / Double(max(1, window.samples))
        progress.note(String(format: "loss %.3f, %.1f %% right", loss, 100 * accuracy))
        let line = JSONValue.object([
            .init("step", .integer(trainer.stepCount)), .init("loss", .double(loss)),
            .init("accuracy", .double(accuracy)), .init("learning_rate", .double(outcome.learningRate)),
            .init("gradient_norm", .double(outcome.gradientNorm)),
        ])
        log.append(line.text())
        window = Window()
    }

    private func checkpoint() throws {
        // Between two lines of the log a checkpoint would lose the open window: the sums go along.
        try TrainingCheckpoint.write(
            trainer, identity: configuration.identity,
            notes: ["log": log.joined(separator: "\n"), "window": window.text], to: checkpointPath)
    }

    // MARK: The result

    /// Measures the trained backbone and writes its folder: `config.json`, `model.safetensors`, `training.jsonl`.
    ///
    /// - Parameters:
    ///   - probes: labelled data by name; measured, never trained on.
    ///   - replacing: whether a folder that stands at `target` gives way.
    ///   - settings: the configuration's text, kept as `recipe.yaml`.
    public func finish(
        probes: [(name: String, data: Dataset)], settings: String, to target: String, replacing: Bool
    ) throws -> Outcome {
        let backbone = trainer.backbone
        BackboneWriter.round(backbone, to: configuration.dtype)
        let validation = try validate()
        let threads = trainer.options.threads
        let measured = try probes.map { probe in
            let result = try FeatureProbe.measure(
                backbone, feature: configuration.feature, data: probe.data, threads: threads)
            return (name: probe.name, result: result)
        }
        let outcome = Outcome(
            steps: trainer.stepCount, resumedFrom: 0, parameters: backbone.parameters.count, loss: validation.loss,
            accuracy: validation.accuracy, probes: measured)
        let folder = try AtomicFolder(path: target, overwrite: replacing)
        try BackboneWriter.writeWeights(
            backbone, dtype: configuration.dtype, metadata: ["format": "pt"], to: folder.file("model.safetensors"))
        try AtomicFile.write(Array(manifest(outcome).text(.indented(2)).utf8) + [10], to: folder.file("config.json"))
        try AtomicFile.write(Array(log.map { $0 + "\n" }.joined().utf8), to: folder.file("training.jsonl"))
        try AtomicFile.write(Array(settings.utf8), to: folder.file("recipe.yaml"))
        try folder.commit()
        try? FileManager.default.removeItem(atPath: workFolder)
        return outcome
    }

    /// Loss and accuracy on glyphs that training did not see.
    private func validate() throws -> (loss: Double, accuracy: Double) {
        let (pixels, labels) = batches.validation(perClass: configuration.validationPerClass)
        let features = try trainer.backbone.features(
            .images(pixels), pooling: configuration.feature, threads: trainer.options.threads)
        let matrix = Matrix(rows: labels.count, columns: configuration.model.width, elements: features)
        let scores = trainer.head.head.logits(matrix)
        var losses = [Float](repeating: 0, count: labels.count)
        scores.elements.withUnsafeBufferPointer { logits in
            losses.withUnsafeMutableBufferPointer { losses in
                guard let logits = logits.baseAddress, let losses = losses.baseAddress else { return }
                CrossEntropy.rows(
                    labels.count, classes: configuration.classes, logits: logits, labels: { labels[$0] },
                    gradient: nil, losses: losses)
            }
        }
        let sum = losses.reduce(0.0) { $0 + Double($1) }
        return (sum / Double(labels.count), FeatureProbe.accuracy(trainer.head.head, matrix, labels))
    }

    /// `config.json`: the architecture, and how the weights came about.
    private func manifest(_ outcome: Outcome) -> JSONValue {
        let probes = outcome.probes.map { probe in
            JSONValue.object([
                .init("data", .string(probe.name)), .init("train", .integer(probe.result.trainCount)),
                .init("test", .integer(probe.result.testCount)),
                .init("nearest_class_mean", .double(probe.result.nearestMean)),
                .init("linear_probe", .double(probe.result.linear)),
            ])
        }
        let members: [JSONValue.Member] = [
            .init("name", .string(configuration.name)),
            .init("data", .string("procedural stroke glyphs: random strokes, no picture of a real character")),
            .init("seed", .number(String(configuration.seed))), .init("steps", .integer(outcome.steps)),
            .init(
                "samples", .integer(outcome.steps * configuration.training.batch * configuration.training.accumulate)),
            .init("validation_loss", .double(outcome.loss)), .init("validation_accuracy", .double(outcome.accuracy)),
            .init("probes", .array(probes)),
            .init(
                "training_classes", .array((0..<configuration.classes).map { .string(StrokeGlyphs.name($0)) })),
        ]
        return .object(configuration.architecture + [.init("pretraining", .object(members))])
    }
}
