import WeightFiles

/// A setup as JSON with the keys of the YAML configuration, so that one reader reads both.
enum SetupDocument {
    static func json(_ setup: RouterSetup) -> JSONValue {
        .object([
            .init("router", .object(router(setup.router))), .init("routing", .object(routing(setup.routing))),
            .init("loss", .object(loss(setup.loss))), .init("train", .object(train(setup.training))),
            .init("seed", .number(String(setup.training.seed))),
        ])
    }

    private static func router(_ o: RouterOptions) -> [JSONValue.Member] {
        var result: [JSONValue.Member] = [
            .init("kind", .string(o.kind.rawValue)), .init("scope", .string(o.scope.rawValue)),
            .init("granularity", .string(o.granularity.rawValue)), .init("bias", .bool(o.bias)),
            .init("temperature", .double(o.temperature)), .init("init", .string(o.initialisation.rawValue)),
            .init("gain", .double(o.gain)), .init("headSamples", .double(o.headSamples)),
            .init("hidden", .integer(o.hidden)),
            .init("nullExpert", .bool(o.nullExpert)), .init("coverage", .string(o.coverage.rawValue)),
            .init("detachInput", .bool(o.detachInput)),
        ]
        if let norm = o.norm { result.append(.init("norm", .string(norm.rawValue))) }
        if let layer = o.layer { result.append(.init("layer", .integer(layer))) }
        return result
    }

    private static func routing(_ o: RoutingOptions) -> [JSONValue.Member] {
        var result: [JSONValue.Member] = [
            .init("mode", .string(o.mode.rawValue)), .init("threshold", .double(o.threshold)),
            .init("scale", .string(o.scale.rawValue)),
        ]
        if let k = o.k { result.append(.init("k", .integer(k))) }
        if let topP = o.topP { result.append(.init("topP", .double(topP))) }
        if !o.fixed.isEmpty { result.append(.init("weights", .array(o.fixed.map(JSONValue.double)))) }
        return result
    }

    private static func loss(_ o: LossOptions) -> [JSONValue.Member] {
        var result: [JSONValue.Member] = [
            .init("preset", .string(o.preset.rawValue)), .init("alpha", .double(o.alpha)),
            .init("lambda", .double(o.lambda)), .init("beta", .double(o.beta)), .init("task", .double(o.task)),
            .init("delta", .double(o.delta)),
        ]
        if let balance = o.balance {
            result.append(
                .init(
                    "balance",
                    .object([
                        .init("load", .string(balance.load.rawValue)), .init("pool", .string(balance.pool.rawValue)),
                        .init("factor", .string(balance.factor == .one ? "1" : "E")),
                    ])))
        }
        if let sign = o.sign { result.append(.init("entropy", .object([.init("sign", .string(sign.rawValue))]))) }
        for (name, value) in o.extra.sorted(by: { $0.key < $1.key }) { result.append(.init(name, .double(value))) }
        return result
    }

    private static func train(_ o: RouterTrainingOptions) -> [JSONValue.Member] {
        var result: [JSONValue.Member] = [
            .init("regime", .string(o.regime.rawValue)), .init("mode", .string(o.mode.rawValue)),
            .init("batch", .integer(o.batch)), .init("lr", .double(o.learningRate)),
            .init("weightDecay", .double(o.weightDecay)), .init("warmup", .double(o.warmup)),
            .init("clip", .double(o.clip)), .init("validation", .double(o.validation)),
            .init("folds", .integer(o.folds)), .init("refit", .bool(o.refit)),
            .init("expertLr", .double(o.expertRate)), .init("expertWeightDecay", .double(o.expertDecay)),
            .init("stage2", .string(o.stageTwo.rawValue)), .init("stage3", .double(o.stageThree)),
        ]
        if let steps = o.steps { result.append(.init("steps", .integer(steps))) }
        if let epochs = o.epochs { result.append(.init("epochs", .integer(epochs))) }
        if let every = o.evaluateEvery { result.append(.init("evalEvery", .integer(every))) }
        if let steps = o.expertSteps { result.append(.init("expertSteps", .integer(steps))) }
        return result
    }
}
