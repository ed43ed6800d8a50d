import Diagnostics
import Foundation
import Settings
import Tensors

/// Reads router configurations.
///
/// ```swift
/// let configuration = try RouterConfigurationReader.read(path: "recipes/router/clinc150.yaml")
/// ```
public enum RouterConfigurationReader {
    static let keys = ["name", "suite", "experts", "domains", "train", "seed", "router", "routing", "loss"]

    /// - Parameter overrides: `--set` options, applied in order before anything is checked.
    /// - Throws: `io.*`, `recipe.syntax`, `recipe.unknown_key` with the nearest key, `recipe.bad_parameter`,
    ///   `recipe.seed_required`, each with its place.
    public static func read(path: String, overrides: [SettingOverride] = []) throws -> RouterConfiguration {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= YAMLLimits().bytes, let text = String(validating: file.bytes, as: UTF8.self) else {
            throw Failure(
                .recipeSyntax, "a router configuration is a few lines of YAML; this file is too large or not UTF-8",
                path: path)
        }
        do {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            var configuration = try read(text: text, folder: folder, overrides: overrides)
            configuration.path = path
            return configuration
        } catch let failure as Failure {
            throw failure.at(path: path)
        }
    }

    /// - Parameter folder: where relative paths start.
    public static func read(
        text: String, folder: String, overrides: [SettingOverride] = []
    ) throws -> RouterConfiguration {
        let documents = try YAMLReader.documents(in: text).filter { !$0.isNull }
        guard documents.count == 1, let document = documents.first else {
            throw Failure(
                .recipeSyntax,
                documents.isEmpty ? "the configuration is empty" : "a router configuration is one document",
                place: SourcePlace.file(line: 1, column: 1).description,
                hint: "see recipes/router/ for configurations to start from")
        }
        let root = try overrides.reduce(document) { try $1.applied(to: $0) }
        return try ConfigurationFields(reader: FieldReader(root, what: ""), folder: folder).configuration()
    }

    /// The setup within a router's file: the keys `router`, `routing`, `loss`, `train` and `seed`.
    static func setup(text: String, overrides: [SettingOverride] = []) throws -> RouterSetup {
        guard let read = try YAMLReader.documents(in: text).first else { return RouterSetup() }
        for override in overrides where override.path.segments.first != .key("routing") {
            throw Failure(
                .recipeBadParameter, "only keys below 'routing' of a trained router can change",
                place: override.place.description, hint: "for example --set routing.k=1")
        }
        let document = try overrides.reduce(read) { try $1.applied(to: $0) }
        return try ConfigurationFields(reader: FieldReader(document, what: ""), folder: "").setup()
    }
}

/// Takes the mapping apart.
private struct ConfigurationFields {
    let reader: FieldReader
    let folder: String

    func configuration() throws -> RouterConfiguration {
        try reader.refuseUnknown(known: RouterConfigurationReader.keys)
        guard let suite = try reader.text("suite") else { throw missing("suite") }
        let (experts, new) = try experts()
        let setup = try setup()
        return RouterConfiguration(
            name: try reader.text("name")?.value ?? "router", suite: suite, experts: experts, newExperts: new,
            domains: try domains(), samples: try TrainFields(try reader.mapping("train")).samples(), setup: setup,
            folder: folder)
    }

    func setup() throws -> RouterSetup {
        var setup = RouterSetup()
        setup.router = try RouterFields(try reader.mapping("router")).options()
        setup.routing = try RoutingFields(try reader.mapping("routing")).options()
        setup.loss = try LossFields(try reader.mapping("loss")).options()
        setup.training = try TrainFields(try reader.mapping("train")).options()
        guard let seed = try reader.unsigned("seed") else {
            throw Failure(
                .recipeSeedRequired, "a router configuration needs a seed", place: reader.place.description,
                hint: "add seed: 1")
        }
        setup.training.seed = seed
        return setup
    }

    private func missing(_ key: String) -> Failure {
        Failure(
            .recipeBadParameter, "the configuration does not say '\(key)'", place: reader.place.description,
            hint: "a router configuration needs suite, experts and seed")
    }

    /// A list of references, or `{ new: { rank, alpha, sites } }`.
    private func experts() throws -> ([Located<String>], RouterConfiguration.NewExperts?) {
        guard let node = reader["experts"], !node.isNull else { throw missing("experts") }
        guard node.members != nil else {
            let found = try reader.texts("experts")
            guard !found.isEmpty else { throw missing("experts") }
            return (found, nil)
        }
        let fields = try FieldReader(node, what: "experts")
        try fields.refuseUnknown(known: ["new"])
        guard let part = try fields.mapping("new") else { throw missing("experts.new") }
        try part.refuseUnknown(known: ["rank", "alpha", "sites"])
        var new = RouterConfiguration.NewExperts()
        new.rank = try part.integer("rank", in: 1...4096)?.value ?? new.rank
        new.alpha = try part.double("alpha", in: 0...Double.greatestFiniteMagnitude) ?? new.alpha
        new.sites = try part.texts("sites").map(\.value)
        guard !new.sites.isEmpty else { throw missing("experts.new.sites") }
        return ([], new)
    }

