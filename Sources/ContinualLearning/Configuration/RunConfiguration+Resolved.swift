import Evaluation
import Merging
import WeightFiles

extension RunConfiguration {
    /// Every setting with its default filled in, in the grammar of the configuration file: reading it back gives the
    /// same run. Paths are absolute.
    ///
    /// - Parameters:
    ///   - backbone: folder of the backbone.
    ///   - data: folder of the data.
    public func resolved(backbone: String, data: String) throws -> JSONValue {
        var members: [JSONValue.Member] = [.init("name", .string(name.isEmpty ? structure.rawValue : name))]
        members += suiteMembers(backbone: backbone, data: data)
        if let taskProtocol {
            members.append(.init("protocol", .string("B\(taskProtocol.first)-Inc\(taskProtocol.increment)")))
        }
        members += [
            .init("structure", .string(structure.rawValue)), .init("rank", .integer(rank)),
            .init("lora_alpha", .double(loraAlpha)), .init("sites", .array(sites.map(JSONValue.string))),
            .init("blocks", blocks.map { .array($0.map(JSONValue.integer)) } ?? .string("all")),
            .init("factor_mode", .string(factorMode.rawValue)), .init("first_task_only", .bool(firstTaskOnly)),
            .init("slow", slowMembers), .init("consolidation", try consolidationMembers()),
            .init(structure == .pam ? "pam" : "align", alignmentMembers), .init("experts", expertMembers),
            .init("eval_rule", .string(evaluationRule.rawValue)), .init("gate", .string(gate.rawValue)),
            .init("time_scales", timeScaleMembers), .init("optimizer", optimisationMembers),
            .init("epochs", .integer(epochs)), .init("batch", .integer(batch)), .init("head", headMembers),
            .init("heads", .array(head.kinds.map { .string($0.rawValue) })),
            .init("val_fraction", .double(valFraction)), .init("val_min", .integer(valMinimum)),
            .init(
                "selection",
                .object([
                    .init("split", .string(selection.split.rawValue)),
                    .init("scope", .string(selection.scope.rawValue)), .init("gamma", .double(selection.gamma)),
                ])),
            .init(
                "seeds",
                .object([
                    .init("class_order", classOrderSeed.map { .number(String($0)) } ?? .null),
                    .init("train", .array(trainSeeds.map { .number(String($0)) })),
                ])), .init("invariants", .string(invariants.rawValue)),
            .init("share_compute", .string(sharesCompute ? "auto" : "off")),
            .init("prefix_cache_mb", .integer(prefixCacheMiB)),
            .init(
                "ablations",
                .object([
                    .init("split", .string(ablations.split.rawValue)), .init("ncm", .bool(ablations.ncm)),
                ])), .init("forward_transfer", .bool(measuresForwardTransfer)),
            .init("predictions", .bool(writesPredictions)),
            .init("checkpoint", .object([.init("epochs", .bool(checkpointsEpochs))])),
        ]
        // Only where it is wanted, so that runs without it keep their identity.
        if usesGradientCheckpointing { members.append(.init("gradient_checkpointing", .bool(true))) }
        return .object(members)
    }

    private func suiteMembers(backbone: String, data folder: String) -> [JSONValue.Member] {
        var dataMembers: [JSONValue.Member] = [.init("path", .string(folder))]
        if let count = data.trainPerClass { dataMembers.append(.init("train_per_class", .integer(count))) }
        if let count = data.testPerClass { dataMembers.append(.init("test_per_class", .integer(count))) }
        var inputMembers: [JSONValue.Member] = []
        let input = suite.input
        if let tokens = input.maxTokens { inputMembers.append(.init("max_tokens", .integer(tokens))) }
        inputMembers.append(.init("mean", .array(input.mean.map { .double(Double($0)) })))
        inputMembers.append(.init("std", .array(input.std.map { .double(Double($0)) })))
        if let scale = input.scale { inputMembers.append(.init("scale", .double(Double(scale)))) }
        inputMembers.append(.init("resize", .bool(input.resize)))
        var members: [JSONValue.Member] = [
            .init("backbone", .string(backbone)), .init("data", .object(dataMembers)),
            .init("input", .object(inputMembers)), .init("feature", .string(suite.feature.rawValue)),
            .init("normalize", .string(suite.normalisation.rawValue)),
        ]
        switch suite.tasks {
        case .ofData: break
        case .column(let column): members.append(.init("tasks", .string(column)))
        case .groups(let groups):
            let lists = groups.map { group -> JSONValue in
                let classes = JSONValue.array(group.classes.map { .string($0.value) })
                guard let name = group.name else { return classes }
                return .object([.init("name", .string(name)), .init("classes", classes)])
            }
            members.append(.init("tasks", .array(lists)))
        }
        return members
    }

