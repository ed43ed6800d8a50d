import Diagnostics
import Foundation
import Networks
import Settings
import Tensors

/// Reads the configuration of `backbone pretrain`.
public enum PretrainReader {
    static let keys = [
        "name", "seed", "image", "model", "glyphs", "feature", "head", "train", "validate", "checkpoint_every", "dtype",
        "probe",
    ]

    /// - Parameter overrides: `--set` options, applied in order before anything is checked.
    /// - Throws: `io.*`, `recipe.syntax`, `recipe.unknown_key`, `recipe.bad_parameter`.
    public static func read(path: String, overrides: [SettingOverride] = []) throws -> PretrainConfiguration {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= YAMLLimits().bytes, let text = String(validating: file.bytes, as: UTF8.self) else {
            throw Failure(
                .recipeSyntax, "a configuration is a few lines of YAML; this file is too large or not UTF-8", path: path
            )
        }
        do { return try read(text: text, overrides: overrides) } catch let failure as Failure {
            throw failure.at(path: path)
        }
    }

    public static func read(text: String, overrides: [SettingOverride] = []) throws -> PretrainConfiguration {
        let documents = try YAMLReader.documents(in: text).filter { !$0.isNull }
        guard documents.count == 1, let document = documents.first else {
            throw Failure(
                .recipeSyntax, documents.isEmpty ? "the configuration is empty" : "a configuration is one document",
                place: SourcePlace.file(line: 1, column: 1).description,
                hint: "see recipes/backbone/ for configurations to start from")
        }
        let root = try overrides.reduce(document) { try $1.applied(to: $0) }
        return try Fields(reader: FieldReader(root, what: "")).configuration()
    }
}

private struct Fields {
    let reader: FieldReader

    func configuration() throws -> PretrainConfiguration {
        try reader.refuseUnknown(known: PretrainReader.keys, hints: ["steps": "did you mean 'train: { steps: … }'?"])
        guard let name = try reader.text("name")?.value else {
            throw Failure(
                .recipeBadParameter, "the configuration does not say 'name'", place: reader.place.description)
        }
        var result = PretrainConfiguration(name: name)
        result.seed = try reader.unsigned("seed") ?? result.seed
        try image(&result)
        try model(&result)
        try glyphs(&result)
        result.feature = try reader.choice("feature", of: Pooling.self)?.value ?? result.feature
        guard result.feature != .pooler else {
            throw Failure(
                .recipeBadParameter, "'feature' must be cls or mean: such a backbone has no pooler",
                place: (reader["feature"]?.place ?? reader.place).description)
        }
        try head(&result)
        try training(&result)
        if let fields = try reader.mapping("validate") {
            try fields.refuseUnknown(known: ["per_class"])
            result.validationPerClass = try fields.integer("per_class", in: 1...1000)?.value ?? 4
        }
        result.checkpointEvery = try reader.integer("checkpoint_every", in: 1...1 << 30)?.value ?? 500
        result.dtype = try dtype()
        result.probes = try reader.texts("probe").map(\.value)
        return result
    }

    private func image(_ result: inout PretrainConfiguration) throws {
        guard let fields = try reader.mapping("image") else { return }
        try fields.refuseUnknown(known: ["side", "levels"])
        result.side = try fields.integer("side", in: 4...64)?.value ?? result.side
        result.levels = try fields.integer("levels", in: 1...255)?.value ?? result.levels
    }

    private func model(_ result: inout PretrainConfiguration) throws {
        if let fields = try reader.mapping("model") {
            try fields.refuseUnknown(known: ["patch", "width", "depth", "heads", "mlp_ratio"])
            let old = result.model
            result.model.patch = try fields.integer("patch", in: 1...64)?.value ?? old.patch
            result.model.width = try fields.integer("width", in: 8...1024)?.value ?? old.width
            result.model.depth = try fields.integer("depth", in: 1...24)?.value ?? old.depth
            result.model.heads = try fields.integer("heads", in: 1...64)?.value ?? old.heads
            result.model.mlpRatio = try fields.integer("mlp_ratio", in: 1...8)?.value ?? old.mlpRatio
        }
        let model = result.model
        for (key, whole, part) in [("patch", result.side, model.patch), ("heads", model.width, model.heads)]
        where whole % part != 0 {
            throw Failure(
                .recipeBadParameter, "'model.\(key)' must divide \(whole), \(part) does not",
                place: (reader["model"]?.place ?? reader.place).description)
        }
    }