    private func domains() throws -> RouterConfiguration.Domains {
        guard let node = reader["domains"], !node.isNull else { return .byName }
        if let members = node.members {
            return .named(
                try members.reduce(into: [:]) { table, member in
                    guard let text = member.value.scalar?.text, !text.isEmpty else {
                        throw Failure(
                            .recipeBadParameter, "'domains.\(member.key)' must name an expert",
                            place: member.value.place.description)
                    }
                    table[member.key] = text
                })
        }
        guard let text = try reader.text("domains")?.value, text.hasPrefix("tag:"), !text.contains("=") else {
            throw Failure(
                .recipeBadParameter, "'domains' must be a mapping of tasks to experts, or tag:KEY",
                place: node.place.description, hint: "for example domains: tag:domain")
        }
        return .tag(String(text.dropFirst(4)))
    }
}

/// `router`: section 3.1.
private struct RouterFields {
    let fields: FieldReader?

    init(_ fields: FieldReader?) { self.fields = fields }

    func options() throws -> RouterOptions {
        var options = RouterOptions()
        guard let fields else { return options }
        try fields.refuseUnknown(
            known: [
                "kind", "scope", "granularity", "bias", "norm", "temperature", "init", "gain", "hidden", "nullExpert",
                "coverage", "detachInput", "layer", "headSamples",
            ], hints: ["null_expert": "did you mean 'nullExpert'?", "tau": "did you mean 'temperature'?"])
        options.kind = try fields.choice("kind", of: RouterOptions.Kind.self)?.value ?? options.kind
        options.scope = try fields.choice("scope", of: RouterOptions.Scope.self)?.value ?? options.scope
        options.granularity =
            try fields.choice("granularity", of: RouterOptions.Granularity.self)?.value ?? options.granularity
        options.bias = try fields.bool("bias")?.value ?? false
        options.norm = try fields.choice("norm", of: RouterOptions.Norm.self)?.value
        options.temperature = try fields.positive("temperature") ?? options.temperature
        options.gain = try fields.positive("gain") ?? options.gain
        options.headSamples =
            try fields.double("headSamples", in: 0...Double.greatestFiniteMagnitude) ?? options.headSamples
        options.hidden = try fields.integer("hidden", in: 1...1 << 16)?.value ?? options.hidden
        options.nullExpert = try fields.bool("nullExpert")?.value ?? false
        options.coverage = try fields.choice("coverage", of: RouterOptions.Coverage.self)?.value ?? options.coverage
        options.detachInput = try fields.bool("detachInput")?.value ?? false
        options.layer = try fields.integer("layer", in: 0...1 << 16)?.value
        options.initialisation = try initialisation(fields)
        return options
    }

    /// `normal(0.02)` is the spelling of the reference.
    private func initialisation(_ fields: FieldReader) throws -> RouterOptions.Initialisation {
        if fields["init"]?.scalar?.text == "normal(0.02)" { return .normal }
        return try fields.choice("init", of: RouterOptions.Initialisation.self)?.value ?? .normal
    }
}

/// `routing`: sections 3.2 and 6.
private struct RoutingFields {
    let fields: FieldReader?

    init(_ fields: FieldReader?) { self.fields = fields }

    func options() throws -> RoutingOptions {
        var options = RoutingOptions()
        guard let fields else { return options }
        try fields.refuseUnknown(known: ["mode", "k", "threshold", "topP", "scale", "weights"])
        options.mode = try fields.choice("mode", of: RoutingOptions.Mode.self)?.value ?? options.mode
        options.k = try fields.integer("k", in: 1...1 << 16)?.value
        options.threshold = try fields.double("threshold", in: 0...1) ?? 0
        options.topP = try fields.double("topP", in: 0...1)
        options.scale = try fields.choice("scale", of: RoutingOptions.Scale.self)?.value ?? options.scale
        options.fixed = try fields.numbers("weights")
        if options.mode == .fixed, options.fixed.isEmpty {
            throw Failure(
                .recipeBadParameter, "routing mode fixed needs 'routing.weights'", place: fields.place.description)
        }
        return options
    }
}

/// `loss`: section 4.
private struct LossFields {
    let fields: FieldReader?

    init(_ fields: FieldReader?) { self.fields = fields }

    func options() throws -> LossOptions {
        var options = LossOptions()
        guard let fields else { return options }
        let own = ["preset", "alpha", "lambda", "beta", "task", "balance", "entropy", "delta"]
        try fields.refuseUnknown(known: own + LossOptions.extraNames)
        let limit = 0...Double.greatestFiniteMagnitude
        options.preset = try fields.choice("preset", of: LossOptions.Preset.self)?.value ?? options.preset
        options.alpha = try fields.double("alpha", in: limit) ?? options.alpha
        options.lambda = try fields.double("lambda", in: limit) ?? options.lambda
        options.beta = try fields.double("beta", in: limit) ?? options.beta
        options.task = try fields.double("task", in: limit) ?? options.task
        options.delta = try fields.double("delta", in: 0...1) ?? options.delta
        options.balance = try balance(fields)
        if let part = try fields.mapping("entropy") {
            try part.refuseUnknown(known: ["sign"])
            options.sign = try part.choice("sign", of: EntropyLoss.Sign.self)?.value
        }
        for name in LossOptions.extraNames {
            if let value = try fields.double(name, in: limit) { options.extra[name] = value }
        }
        return options
    }

