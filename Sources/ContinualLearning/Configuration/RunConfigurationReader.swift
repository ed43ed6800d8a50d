import Diagnostics
import Evaluation
import Foundation
import Merging
import Settings
import Tensors
import Training

/// Reads configurations of `cil run`.
///
/// ```swift
/// let configuration = try RunConfigurationReader.read(path: "recipes/cil/chain.yaml")
/// ```
public enum RunConfigurationReader {
    static let suiteKeys = ["backbone", "input", "feature", "normalize", "tasks"]
    static let keys =
        suiteKeys + [
            "name", "data", "protocol", "structure", "rank", "lora_alpha", "sites", "blocks", "factor_mode",
            "first_task_only", "slow", "consolidation", "align", "pam", "experts", "eval_rule", "gate", "time_scales",
            "optimizer", "epochs", "batch", "head", "heads", "val_fraction", "val_min", "selection", "seeds",
            "invariants", "share_compute", "prefix_cache_mb", "ablations", "forward_transfer", "checkpoint",
            "predictions", "gradient_checkpointing",
        ]

    /// - Parameter overrides: `--set` options, applied in order before anything is checked.
    /// - Throws: `io.*`, `recipe.syntax`, `recipe.unknown_key` with the nearest key, `recipe.bad_parameter`.
    public static func read(path: String, overrides: [SettingOverride] = []) throws -> RunConfiguration {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= YAMLLimits().bytes, let text = String(validating: file.bytes, as: UTF8.self) else {
            throw Failure(
                .recipeSyntax, "a configuration is a few lines of YAML; this file is too large or not UTF-8",
                path: path)
        }
        do {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            return try read(text: text, folder: folder, overrides: overrides)
        } catch let failure as Failure {
            throw failure.at(path: path)
        }
    }

    /// - Parameter folder: where relative paths start.
    public static func read(text: String, folder: String, overrides: [SettingOverride] = []) throws -> RunConfiguration
    {
        let documents = try YAMLReader.documents(in: text).filter { !$0.isNull }
        guard documents.count == 1, let document = documents.first else {
            throw Failure(
                .recipeSyntax, documents.isEmpty ? "the configuration is empty" : "a configuration is one document",
                place: SourcePlace.file(line: 1, column: 1).description,
                hint: "see recipes/cil/ for configurations to start from")
        }
        let root = try overrides.reduce(document) { try $1.applied(to: $0) }
        guard root.members != nil else {
            throw Failure(
                .recipeBadParameter, "a configuration must be a mapping, found \(root.whatItIs)",
                place: root.place.description)
        }
        return try RunFields(reader: FieldReader(root, what: ""), folder: folder).configuration()
    }
}

/// Takes the mapping of a configuration apart.
struct RunFields {
    let reader: FieldReader
    let folder: String

    func configuration() throws -> RunConfiguration {
        try reader.refuseUnknown(
            known: RunConfigurationReader.keys,
            hints: [
                "lr": "did you mean 'optimizer: {lr: …}'?", "alpha": "did you mean 'consolidation: {alpha: …}'?",
                "seed": "did you mean 'seeds: {train: …}'?", "optimiser": "did you mean 'optimizer'?",
                "r": "did you mean 'rank'?", "k": "did you mean 'experts: {k: …}'?",
            ])
        var result = try RunConfiguration(suite: suite())
        result.name = try reader.text("name")?.value ?? ""
        try readData(into: &result)
        result.taskProtocol = try taskProtocol()
        result.structure = try reader.choice("structure", of: Structure.self)?.value ?? .chain
        try readAdapter(into: &result)
        result.slow = try slow()
        result.consolidation = try consolidation(result.structure)
        result.alignment = try alignment(result.structure)
        result.experts = try experts()
        result.evaluationRule =
            try reader.choice("eval_rule", of: EvaluationRule.self)?.value
            ?? (result.structure == .independent ? .mean : .sum)
        result.gate = try reader.choice("gate", of: Gate.self)?.value ?? .lossEMA
        result.timeScales = try timeScales()
        result.optimisation = try optimisation()
        result.epochs = try reader.integer("epochs", in: 1...10_000)?.value ?? 5
        result.batch = try reader.integer("batch", in: 1...65_536)?.value ?? 32
        result.head = try head()
        result.usesGradientCheckpointing = try reader.bool("gradient_checkpointing")?.value ?? false
        result.valFraction = try number("val_fraction", reader, in: 0...0.5) ?? 0.1
        result.valMinimum = try reader.integer("val_min", in: 0...100_000)?.value ?? 5
        result.selection = try selection()
        try readSeeds(into: &result)
        try readRunning(into: &result)
        try check(result)
        result.unusedKeys = UnusedKeys.of(reader, result)
        return result
    }

