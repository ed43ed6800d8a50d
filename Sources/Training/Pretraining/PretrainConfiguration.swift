import Networks
import Tensors
import WeightFiles

/// What `backbone pretrain` does: a small vision transformer learns to tell stroke glyphs apart.
public struct PretrainConfiguration: Sendable, Hashable {
    public struct Model: Sendable, Hashable {
        public var patch = 2
        public var width = 64
        public var depth = 4
        public var heads = 4
        public var mlpRatio = 4
    }

    public struct Head: Sendable, Hashable {
        public enum Kind: String, Sendable, CaseIterable { case linear, cosine }
        public var kind = Kind.cosine
        /// κ of a cosine head.
        public var scale = 16.0
    }

    public struct Training: Sendable, Hashable {
        public var steps = 2000
        public var batch = 128
        /// Batches per step.
        public var accumulate = 1
        public var optimizer = OptimizerKind.adamw
        public var learningRate = 2e-3
        public var schedule = LearningRateSchedule.Shape.cosine
        public var minimumRate = 0.0
        public var warmup = 100
        public var weightDecay = 0.05
        public var clip: Double?
        /// Less memory, more work, the same weights.
        public var usesGradientCheckpointing = false
    }

    public var name: String
    public var seed: UInt64 = 1
    /// Pixels per side and the value of a fully inked pixel.
    public var side = 8
    public var levels = 16
    public var model = Model()
    public var classes = 300
    public var variation = StrokeGlyphs.Variation()
    public var feature = Pooling.mean
    public var head = Head()
    public var training = Training()
    /// Validation images per class.
    public var validationPerClass = 4
    /// Steps between checkpoints.
    public var checkpointEvery = 500
    public var dtype = DType.f32
    /// Labelled data on which the finished backbone is measured: folders or names.
    public var probes: [String] = []

    public init(name: String) { self.name = name }

    /// The network's `config.json`, in timm's terms, without what pre-training adds.
    var architecture: [JSONValue.Member] {
        [
            .init("architecture", .string("timm.VisionTransformer")), .init("img_size", .integer(side)),
            .init("patch_size", .integer(model.patch)), .init("in_chans", .integer(1)),
            .init("num_classes", .integer(0)), .init("embed_dim", .integer(model.width)),
            .init("depth", .integer(model.depth)), .init("num_heads", .integer(model.heads)),
            .init("mlp_ratio", .integer(model.mlpRatio)), .init("class_token", .bool(true)),
            .init("global_pool", .string(feature == .cls ? "token" : "avg")), .init("qkv_bias", .bool(true)),
            .init("pre_norm", .bool(true)), .init("act", .string("gelu (erf)")),
            .init("layer_norm_eps", .number("1e-06")),
            .init(
                "normalisation",
                .object([
                    .init("scale", .string("x/\(levels)")), .init("mean", .integer(0)), .init("std", .integer(1)),
                ])),
            .init("feature", .string(feature.rawValue)),
        ]
    }

    /// Everything that decides about the weights, in one fixed text: equal texts give equal bytes.
    public var identity: String {
        let glyphs = variation
        let train = training
        let parts: [String] = [
            "seed \(seed)", "image \(side) \(levels)",
            "model \(model.patch) \(model.width) \(model.depth) \(model.heads) \(model.mlpRatio)",
            "glyphs \(classes) \(glyphs.jitter) \(glyphs.rotation) \(glyphs.slant) \(glyphs.aspect) \(glyphs.wave)",
            "drawing \(glyphs.pen) \(glyphs.fill) \(glyphs.shift)", "feature \(feature.rawValue)",
            "head \(head.kind.rawValue) \(head.scale)",
            "train \(train.steps) \(train.batch) \(train.accumulate) \(train.optimizer.rawValue) \(train.learningRate)",
            "schedule \(train.schedule.rawValue) \(train.minimumRate) \(train.warmup)",
            "limits \(train.weightDecay) \(train.clip.map { "\($0)" } ?? "none")",
        ]
        return parts.joined(separator: "; ")
    }
}