    private func balance(_ fields: FieldReader) throws -> BalanceLoss? {
        guard let part = try fields.mapping("balance") else { return nil }
        try part.refuseUnknown(known: ["load", "factor", "pool"])
        var loss = BalanceLoss()
        loss.load = try part.choice("load", of: BalanceLoss.Load.self)?.value ?? loss.load
        loss.pool = try part.choice("pool", of: BalanceLoss.Pool.self)?.value ?? loss.pool
        if let node = part["factor"] {
            guard let text = node.scalar?.text, text == "1" || text == "E" else {
                throw part.wrongType("factor", expected: "1 or E", found: node)
            }
            loss.factor = text == "1" ? .one : .experts
        }
        return loss
    }
}

/// `train`: section 5.
private struct TrainFields {
    let fields: FieldReader?

    init(_ fields: FieldReader?) { self.fields = fields }

    func samples() throws -> Int? { try fields?.integer("samples", in: 1...Int.max)?.value }

    func options() throws -> RouterTrainingOptions {
        var options = RouterTrainingOptions()
        guard let fields else { return options }
        try fields.refuseUnknown(
            known: [
                "split", "samples", "regime", "mode", "batch", "steps", "epochs", "lr", "weightDecay", "warmup",
                "clip", "evalEvery", "validation", "folds", "refit", "expertLr", "expertWeightDecay", "expertSteps",
                "stage2", "stage3", "gradientCheckpointing",
            ],
            hints: [
                "gradient_checkpointing": "did you mean 'gradientCheckpointing'?",
                "learning_rate": "did you mean 'lr'?", "weight_decay": "did you mean 'weightDecay'?",
            ])
        if let split = try fields.text("split"), split.value != "train" {
            throw Failure(
                .recipeBadParameter, "'train.split' must be train: routers learn from training samples only",
                place: split.place.description)
        }
        let limit = 0...Double.greatestFiniteMagnitude
        options.regime = try fields.choice("regime", of: RouterTrainingOptions.Regime.self)?.value ?? options.regime
        options.mode = try fields.choice("mode", of: RoutingOptions.Mode.self)?.value ?? options.mode
        options.batch = try fields.integer("batch", in: 1...1 << 20)?.value ?? options.batch
        options.steps = try fields.integer("steps", in: 1...1 << 30)?.value
        options.epochs = try fields.integer("epochs", in: 1...1 << 20)?.value
        options.learningRate = try fields.positive("lr") ?? options.learningRate
        options.weightDecay = try fields.double("weightDecay", in: limit) ?? options.weightDecay
        options.warmup = try fields.double("warmup", in: 0...1) ?? options.warmup
        options.clip = try fields.double("clip", in: limit) ?? options.clip
        options.evaluateEvery = try fields.integer("evalEvery", in: 1...1 << 30)?.value
        options.validation = try fields.double("validation", in: 0...0.5) ?? options.validation
        options.folds = try fields.integer("folds", in: 2...100)?.value ?? options.folds
        options.refit = try fields.bool("refit")?.value ?? options.refit
        options.expertRate = try fields.positive("expertLr") ?? options.expertRate
        options.expertDecay = try fields.double("expertWeightDecay", in: limit) ?? options.expertDecay
        options.expertSteps = try fields.integer("expertSteps", in: 0...1 << 30)?.value
        options.stageTwo = try fields.choice("stage2", of: RouterTrainingOptions.StageTwo.self)?.value ?? .router
        options.stageThree = try fields.double("stage3", in: 0...1) ?? 0
        options.usesGradientCheckpointing = try fields.bool("gradientCheckpointing")?.value ?? false
        return options
    }
}

extension FieldReader {
    fileprivate func double(_ key: String, in range: ClosedRange<Double>) throws -> Double? {
        guard let node = self[key] else { return nil }
        guard let number = FieldReader.number(node), number.isFinite, range.contains(number) else {
            let bounds = range.upperBound < 1e300 ? "\(range.lowerBound)...\(range.upperBound)" : "0 or more"
            throw wrongType(key, expected: "a number, \(bounds)", found: node)
        }
        return number
    }

    fileprivate func positive(_ key: String) throws -> Double? {
        guard let node = self[key] else { return nil }
        guard let number = FieldReader.number(node), number.isFinite, number > 0 else {
            throw wrongType(key, expected: "a number above 0", found: node)
        }
        return number
    }

    fileprivate func numbers(_ key: String) throws -> [Double] {
        try list(key).map { node in
            guard let number = FieldReader.number(node), number.isFinite else {
                throw wrongType(key, expected: "a list of numbers", found: node)
            }
            return number
        }
    }
}
