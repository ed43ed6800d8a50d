import Diagnostics
import Foundation
import Networks
import Settings
import Tensors
import Training

/// Reads the YAML of a class-incremental run; every key is checked.
public enum RunConfigurationReader {
    /// - Parameter overrides: `--set` options, applied in order before anything is checked.
    /// - Throws: `io.*`, `recipe.syntax`, `recipe.unknown_key` with the nearest key, `recipe.bad_parameter`.
    public static func read(path: String, overrides: [SettingOverride] = []) throws -> RunConfiguration {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= YAMLLimits().bytes, let text = String(validating: file.bytes, as: UTF8.self) else {
            throw Failure(.recipeSyntax, "a configuration is a few lines of YAML in UTF-8", path: path)
        }
        do {
            let url = URL(fileURLWithPath: path)
            return try read(
                text: text, folder: url.deletingLastPathComponent().path,
                name: url.deletingPathExtension().lastPathComponent, overrides: overrides)
        } catch let failure as Failure {
            throw failure.at(path: path)
        }
    }

    /// - Parameters:
    ///   - folder: where relative paths start.
    ///   - name: of the run, when the text gives none.
    public static func read(
        text: String, folder: String, name: String = "run", overrides: [SettingOverride] = []
    ) throws -> RunConfiguration {
        let documents = try YAMLReader.documents(in: text).filter { !$0.isNull }
        guard documents.count == 1, let document = documents.first else {
            throw Failure(
                .recipeSyntax,
                documents.isEmpty ? "the configuration is empty" : "a configuration is one document",
                hint: "see recipes/cil/ for configurations to start from")
        }
        let root = try overrides.reduce(document) { try $1.applied(to: $0) }
        var fields = RunFields(reader: try FieldReader(root, what: ""))
        fields.result.folder = folder
        fields.result.name = name
        return try fields.configuration()
    }
}

/// Takes the mapping of a configuration apart.
private struct RunFields {
    let reader: FieldReader
    var result = RunConfiguration()

    static let keys = [
        "name", "data", "backbone", "input", "feature", "protocol", "structure", "rank", "lora_alpha", "sites",
        "blocks", "factor_mode", "slow", "consolidation", "align", "experts", "optimizer", "epochs", "batch", "head",
        "val_fraction", "val_min", "selection", "eval_rule", "time_scales", "first_task_only", "seeds", "invariants",
        "share_compute", "prefix_cache_mb", "predictions", "ablations",
    ]

    init(reader: FieldReader) { self.reader = reader }

    mutating func configuration() throws -> RunConfiguration {
        try reader.refuseUnknown(
            known: Self.keys,
            hints: [
                "alpha": "did you mean 'lora_alpha', or 'consolidation.alpha'?", "lr": "did you mean 'optimizer.lr'?",
                "model": "did you mean 'backbone'?",
            ])
        result.name = try reader.text("name")?.value ?? result.name
        try readData()
        result.structure = try reader.choice("structure", of: RunConfiguration.Structure.self)?.value ?? .chain
        result.rank = try reader.integer("rank", in: 1...4096)?.value ?? 4
        result.loraAlpha = try number(reader, "lora_alpha", in: 0...1e6) ?? Double(result.rank)
        let sites = try reader.texts("sites").map(\.value)
        if !sites.isEmpty { result.sites = sites }
        result.blocks = try blocks()
        result.factorMode = try reader.choice("factor_mode", of: FactorMode.self)?.value ?? .independent
        try readSlow()
        try readConsolidation()
        try readAlignment()
        try readExperts()
        try readOptimizer()
        result.epochs = try reader.integer("epochs", in: 0...100_000)?.value ?? 5
        result.batch = try reader.integer("batch", in: 1...1 << 20)?.value ?? 32
        try readHead()
        result.validationFraction = try number(reader, "val_fraction", in: 0...0.9) ?? 0.1
        result.validationMinimum = try reader.integer("val_min", in: 0...1 << 20)?.value ?? 5
        try readSelection()
        result.evalRule = try reader.choice("eval_rule", of: RunConfiguration.EvalRule.self)?.value ?? .sum
        try readTimeScales()
        result.firstTaskOnly = try reader.bool("first_task_only")?.value ?? false
        try readSeeds()
        result.strictInvariants = try word("invariants", ["strict", "warn"]) != "warn"
        result.sharesCompute = try word("share_compute", ["auto", "on", "off"]) != "off"
        result.prefixCacheMegabytes = try reader.integer("prefix_cache_mb", in: 0...1 << 20)?.value ?? 512
        result.writesPredictions = try reader.bool("predictions")?.value ?? true
        result.ablatesOnTest = try word("ablations", ["val", "test"]) == "test"
        try refuseContradictions()
        return result
    }