    // MARK: Data

    /// The keys that a suite has, too, are read as one.
    private func suite() throws -> Suite {
        guard let data = try reader.mapping("data"), let path = data["path"] else {
            throw Failure(
                .recipeBadParameter, "the configuration does not say 'data.path'", place: reader.place.description,
                hint: "data: { path: FOLDER } or the name of data that the bank knows")
        }
        var members: [(String, YAMLNode)] = [("name", .text("cil", at: reader.place))]
        for key in RunConfigurationReader.suiteKeys {
            if let node = reader[key] ?? (key == "tasks" ? data["tasks"] : nil) { members.append((key, node)) }
        }
        if reader["backbone"] == nil { members.append(("backbone", .text("starter", at: reader.place))) }
        members.append(("data", .mapping([("path", path)], at: data.place)))
        members.append(("head", .mapping([("from", .text("adapter", at: reader.place))], at: reader.place)))
        var suite = try SuiteReader.read(.mapping(members, at: reader.place), folder: folder)
        suite.asksBackbone = true
        return suite
    }

    private func readData(into result: inout RunConfiguration) throws {
        guard let data = try reader.mapping("data") else { return }
        try data.refuseUnknown(known: ["path", "train_per_class", "test_per_class", "tasks"])
        result.data.trainPerClass = try data.integer("train_per_class", in: 1...Int.max)?.value
        result.data.testPerClass = try data.integer("test_per_class", in: 1...Int.max)?.value
    }

    /// `B0-Inc2`, `B50-Inc10`.
    private func taskProtocol() throws -> (first: Int, increment: Int)? {
        guard let text = try reader.text("protocol") else { return nil }
        let parts = text.value.split(separator: "-")
        guard parts.count == 2, parts[0].hasPrefix("B"), parts[1].hasPrefix("Inc"),
            let first = Int(parts[0].dropFirst()), let increment = Int(parts[1].dropFirst(3)), first >= 0, increment > 0
        else {
            throw Failure(
                .recipeBadParameter, "'protocol' must be like B0-Inc2 or B50-Inc10, not '\(text.value)'",
                place: text.place.description)
        }
        return (first, increment)
    }

    // MARK: Adapters

    private func readAdapter(into result: inout RunConfiguration) throws {
        result.rank = try reader.integer("rank", in: 1...4_096)?.value ?? 4
        result.loraAlpha = try number("lora_alpha", reader, in: 1e-6...1e6) ?? Double(result.rank)
        let sites = try reader.texts("sites").map(\.value)
        if !sites.isEmpty { result.sites = sites }
        result.blocks = try blocks()
        result.factorMode = try reader.choice("factor_mode", of: FactorMode.self)?.value ?? .independent
        result.firstTaskOnly = try reader.bool("first_task_only")?.value ?? false
    }

