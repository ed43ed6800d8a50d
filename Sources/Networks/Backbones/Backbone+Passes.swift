import Diagnostics

extension Backbone {
    /// Features of each sample, [samples, width] row-major.
    ///
    /// - Parameters:
    ///   - coefficients: default: every slot of the mix with weight 1.
    ///   - threads: default: as many as the machine has. The result does not depend on it.
    /// - Throws: `backbone.bad_input`, `config.feature_unsupported` when the backbone has no such pooling.
    public func features(
        _ input: NetworkInput<S>, pooling: Pooling, mix: AdapterMix<S>? = nil, coefficients: Coefficients<S>? = nil,
        threads: Int? = nil
    ) throws -> [S] {
        try infer(input, .features(pooling), mix, coefficients, threads)
    }

    /// Every row of every sample behind the final norm, [rows, width], samples one after another.
    public func hiddenStates(
        _ input: NetworkInput<S>, mix: AdapterMix<S>? = nil, coefficients: Coefficients<S>? = nil, threads: Int? = nil
    ) throws -> [S] {
        try infer(input, .hiddenStates, mix, coefficients, threads)
    }

    /// Rows per sample of an input.
    public func lengths(of input: NetworkInput<S>) throws -> [Int] {
        guard case .activations(let prefix, let samples) = input else { return try parts.embedding.lengths(of: input) }
        guard prefix.width == description.width, prefix.layer <= description.depth,
            samples.allSatisfy({ prefix.lengths.indices.contains($0) })
        else { throw Failure(.backboneBadInput, "the kept activations belong to another backbone or batch") }
        return samples.map { prefix.lengths[$0] }
    }

    private func infer(
        _ input: NetworkInput<S>, _ kind: PassOutput, _ mix: AdapterMix<S>?, _ coefficients: Coefficients<S>?,
        _ threads: Int?
    ) throws -> [S] {
        let (plan, layout) = try makePlan(input, kind, mix, coefficients, learning: [])
        let rows = kind == .hiddenStates ? layout.rows : layout.lengths.count
        let width = description.width
        return [S](unsafeUninitializedCapacity: rows * width) { buffer, count in
            if let base = buffer.baseAddress {
                let target = SharedPointer(base: base)
                forEachBlock(layout, plan, threads) { run in
                    self.run(input, kind, run, into: outputPlace(target, kind, run))
                }
            }
            count = rows * width
        }
    }

    /// Runs `body` for every block with a workspace of its own, several at a time.
    func forEachBlock(
        _ layout: BatchLayout, _ plan: PassPlan<S>, _ threads: Int?, _ body: @Sendable (BlockRun<S>) -> Void
    ) {
        Parallel.forEach(layout.blocks.count, threads: threads ?? Parallel.defaultThreads) { index in
            let workspace = workspaces.take()
            let run = BlockRun(
                plan: plan, block: layout.blocks[index], workspace: workspace, backbone: description,
                accumulatorIndex: index % ForwardPass<S>.accumulators)
            body(run)
            workspaces.give(workspace)
        }
    }

    /// The rows in front of layer `end`, for continuing from there any number of times.
    ///
    /// Exact: continuing gives the same bits as running all layers.
    public func prefix(of input: NetworkInput<S>, through end: Int, threads: Int? = nil) throws -> PrefixActivations<S>
    {
        var (plan, layout) = try makePlan(input, .hiddenStates, nil, nil, learning: [])
        guard (plan.firstLayer...description.depth).contains(end) else {
            throw Failure(.backboneBadInput, "layer \(end) is outside \(plan.firstLayer)…\(description.depth)")
        }
        plan.endLayer = end
        let result = PrefixActivations<S>(layer: end, lengths: layout.lengths, width: description.width)
        forEachBlock(layout, plan, threads) { run in
            let x = layers(input, run)
            result.rows(of: run.block.samples.lowerBound).update(from: x, count: run.rows * description.width)
        }
        return result
    }

    /// A recorded pass for losses that look at the whole batch; see ``ForwardPass``.
    public func forward(
        _ input: NetworkInput<S>, output: PassOutput, mix: AdapterMix<S>? = nil, coefficients: Coefficients<S>? = nil,
        learning: Learning = .adapters, threads: Int? = nil
    ) throws -> ForwardPass<S> {
        let (plan, layout) = try makePlan(input, output, mix, coefficients, learning: learning)
        return ForwardPass(
            backbone: self, input: input, kind: output, plan: plan, layout: layout,
            threads: threads ?? Parallel.defaultThreads)
    }

    /// Forward, loss and backward block by block: activations live only as long as their block.
    ///
    /// - Parameters:
    ///   - gradients: receives (added to what is there) all gradients.
    ///   - loss: called once per block, from several threads, with the block's samples, their features
    ///     [samples, width] and room of that shape, all zeros, for ∂L/∂features; `accumulator` <
    ///     ``ForwardPass/accumulators`` tells where sums over samples belong, each being used by one thread at a time
    ///     in batch order.
    public func step(
        _ input: NetworkInput<S>, pooling: Pooling, mix: AdapterMix<S>? = nil, coefficients: Coefficients<S>? = nil,
        learning: Learning = .adapters, into gradients: Gradients<S>, threads: Int? = nil,
        loss:
            @Sendable (
                _ samples: Range<Int>, _ features: UnsafePointer<S>, _ gradient: UnsafeMutablePointer<S>,
                _ accumulator: Int
            ) -> Void
    ) throws {
        let kind = PassOutput.features(pooling)
        let (plan, layout) = try makePlan(input, kind, mix, coefficients, learning: learning)
        step(input, kind, plan, layout, into: gradients, threads: threads) { run, features, gradient in
            loss(run.block.samples, features, gradient, run.accumulatorIndex)
        }
    }