    private func bad(_ message: String, _ key: String, hint: String? = nil) -> Failure {
        Failure(
            .recipeBadParameter, message, place: (reader[key]?.place ?? reader.place).description, hint: hint)
    }

    private func refuseContradictions() throws {
        if result.data.isEmpty { throw bad("the configuration does not say 'data'", "data", hint: "data: { path: … }") }
        if let count = result.experts.count, case .list(let list) = result.experts.schedule, list.count != count {
            throw bad("'experts.schedule' has \(list.count) numbers for \(count) experts", "experts")
        }
    }

    private func number(_ fields: FieldReader, _ key: String, in range: ClosedRange<Double>) throws -> Double? {
        guard let node = fields[key] else { return nil }
        guard let value = FieldReader.number(node), range.contains(value) else {
            throw fields.wrongType(
                key, expected: "a number in \(range.lowerBound)…\(range.upperBound)", found: node)
        }
        return value
    }

    /// A word out of a list; YAML reads `on` and `off` as booleans.
    private func word(_ key: String, _ words: [String]) throws -> String? {
        guard let node = reader[key] else { return nil }
        var text = node.scalar?.text
        if case .bool(let value) = node.scalar?.value, words.contains("off") { text = value ? "on" : "off" }
        guard let text, words.contains(text) else {
            throw reader.wrongType(key, expected: "one of " + words.joined(separator: ", "), found: node)
        }
        return text
    }

    private mutating func readData() throws {
        guard let node = reader["data"] else { return }
        if let text = node.scalar?.text, !text.isEmpty {
            result.data = text
        } else {
            let fields = try FieldReader(node, what: "data")
            try fields.refuseUnknown(known: ["path", "train_per_class", "tasks"])
            result.data = try fields.text("path")?.value ?? ""
            result.trainPerClass = try fields.integer("train_per_class", in: 1...1 << 30)?.value
            result.taskColumn = try fields.text("tasks")?.value
        }
        result.backbone = try reader.text("backbone")?.value ?? "starter"
        result.feature = try reader.choice("feature", of: Pooling.self)?.value
        if let name = try reader.text("protocol") {
            guard ProtocolName(name.value) != nil else {
                throw Failure(
                    .recipeBadParameter, "'\(name.value)' is no protocol", place: name.place.description,
                    hint: "B0-Inc2 gives every task 2 classes, B4-Inc2 gives the first one 4")
            }
            result.protocolName = name.value
        }
        guard let input = try reader.mapping("input") else { return }
        try input.refuseUnknown(known: ["max_tokens", "mean", "std", "scale"])
        for key in ["max_tokens", "mean", "std", "scale"] {
            guard let node = input[key] else { continue }
            result.input[key] = try (node.sequence ?? [node]).map {
                guard let value = FieldReader.number($0) else {
                    throw input.wrongType(key, expected: "a number", found: $0)
                }
                return value
            }
        }
    }

    private func blocks() throws -> Range<Int>? {
        guard let node = reader["blocks"], node.scalar?.text != "all" else { return nil }
        let list = try reader.list("blocks").compactMap { FieldReader.integer($0) }
        guard list.count == 2, list[0] >= 0, list[1] >= list[0] else {
            throw reader.wrongType("blocks", expected: "'all' or the first and the last block, [4, 5]", found: node)
        }
        return list[0]..<list[1] + 1
    }

