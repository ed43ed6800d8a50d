import Diagnostics
import Networks

/// Trains any mixture of things on labelled samples: LoRA slots, a head, all weights of the backbone.
///
/// ```swift
/// let trainer = try Trainer(backbone: vit, head: head, trained: [.parameters(), .head()], options: options)
/// try trainer.step([TrainingBatch(.images(pixels), labels: labels)])
/// ```
/// One step sees the samples of all its batches and moves once: several batches are gradient accumulation, and give
/// what one large batch gives, up to the order of additions. A run is a pure function of its numbers: equal starts and
/// equal batches give equal bits on any number of threads.
public final class Trainer {
    /// Something that learns.
    public enum Part: Sendable, Hashable {
        /// Every weight of the backbone. Decay falls on matrices alone, not on biases, norms and embeddings.
        case parameters(multiplier: Double = 1, weightDecay: Double = 0)
        /// One slot of the mix; it must be trainable there.
        case slot(Int, multiplier: Double = 1, weightDecay: Double = 0)
        case head(multiplier: Double = 1, weightDecay: Double = 0)
    }

    public struct Options: Sendable {
        public var optimizer = OptimizerKind.adamw
        public var schedule: LearningRateSchedule
        /// Largest global norm of the gradients; nil: no limit.
        public var clip: Double?
        public var pooling: Pooling
        public var threads: Int?

        public init(schedule: LearningRateSchedule, pooling: Pooling) {
            self.schedule = schedule
            self.pooling = pooling
        }
    }

    /// What a step saw, before it moved.
    public struct StepOutcome: Sendable, Hashable {
        /// Mean over the samples.
        public var loss: Double
        public var samples: Int
        public var correct: Int
        /// Global norm of the gradients before clipping.
        public var gradientNorm: Double
        public var learningRate: Double
    }

    public let backbone: Backbone<Float>
    public let mix: AdapterMix<Float>?
    public let head: TrainableHead
    public let options: Options
    public let optimizer: Optimizer<Float>
    /// Steps taken.
    public internal(set) var stepCount = 0
    private let gradients: Gradients<Float>
    private let learning: Learning

    /// - Throws: `usage.bad_argument` for a slot that is not in the mix or not trainable there, and for nothing to
    ///   train.
    public init(
        backbone: Backbone<Float>, mix: AdapterMix<Float>? = nil, head: TrainableHead, trained: [Part],
        options: Options
    ) throws {
        self.backbone = backbone
        self.mix = mix
        self.head = head
        self.options = options
        let all = trained.contains { if case .parameters = $0 { true } else { false } }
        gradients = Gradients(backbone: backbone, mix: mix, parameters: all)
        var learning: Learning = []
        if all { learning.insert(.parameters) }
        if mix?.trainable.contains(true) ?? false { learning.insert(.adapters) }
        self.learning = learning
        var groups: [ParameterGroup<Float>] = []
        for part in trained {
            groups += try Self.groups(part, backbone: backbone, mix: mix, head: head, gradients: gradients)
        }
        guard !groups.isEmpty else { throw Failure(.usageBadArgument, "there is nothing to train") }
        optimizer = Optimizer(options.optimizer, groups: groups)
    }

    private static func groups(
        _ part: Part, backbone: Backbone<Float>, mix: AdapterMix<Float>?, head: TrainableHead,
        gradients: Gradients<Float>
    ) throws -> [ParameterGroup<Float>] {
        switch part {
        case .head(let multiplier, let decay):
            return [
                ParameterGroup(
                    name: "head", values: head.values, gradient: head.gradient, multiplier: multiplier,
                    weightDecay: decay)
            ]
        case .slot(let index, let multiplier, let decay):
            guard let mix, mix.slots.indices.contains(index), let gradient = gradients.slots[index] else {
                throw Failure(.usageBadArgument, "slot \(index) is no trainable slot of the mix")
            }
            let slot = mix.slots[index]
            return [
                ParameterGroup(
                    name: "slot.\(index).\(slot.name)", values: slot.values, gradient: gradient,
                    multiplier: multiplier, weightDecay: decay)
            ]
        case .parameters(let multiplier, let decay):
            guard let gradient = gradients.parameters else { return [] }
            return backbone.parameters.entries.map { entry in
                ParameterGroup(
                    name: "parameters.\(entry.name)", values: backbone.parameters.elements(of: entry),
                    gradient: UnsafeMutableBufferPointer(rebasing: gradient[entry.offset..<entry.offset + entry.count]),
                    multiplier: multiplier, weightDecay: BackboneStart.isMatrix(entry) ? decay : 0)
            }
        }
    }