    private func glyphs(_ result: inout PretrainConfiguration) throws {
        guard let fields = try reader.mapping("glyphs") else { return }
        try fields.refuseUnknown(known: [
            "classes", "jitter", "rotation", "slant", "aspect", "wave", "pen", "fill", "shift",
        ])
        result.classes = try fields.integer("classes", in: 2...100_000)?.value ?? result.classes
        let old = result.variation
        result.variation.jitter = try number(fields, "jitter", 0...0.5) ?? old.jitter
        result.variation.rotation = try number(fields, "rotation", 0...180) ?? old.rotation
        result.variation.slant = try number(fields, "slant", 0...1) ?? old.slant
        result.variation.aspect = try number(fields, "aspect", 0...0.9) ?? old.aspect
        result.variation.wave = try number(fields, "wave", 0...0.5) ?? old.wave
        result.variation.pen = try span(fields, "pen", 0.01...0.5) ?? old.pen
        result.variation.fill = try span(fields, "fill", 0.1...1) ?? old.fill
        result.variation.shift = try number(fields, "shift", 0...0.5) ?? old.shift
    }

    private func head(_ result: inout PretrainConfiguration) throws {
        guard let fields = try reader.mapping("head") else { return }
        try fields.refuseUnknown(known: ["kind", "scale"])
        result.head.kind = try fields.choice("kind", of: PretrainConfiguration.Head.Kind.self)?.value ?? .cosine
        result.head.scale = try number(fields, "scale", 0.1...1000) ?? result.head.scale
    }

    private func training(_ result: inout PretrainConfiguration) throws {
        guard let fields = try reader.mapping("train") else { return }
        try fields.refuseUnknown(known: [
            "steps", "batch", "accumulate", "optimizer", "learning_rate", "schedule", "min_lr", "warmup",
            "weight_decay",
            "clip", "gradient_checkpointing",
        ])
        let old = result.training
        result.training.steps = try fields.integer("steps", in: 1...1 << 30)?.value ?? old.steps
        result.training.batch = try fields.integer("batch", in: 1...1 << 16)?.value ?? old.batch
        result.training.accumulate = try fields.integer("accumulate", in: 1...1024)?.value ?? old.accumulate
        result.training.optimizer = try fields.choice("optimizer", of: OptimizerKind.self)?.value ?? old.optimizer
        result.training.learningRate = try number(fields, "learning_rate", 1e-9...10) ?? old.learningRate
        result.training.schedule =
            try fields.choice("schedule", of: LearningRateSchedule.Shape.self)?.value ?? old.schedule
        result.training.minimumRate = try number(fields, "min_lr", 0...10) ?? old.minimumRate
        result.training.warmup = try fields.integer("warmup", in: 0...1 << 30)?.value ?? old.warmup
        result.training.weightDecay = try number(fields, "weight_decay", 0...10) ?? old.weightDecay
        result.training.clip = try number(fields, "clip", 1e-9...1e9)
        result.training.usesGradientCheckpointing = try fields.bool("gradient_checkpointing")?.value ?? false
    }

    private func dtype() throws -> DType {
        enum Choice: String, CaseIterable { case f32, f16 }
        return try reader.choice("dtype", of: Choice.self)?.value == .f16 ? .f16 : .f32
    }

    private func number(_ fields: FieldReader, _ key: String, _ range: ClosedRange<Double>) throws -> Double? {
        guard let node = fields[key] else { return nil }
        guard let value = FieldReader.number(node), range.contains(value) else {
            throw fields.wrongType(key, expected: "a number in \(range)", found: node)
        }
        return value
    }

    /// `[low, high]`.
    private func span(
        _ fields: FieldReader, _ key: String, _ range: ClosedRange<Double>
    ) throws -> ClosedRange<Double>? {
        guard let node = fields[key] else { return nil }
        let numbers = node.sequence?.compactMap(FieldReader.number) ?? []
        guard numbers.count == 2, node.sequence?.count == 2, numbers.allSatisfy(range.contains),
            numbers[0] <= numbers[1]
        else { throw fields.wrongType(key, expected: "two numbers in order within \(range)", found: node) }
        return numbers[0]...numbers[1]
    }
}