    /// `all`, `4-5`, `[0, 1]`.
    private func blocks() throws -> [Int]? {
        guard let node = reader["blocks"], !node.isNull else { return nil }
        if let items = node.sequence {
            let list = try items.map { item in
                guard let value = FieldReader.integer(item), value >= 0 else {
                    throw reader.wrongType("blocks", expected: "all, a range like 4-5 or a list", found: item)
                }
                return value
            }
            // Two numbers are the first and the last block.
            return list.count == 2 && list[0] <= list[1] ? Array(list[0]...list[1]) : list
        }
        guard let text = node.scalar?.text else {
            throw reader.wrongType("blocks", expected: "all, a range like 4-5 or a list", found: node)
        }
        if text == "all" { return nil }
        let ends = text.split(separator: "-").compactMap { Int($0) }
        guard let low = ends.first, let high = ends.last, ends.count <= 2, low <= high, low >= 0 else {
            throw reader.wrongType("blocks", expected: "all, a range like 4-5 or a list", found: node)
        }
        return Array(low...high)
    }

    private func slow() throws -> RunConfiguration.Slow {
        var slow = RunConfiguration.Slow()
        guard let fields = try reader.mapping("slow") else { return slow }
        try fields.refuseUnknown(known: ["storage", "rank", "lr_multiplier"])
        slow.storage = try fields.choice("storage", of: SlowStorage.self)?.value ?? .factors
        slow.rank = try fields.integer("rank", in: 1...65_536)?.value
        slow.multiplier = try number("lr_multiplier", fields, in: 0...1_000) ?? 0.1
        return slow
    }

    private func consolidation(_ structure: Structure) throws -> RunConfiguration.Consolidating {
        let usual = structure == .singleEMA ? "ema" : "ta"
        // The adapter of single-ema is the whole, not something on top of slow.
        let whole: [String: ParameterValue] = usual == "ema" ? ["basis": .text("absolute")] : [:]
        guard let fields = try reader.mapping("consolidation") else {
            return RunConfiguration.Consolidating(rule: try ConsolidationRule(usual, whole))
        }
        var rule = try ConsolidationRule(fields, others: ["keep", "consolidate_if"], default: usual)
        if rule.id == "ema", fields["basis"] == nil, !whole.isEmpty {
            rule = try ConsolidationRule("ema", rule.values.merging(whole) { $1 })
        }
        var result = RunConfiguration.Consolidating(rule: rule)
        result.keep = try number("keep", fields, in: 0...1) ?? 0
        result.minimumGain = try number("consolidate_if", fields, in: -1...1)
        return result
    }

    private func alignment(_ structure: Structure) throws -> RunConfiguration.Alignment {
        var result = RunConfiguration.Alignment()
        result.isOn = structure == .pam
        let key = structure == .pam ? "pam" : "align"
        guard let node = reader[key], !node.isNull else { return result }
        if let word = node.scalar?.text {
            guard key == "align", word == "none" || word == "pam-lite" else {
                throw reader.wrongType(key, expected: "none, pam-lite or a mapping", found: node)
            }
            result.isOn = word == "pam-lite"
            return result
        }
        let fields = try FieldReader(node, what: key)
        try fields.refuseUnknown(
            known: ["kind", "every", "p", "criterion", "action", "suppress", "merge_weight"])
        if let kind = try fields.text("kind"), key == "align" {
            guard kind.value == "pam-lite" || kind.value == "none" else {
                throw Failure(
                    .recipeBadParameter, "'align.kind' must be none or pam-lite", place: kind.place.description)
            }
            result.isOn = kind.value == "pam-lite"
        } else {
            result.isOn = true
        }
        result.every = try fields.integer("every", in: 1...1_000_000)?.value ?? 50
        result.share = try number("p", fields, in: 0...1) ?? 0.5
        result.criterion =
            try fields.choice("criterion", of: RunConfiguration.Alignment.Criterion.self)?.value
            ?? .residual
        result.action = try fields.choice("action", of: RunConfiguration.Alignment.Action.self)?.value ?? .zero
        result.suppress = try number("suppress", fields, in: 0...1) ?? 0
        if fields["merge_weight"]?.scalar?.text == "1/(t+1)" {
            result.mergeWeight = nil
        } else {
            result.mergeWeight = try number("merge_weight", fields, in: 0...1) ?? 0.5
        }
        return result
    }