    private mutating func readSlow() throws {
        guard let fields = try reader.mapping("slow") else { return }
        try fields.refuseUnknown(known: ["storage", "rank", "lr_multiplier"])
        result.slow.storage = try fields.choice("storage", of: RunConfiguration.SlowStorage.self)?.value ?? .factors
        result.slow.rank = try fields.integer("rank", in: 1...65_536)?.value
        result.slow.multiplier = try number(fields, "lr_multiplier", in: 0...1e3) ?? 0.1
    }

    private mutating func readConsolidation() throws {
        guard let fields = try reader.mapping("consolidation") else { return }
        let others = ["keep", "consolidate_if"]
        result.consolidation.rule = try ConsolidationRule(fields, others: others)
        result.consolidation.keep = try number(fields, "keep", in: 0...1) ?? 0
        result.consolidation.gate = try number(fields, "consolidate_if", in: -1...1)
    }

    private mutating func readAlignment() throws {
        guard let node = reader["align"], node.scalar?.text != "none" else { return }
        result.alignment.isOn = true
        if node.scalar?.text == "pam-lite" { return }
        let fields = try FieldReader(node, what: "align")
        try fields.refuseUnknown(known: ["every", "p", "criterion", "action"])
        result.alignment.every = try fields.integer("every", in: 1...1 << 30)?.value ?? 50
        result.alignment.share = try number(fields, "p", in: 0...1) ?? 0.5
        result.alignment.criterion =
            try fields.choice("criterion", of: RunConfiguration.Alignment.Criterion.self)?.value ?? .residual
        result.alignment.action =
            try fields.choice("action", of: RunConfiguration.Alignment.Action.self)?.value ?? .zero
    }

    private mutating func readExperts() throws {
        guard let fields = try reader.mapping("experts") else { return }
        try fields.refuseUnknown(known: ["k", "schedule", "init", "head_sharing", "loss_reduction"])
        var experts = RunConfiguration.Experts()
        experts.count = try fields.integer("k", in: 1...256)?.value
        if let node = fields["schedule"] {
            if let items = node.sequence {
                experts.schedule = .list(items.compactMap { FieldReader.number($0) })
            } else if node.scalar?.text == "decades" {
                experts.schedule = .decades
            } else if node.scalar?.text != "halving" {
                throw fields.wrongType("schedule", expected: "halving, decades or a list", found: node)
            }
        }
        experts.distinctInit = try fields.text("init")?.value != "same"
        experts.sharedHead = try fields.text("head_sharing")?.value == "shared"
        experts.expandedMean = try fields.text("loss_reduction")?.value == "expanded-mean"
        result.experts = experts
    }

    private mutating func readOptimizer() throws {
        guard let fields = try reader.mapping("optimizer") else { return }
        try fields.refuseUnknown(
            known: [
                "kind", "lr", "head_multiplier", "weight_decay", "schedule", "min_lr", "warmup_steps", "clip_norm",
            ])
        var optimizer = RunConfiguration.Optimisation()
        optimizer.kind = try fields.choice("kind", of: OptimizerKind.self)?.value ?? .adamw
        optimizer.learningRate = try number(fields, "lr", in: 0...1e3) ?? 1e-3
        optimizer.headMultiplier = try number(fields, "head_multiplier", in: 0...1e6) ?? 5
        optimizer.weightDecay = try number(fields, "weight_decay", in: 0...10) ?? 0
        optimizer.schedule = try fields.choice("schedule", of: LearningRateSchedule.Shape.self)?.value ?? .cosine
        optimizer.minimumRate = try number(fields, "min_lr", in: 0...1e3) ?? 0
        optimizer.warmupSteps = try fields.integer("warmup_steps", in: 0...1 << 30)?.value ?? 0
        optimizer.clip = try number(fields, "clip_norm", in: 1e-12...1e12)
        result.optimizer = optimizer
    }