    private var slowMembers: JSONValue {
        .object([
            .init("storage", .string(slow.storage.rawValue)), .init("rank", .integer(slowRank)),
            .init("lr_multiplier", .double(slow.multiplier)),
        ])
    }

    private func consolidationMembers() throws -> JSONValue {
        var members: [JSONValue.Member] = [.init("rule", .string(consolidation.rule.id))]
        for (name, value) in try consolidation.rule.resolved() {
            switch value {
            case .number(let number): members.append(.init(name, .double(number)))
            case .bool(let flag): members.append(.init(name, .bool(flag)))
            case .text(let text): members.append(.init(name, .string(text)))
            case .choice, .list: break
            }
        }
        members.append(.init("keep", .double(consolidation.keep)))
        if let gain = consolidation.minimumGain { members.append(.init("consolidate_if", .double(gain))) }
        return .object(members)
    }

    private var alignmentMembers: JSONValue {
        guard alignment.isOn else { return .string("none") }
        var members: [JSONValue.Member] = []
        if structure != .pam { members.append(.init("kind", .string("pam-lite"))) }
        members += [
            .init("every", .integer(alignment.every)), .init("p", .double(alignment.share)),
            .init("criterion", .string(alignment.criterion.rawValue)),
            .init("action", .string(alignment.action.rawValue)), .init("suppress", .double(alignment.suppress)),
            .init("merge_weight", alignment.mergeWeight.map(JSONValue.double) ?? .string("1/(t+1)")),
        ]
        return .object(members)
    }

    private var expertMembers: JSONValue {
        var members: [JSONValue.Member] = []
        if let count = experts.count { members.append(.init("k", .integer(count))) }
        switch experts.schedule {
        case .halving: members.append(.init("schedule", .string("halving")))
        case .decades: members.append(.init("schedule", .string("decades")))
        case .explicit(let list): members.append(.init("schedule", .array(list.map(JSONValue.double))))
        }
        members += [
            .init("init", .string(experts.initialisation.rawValue)),
            .init("head_sharing", .string(experts.headSharing.rawValue)),
            .init("loss_reduction", .string(experts.reduction.rawValue)),
        ]
        return .object(members)
    }

    private var timeScaleMembers: JSONValue {
        let t = timeScales
        var members: [JSONValue.Member] = [
            .init(
                "gradient_periods",
                .object([
                    .init("fast", .integer(t.fastPeriod)), .init("mid", .integer(t.midPeriod)),
                    .init("slow", .integer(t.slowPeriod)),
                ])),
            .init(
                "cascade_periods",
                .object([.init("mid", .integer(t.midTasks)), .init("slow", .integer(t.slowTasks))])),
            .init("reduce", .string(t.reduction.rawValue)), .init("partial", .string(t.partial.rawValue)),
            .init("final_flush", .bool(t.finalFlush)), .init("mid_rank", .integer(t.midRank ?? 2 * rank)),
            .init("mid_lr_multiplier", .double(t.midMultiplier)),
        ]
        if let alpha = t.alphaMid { members.append(.init("alpha_mid", .double(alpha))) }
        if let alpha = t.alphaSlow { members.append(.init("alpha_slow", .double(alpha))) }
        return .object(members)
    }

    private var optimisationMembers: JSONValue {
        let o = optimisation
        var members: [JSONValue.Member] = [
            .init("kind", .string(o.kind.rawValue)), .init("lr", .double(o.rate)),
            .init("head_multiplier", .double(o.headMultiplier)), .init("weight_decay", .double(o.weightDecay)),
            .init("head_weight_decay", .double(o.headWeightDecay)), .init("schedule", .string(o.schedule.rawValue)),
            .init("min_lr", .double(o.minimumRate)), .init("warmup_steps", .integer(o.warmupSteps)),
        ]
        if let clip = o.clip { members.append(.init("clip_norm", .double(clip))) }
        return .object(members)
    }

    private var headMembers: JSONValue {
        var members: [JSONValue.Member] = [
            .init("kind", .string((head.kinds.first ?? .linear).rawValue)),
            .init("loss", .string(head.loss.rawValue)), .init("tau", .double(head.tau)),
            .init("refit_epochs", .integer(head.refitEpochs)), .init("bias", .bool(head.bias)),
            .init("cosine", .bool(head.cosine)), .init("kappa", .double(head.kappa)),
            .init("weight_align", .bool(head.weightAlign)), .init("features", .string(head.features.rawValue)),
            .init("drift", .string(head.driftCorrection ? "ridge" : "none")),
        ]
        if let refit = head.refit { members.append(.init("refit", .bool(refit))) }
        if let lambda = head.lambda { members.append(.init("lambda", .double(lambda))) }
        if let hidden = head.hidden { members.append(.init("hidden", .integer(hidden))) }
        return .object(members)
    }
}