    private func experts() throws -> RunConfiguration.Experts {
        var result = RunConfiguration.Experts()
        guard let fields = try reader.mapping("experts") else { return result }
        try fields.refuseUnknown(known: ["k", "schedule", "init", "head_sharing", "loss_reduction"])
        result.count = try fields.integer("k", in: 1...1_024)?.value
        result.schedule = try schedule(fields)
        result.initialisation =
            try fields.choice("init", of: RunConfiguration.Experts.Initialisation.self)?.value ?? .distinct
        result.headSharing =
            try fields.choice("head_sharing", of: RunConfiguration.Experts.HeadSharing.self)?.value ?? .perExpert
        result.reduction =
            try fields.choice("loss_reduction", of: RunConfiguration.Experts.LossReduction.self)?.value ?? .perExpert
        return result
    }

    private func schedule(_ fields: FieldReader) throws -> ExpertSchedule {
        guard let node = fields["schedule"] else { return .halving }
        if let items = node.sequence {
            let numbers = items.compactMap(FieldReader.number)
            guard numbers.count == items.count, numbers.allSatisfy({ $0 > 0 && $0.isFinite }) else {
                throw fields.wrongType(
                    "schedule", expected: "halving, decades or a list of factors above 0", found: node)
            }
            return .explicit(numbers)
        }
        switch node.scalar?.text {
        case "halving": return .halving
        case "decades": return .decades
        default: throw fields.wrongType("schedule", expected: "halving, decades or a list of factors", found: node)
        }
    }

    private func timeScales() throws -> RunConfiguration.TimeScales {
        var result = RunConfiguration.TimeScales()
        guard let fields = try reader.mapping("time_scales") else { return result }
        try fields.refuseUnknown(known: [
            "gradient_periods", "cascade_periods", "reduce", "partial", "final_flush", "mid_rank",
            "mid_lr_multiplier", "alpha_mid", "alpha_slow",
        ])
        if let periods = try fields.mapping("gradient_periods") {
            try periods.refuseUnknown(known: ["fast", "mid", "slow"])
            result.fastPeriod = try periods.integer("fast", in: 1...1_000_000)?.value ?? 1
            result.midPeriod = try periods.integer("mid", in: 1...1_000_000)?.value ?? 8
            result.slowPeriod = try periods.integer("slow", in: 1...1_000_000)?.value ?? 64
        }
        if let periods = try fields.mapping("cascade_periods") {
            try periods.refuseUnknown(known: ["mid", "slow"])
            result.midTasks = try periods.integer("mid", in: 1...1_000_000)?.value ?? 1
            result.slowTasks = try periods.integer("slow", in: 1...1_000_000)?.value ?? 3
        }
        result.reduction = try fields.choice("reduce", of: RunConfiguration.TimeScales.Reduction.self)?.value ?? .sum
        result.partial = try fields.choice("partial", of: RunConfiguration.TimeScales.Partial.self)?.value ?? .apply
        result.finalFlush = try fields.bool("final_flush")?.value ?? true
        result.midRank = try fields.integer("mid_rank", in: 1...65_536)?.value
        result.midMultiplier = try number("mid_lr_multiplier", fields, in: 0...1_000) ?? 0.3
        result.alphaMid = try number("alpha_mid", fields, in: -100...100)
        result.alphaSlow = try number("alpha_slow", fields, in: -100...100)
        return result
    }

    // MARK: Learning

    private func optimisation() throws -> RunConfiguration.Optimisation {
        var result = RunConfiguration.Optimisation()
        guard let fields = try reader.mapping("optimizer") else { return result }
        try fields.refuseUnknown(known: [
            "kind", "lr", "head_multiplier", "weight_decay", "head_weight_decay", "schedule", "min_lr",
            "warmup_steps", "clip_norm",
        ])
        result.kind = try fields.choice("kind", of: OptimizerKind.self)?.value ?? .adamw
        result.rate = try number("lr", fields, in: 0...1_000) ?? 1e-3
        result.headMultiplier = try number("head_multiplier", fields, in: 0...1e6) ?? 5
        result.weightDecay = try number("weight_decay", fields, in: 0...100) ?? 0
        result.headWeightDecay = try number("head_weight_decay", fields, in: 0...100) ?? result.weightDecay
        result.schedule = try fields.choice("schedule", of: LearningRateSchedule.Shape.self)?.value ?? .cosine
        result.minimumRate = try number("min_lr", fields, in: 0...1_000) ?? 0
        result.warmupSteps = try fields.integer("warmup_steps", in: 0...1_000_000)?.value ?? 0
        result.clip = try number("clip_norm", fields, in: 1e-12...1e12)
        return result
    }