    /// One step over the samples of all batches.
    ///
    /// - Throws: `backbone.bad_input`, `config.feature_unsupported`, `data.too_few` for no samples.
    @discardableResult
    public func step(_ batches: [TrainingBatch]) throws -> StepOutcome {
        let total = batches.reduce(0) { $0 + $1.labels.count }
        guard total > 0 else { throw Failure(.dataTooFew, "a step needs samples") }
        gradients.zero()
        head.prepare()
        var (loss, correct) = (0.0, 0)
        for batch in batches {
            let outcome = try learn(batch, scale: 1 / Float(total))
            loss += outcome.loss
            correct += outcome.correct
        }
        head.reduce()
        let norm = GradientClipping.clip(optimizer.groups, to: options.clip ?? .infinity)
        let rate = options.schedule.rate(at: stepCount)
        optimizer.step(learningRate: rate)
        stepCount += 1
        refresh()
        return StepOutcome(
            loss: loss / Double(total), samples: total, correct: correct, gradientNorm: norm, learningRate: rate)
    }

    /// Forward and backward of one batch; gradients are added up.
    private func learn(_ batch: TrainingBatch, scale: Float) throws -> (loss: Double, correct: Int) {
        let losses = UnsafeMutableBufferPointer<Float>.allocate(capacity: batch.labels.count)
        losses.initialize(repeating: 0)
        // Hits are counted per sample's block and added up in order.
        let hits = UnsafeMutableBufferPointer<Int>.allocate(capacity: batch.labels.count)
        hits.initialize(repeating: 0)
        defer {
            losses.deallocate()
            hits.deallocate()
        }
        let room = SampleRoom(losses: losses, hits: hits)
        let head = head
        try backbone.step(
            batch.input, pooling: options.pooling, mix: mix, coefficients: batch.coefficients, learning: learning,
            into: gradients, threads: options.threads
        ) { samples, features, gradient, accumulator in
            batch.labels.withUnsafeBufferPointer { labels in
                guard let labels = labels.baseAddress, let losses = room.losses.baseAddress else { return }
                room.hits[samples.lowerBound] = head.learn(
                    samples.count, features: features, labels: labels + samples.lowerBound, mask: batch.mask,
                    scale: scale, featureGradient: gradient, losses: losses + samples.lowerBound,
                    accumulator: accumulator)
            }
        }
        return (losses.reduce(0.0) { $0 + Double($1) }, hits.reduce(0, +))
    }

    /// Makes everybody take over the numbers that were moved or restored.
    func refresh() {
        if learning.contains(.parameters) { backbone.weightsChanged() }
        if learning.contains(.adapters) { mix?.refresh() }
        head.prepare()
    }

    private struct SampleRoom: @unchecked Sendable {
        let losses: UnsafeMutableBufferPointer<Float>
        let hits: UnsafeMutableBufferPointer<Int>
    }
}

/// Samples that go through the network together.
public struct TrainingBatch: Sendable {
    public var input: NetworkInput<Float>
    /// One class per sample.
    public var labels: [Int]
    /// Classes that compete; nil: all.
    public var mask: [Bool]?
    public var coefficients: Coefficients<Float>?

    public init(
        _ input: NetworkInput<Float>, labels: [Int], mask: [Bool]? = nil, coefficients: Coefficients<Float>? = nil
    ) {
        self.input = input
        self.labels = labels
        self.mask = mask
        self.coefficients = coefficients
    }
}