    /// As the public `step`, for any output.
    func step(
        _ input: NetworkInput<S>, _ kind: PassOutput, _ plan: PassPlan<S>, _ layout: BatchLayout,
        into gradients: Gradients<S>, threads: Int?,
        loss: @Sendable (BlockRun<S>, _ output: UnsafePointer<S>, _ gradient: UnsafeMutablePointer<S>) -> Void
    ) {
        let count = min(ForwardPass<S>.accumulators, layout.blocks.count)
        gradients.prepare(count)
        let width = description.width
        Parallel.forEach(count, threads: threads ?? Parallel.defaultThreads) { slot in
            let workspace = workspaces.take()
            var index = slot
            while index < layout.blocks.count {
                workspace.releaseAll()
                let run = BlockRun(
                    plan: plan, block: layout.blocks[index], workspace: workspace, backbone: description,
                    accumulatorIndex: slot)
                run.accumulator = gradients.accumulators[slot]
                let rows = outputRows(kind, run)
                let output = run.tape.take(rows * width)
                let gradient = run.tape.takeZeros(rows * width)
                self.run(input, kind, run, into: output)
                loss(run, output, gradient)
                runBackward(input, kind, run, gradient: gradient)
                index += ForwardPass<S>.accumulators
            }
            workspaces.give(workspace)
        }
        gradients.reduce(count)
    }

    /// Checks a request and finds out how far down gradients must flow.
    func makePlan(
        _ input: NetworkInput<S>, _ output: PassOutput, _ mix: AdapterMix<S>?, _ coefficients: Coefficients<S>?,
        learning: Learning
    ) throws -> (PassPlan<S>, BatchLayout) {
        if case .features(let pooling) = output, !description.poolings.contains(pooling) {
            throw Failure(
                .configFeatureUnsupported, "this backbone has no feature '\(pooling.rawValue)'", place: "feature",
                hint: "it has: " + description.poolings.map(\.rawValue).joined(separator: ", "))
        }
        if learning.contains(.parameters), !parts.learnsParameters {
            throw Failure(
                .configFeatureUnsupported,
                "training all weights of a \(description.modelType) backbone is not implemented",
                hint: "train adapters, or pre-train a vit or bert backbone")
        }
        let layout = BatchLayout(lengths: try lengths(of: input), target: parts.targetRows)
        var plan = PassPlan<S>()
        plan.mix = mix
        plan.coefficients = coefficients ?? .ones(mix?.slots.count ?? 0)
        plan.endLayer = description.depth
        if case .activations(let prefix, _) = input { plan.firstLayer = prefix.layer }
        if let mix { try check(plan.coefficients, mix, layout) }
        try plan.setLearning(learning)
        plan.checkpoints = usesGradientCheckpointing
        guard plan.recordFrom == nil || precision == .float32 else {
            throw Failure(
                .configFeatureUnsupported, "gradients need float32: a backbone in bf16 cannot learn",
                hint: "load it with precision float32")
        }
        if let lowest = plan.recordFrom {
            guard lowest >= plan.firstLayer else {
                throw Failure(
                    .backboneBadInput,
                    "the pass continues from layer \(plan.firstLayer), but layer \(lowest) is to learn")
            }
            prepareBackward(from: lowest)
        }
        return (plan, layout)
    }

    private func check(_ coefficients: Coefficients<S>, _ mix: AdapterMix<S>, _ layout: BatchLayout) throws {
        let slots = mix.slots.count
        let (found, expected): (Int, Int)
        switch coefficients {
        case .routed: return
        case .constant(let values): (found, expected) = (values.count, slots)
        case .perSample(let table): (found, expected) = (table.count, slots * layout.lengths.count)
        case .perRow(let table): (found, expected) = (table.count, slots * layout.rows)
        }
        guard found == expected else {
            throw Failure(.backboneBadInput, "\(found) coefficients, expected \(expected)")
        }
        guard !mix.perSite else {
            throw Failure(.backboneBadInput, "coefficients per site come from a router")
        }
    }
}

extension PassPlan {
    fileprivate mutating func setLearning(_ learning: Learning) throws {
        if learning.contains(.parameters) {
            learnsParameters = true
            recordFrom = 0
        }
        guard let mix else { return }
        let learnsRouter = router != nil && learning.contains(.coefficients)
        learnsCoefficients = learning.contains(.coefficients) && router == nil
        guard learning.contains(.adapters) || learnsRouter || learnsCoefficients,
            let lowest = mix.lowestLearning(coefficients: learnsRouter || learnsCoefficients)
        else { return }
        if recordFrom == nil {
            recordFrom = lowest.layer
            lowestGroup = lowest.group
        }
    }
}