    private func head() throws -> RunConfiguration.Head {
        var result = RunConfiguration.Head()
        var also: [Located<String>] = []
        if let fields = try reader.mapping("head") {
            try fields.refuseUnknown(known: [
                "kind", "also", "loss", "tau", "refit_epochs", "refit", "bias", "cosine", "kappa", "weight_align",
                "features",
                "lambda", "hidden", "drift",
            ])
            result.kinds = [try fields.choice("kind", of: HeadKind.self)?.value ?? .linear]
            result.loss = try fields.choice("loss", of: HeadLossKind.self)?.value ?? .local
            result.tau = try number("tau", fields, in: 0...100) ?? 1
            result.refitEpochs = try fields.integer("refit_epochs", in: 0...10_000)?.value ?? 5
            result.refit = try fields.bool("refit")?.value
            result.cosine = try fields.bool("cosine")?.value ?? false
            result.bias = try fields.bool("bias")?.value ?? !result.cosine
            result.kappa = try number("kappa", fields, in: 1e-3...1e6) ?? 16
            result.weightAlign = try fields.bool("weight_align")?.value ?? false
            let isConcatenated = fields["features"]?.scalar?.text == "concat"
            result.features =
                isConcatenated ? .both : try fields.choice("features", of: HeadFeatures.self)?.value ?? .adapted
            result.lambda = try number("lambda", fields, in: 1e-12...1e12)
            result.hidden = try fields.integer("hidden", in: 0...65_536)?.value
            result.driftCorrection = try drift(fields)
            also = try fields.texts("also")
        }
        for item in try also + reader.texts("heads") {
            guard let kind = HeadKind(rawValue: item.value) else {
                throw Failure(
                    .recipeBadParameter,
                    "'\(item.value)' is no head: one of \(HeadKind.allCases.map(\.rawValue).joined(separator: ", "))",
                    place: item.place.description)
            }
            if !result.kinds.contains(kind) { result.kinds.append(kind) }
        }
        return result
    }

    private func drift(_ fields: FieldReader) throws -> Bool {
        guard let word = try fields.text("drift") else { return false }
        guard word.value == "none" || word.value == "ridge" else {
            throw Failure(.recipeBadParameter, "'head.drift' must be none or ridge", place: word.place.description)
        }
        return word.value == "ridge"
    }

    private func selection() throws -> RunConfiguration.Selection {
        var result = RunConfiguration.Selection()
        guard let fields = try reader.mapping("selection") else { return result }
        try fields.refuseUnknown(known: ["split", "scope", "gamma"])
        result.split = try fields.choice("split", of: RunConfiguration.Selection.Split.self)?.value ?? .val
        result.scope = try fields.choice("scope", of: RunConfiguration.Selection.Scope.self)?.value ?? .task
        result.gamma = try number("gamma", fields, in: 0...1_000) ?? 0
        return result
    }

    private func readSeeds(into result: inout RunConfiguration) throws {
        result.classOrderSeed = result.taskProtocol == nil ? nil : 0
        guard let fields = try reader.mapping("seeds") else { return }
        try fields.refuseUnknown(known: ["class_order", "train"])
        if let node = fields["class_order"] {
            result.classOrderSeed = node.isNull ? nil : try fields.unsigned("class_order")
        }
        guard let node = fields["train"] else { return }
        let items = node.sequence ?? [node]
        let seeds = items.compactMap { $0.scalar?.unsigned }
        guard seeds.count == items.count, !seeds.isEmpty, Set(seeds).count == seeds.count else {
            throw fields.wrongType("train", expected: "a whole number or a list of different ones", found: node)
        }
        result.trainSeeds = seeds
    }