    private mutating func readHead() throws {
        guard let fields = try reader.mapping("head") else { return }
        try fields.refuseUnknown(
            known: [
                "kind", "also", "loss", "tau", "refit_epochs", "features", "hidden", "lambda", "weight_align",
            ])
        var head = RunConfiguration.Head()
        head.kind = try fields.choice("kind", of: RunConfiguration.HeadKind.self)?.value ?? .linear
        head.also = try fields.texts("also").map { item in
            guard let kind = RunConfiguration.HeadKind(rawValue: item.value) else {
                throw bad("there is no head '\(item.value)'", "head", hint: "linear, ncm, ranpac, lda")
            }
            return kind
        }
        head.loss = try fields.choice("loss", of: RunConfiguration.HeadLoss.self)?.value ?? .local
        head.tau = try number(fields, "tau", in: 0...100) ?? 1
        head.refitEpochs = try fields.integer("refit_epochs", in: 0...10_000)?.value ?? 5
        head.concatenated = try fields.text("features")?.value == "concat"
        head.hidden = try fields.integer("hidden", in: 0...100_000)?.value
        head.lambda = try number(fields, "lambda", in: 0...1e12)
        head.weightAlign = try fields.bool("weight_align")?.value ?? false
        result.head = head
    }

    private mutating func readSelection() throws {
        guard let fields = try reader.mapping("selection") else { return }
        try fields.refuseUnknown(known: ["split", "scope"])
        result.selection.usesTest = try fields.text("split")?.value == "test"
        result.selection.seenScope = try fields.text("scope")?.value == "seen"
    }

    private mutating func readTimeScales() throws {
        guard let fields = try reader.mapping("time_scales") else { return }
        try fields.refuseUnknown(known: ["gradient_periods", "cascade_periods", "reduce", "final_flush"])
        func periods(_ key: String, _ names: [String], _ defaults: [Int]) throws -> [Int] {
            guard let part = try fields.mapping(key) else { return defaults }
            try part.refuseUnknown(known: names)
            return try zip(names, defaults).map { try part.integer($0, in: 1...1 << 30)?.value ?? $1 }
        }
        result.timeScales.gradientPeriods = try periods("gradient_periods", ["fast", "mid", "slow"], [1, 8, 64])
        result.timeScales.cascadePeriods = try periods("cascade_periods", ["mid", "slow"], [1, 3])
        result.timeScales.averages = try fields.text("reduce")?.value == "mean"
        result.timeScales.finalFlush = try fields.bool("final_flush")?.value ?? true
    }

    private mutating func readSeeds() throws {
        guard let node = reader["seeds"] else { return }
        let fields = try FieldReader(node, what: "seeds")
        try fields.refuseUnknown(known: ["class_order", "train"])
        if let order = fields["class_order"] {
            result.classOrderSeed = order.isNull ? nil : try fields.unsigned("class_order")
        }
        guard let train = fields["train"] else { return }
        result.seeds = try (train.sequence ?? [train]).map { item in
            guard let seed = item.scalar?.unsigned else {
                throw fields.wrongType("train", expected: "a whole number or a list of them", found: item)
            }
            return seed
        }
        if result.seeds.isEmpty || Set(result.seeds).count != result.seeds.count {
            throw bad("'seeds.train' is empty or names a seed twice", "seeds")
        }
    }
}

/// `B0-Inc2`, `B4-Inc2`.
public struct ProtocolName: Sendable, Hashable {
    public let first: Int
    public let increment: Int

    public init?(_ text: String) {
        let parts = text.split(separator: "-")
        guard parts.count == 2, parts[0].hasPrefix("B"), parts[1].hasPrefix("Inc"),
            let first = Int(parts[0].dropFirst()), let increment = Int(parts[1].dropFirst(3)), first >= 0,
            increment > 0
        else { return nil }
        self.first = first
        self.increment = increment
    }

    /// `classes` cut into tasks; the last takes the remainder.
    public func tasks(_ classes: [Int]) -> [[Int]] {
        var result: [[Int]] = []
        var start = 0
        while start < classes.count {
            let size = result.isEmpty && first > 0 ? first : increment
            result.append(Array(classes[start..<min(start + size, classes.count)]))
            start += size
        }
        return result
    }
}