    private func readRunning(into result: inout RunConfiguration) throws {
        result.invariants = try reader.choice("invariants", of: InvariantMode.self)?.value ?? .strict
        if let node = reader["share_compute"] {
            guard let word = node.scalar?.text, ["auto", "on", "off", "true", "false"].contains(word) else {
                throw reader.wrongType("share_compute", expected: "auto, on or off", found: node)
            }
            result.sharesCompute = word != "off" && word != "false"
        }
        result.prefixCacheMiB = try reader.integer("prefix_cache_mb", in: 0...1 << 20)?.value ?? 512
        result.writesPredictions = try reader.bool("predictions")?.value ?? true
        if let word = reader["ablations"]?.scalar?.text {
            guard let split = RunConfiguration.Ablations.Split(rawValue: word == "test" ? "both" : word) else {
                throw reader.wrongType(
                    "ablations", expected: "none, val or test", found: YAMLNode.text(word, at: reader.place))
            }
            result.ablations.split = split
        } else if let fields = try reader.mapping("ablations") {
            try fields.refuseUnknown(known: ["split", "ncm"])
            result.ablations.split =
                try fields.choice("split", of: RunConfiguration.Ablations.Split.self)?.value ?? .val
            result.ablations.ncm = try fields.bool("ncm")?.value ?? false
        }
        result.measuresForwardTransfer = try reader.bool("forward_transfer")?.value ?? true
        if let fields = try reader.mapping("checkpoint") {
            try fields.refuseUnknown(known: ["epochs"])
            result.checkpointsEpochs = try fields.bool("epochs")?.value ?? false
        }
    }

    // MARK: Checks

    private func check(_ result: RunConfiguration) throws {
        func bad(_ key: String, _ message: String, hint: String? = nil) -> Failure {
            Failure(
                .recipeBadParameter, message, place: (reader[key]?.place ?? reader.place).description, hint: hint)
        }
        if result.structure == .pam, let rank = result.slow.rank, rank != result.rank {
            throw bad(
                "slow", "structure pam averages the factors of slow and of its clone: 'slow.rank' is 'rank' or left out"
            )
        }
        if case .explicit(let list) = result.experts.schedule, result.structure == .parallel,
            list.count != result.experts.count ?? 3
        {
            throw bad(
                "experts",
                "'experts.schedule' lists \(list.count) learning rates for \(result.experts.count ?? 3) experts")
        }
        if result.structure.usesEvalRule, result.evaluationRule == .gate, result.gate == .router {
            throw bad(
                "gate", "the gate 'router' is trained by its own command",
                hint: "run with another eval_rule, then lorabank router train with the exported slots as experts")
        }
        if result.factorMode == .sharedA, result.structure.hasSlow, result.slow.storage != .factors {
            throw bad("slow", "with factor_mode: shared-a the slow memory is stored as factors")
        }
        if result.structure == .pam, result.slow.storage != .factors {
            throw bad("slow", "structure pam averages factors: slow.storage must be factors")
        }
        if result.head.cosine, result.head.bias {
            throw bad("head", "a cosine head has no bias")
        }
        let t = result.timeScales
        if result.structure == .chain3, t.midPeriod % t.fastPeriod != 0 || t.slowPeriod % t.midPeriod != 0 {
            throw bad("time_scales", "each gradient period must be a multiple of the faster one")
        }
    }

    private func number(_ key: String, _ fields: FieldReader, in range: ClosedRange<Double>) throws -> Double? {
        guard let node = fields[key] else { return nil }
        guard let value = FieldReader.number(node), range.contains(value) else {
            throw fields.wrongType(
                key, expected: "a number in \(range.lowerBound)...\(range.upperBound)", found: node)
        }
        return value
    }
}
