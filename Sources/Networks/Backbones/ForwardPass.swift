import Diagnostics

/// A recorded forward pass: its output, and what backward needs to make gradients of it.
///
/// The activations of the whole batch stay in memory until the pass ends. Where the loss of a sample does not depend
/// on other samples, ``Backbone/step(_:pooling:mix:coefficients:learning:into:threads:loss:)`` needs far less.
public final class ForwardPass<S: NetworkScalar>: @unchecked Sendable {
    /// Upper bound of the accumulators that gradients are summed in, whatever the number of threads.
    public static var accumulators: Int { 8 }

    /// [samples, width] or, for hidden states, [rows, width].
    public let output: [S]
    /// Rows of each sample.
    public let lengths: [Int]
    private let backbone: Backbone<S>
    private let input: NetworkInput<S>
    private let kind: PassOutput
    private let runs: [BlockRun<S>]
    private let threads: Int

    init(
        backbone: Backbone<S>, input: NetworkInput<S>, kind: PassOutput, plan: PassPlan<S>, layout: BatchLayout,
        threads: Int
    ) {
        self.backbone = backbone
        self.input = input
        self.kind = kind
        self.threads = threads
        lengths = layout.lengths
        runs = layout.blocks.enumerated().map { index, block in
            BlockRun(
                plan: plan, block: block, workspace: backbone.workspaces.take(), backbone: backbone.description,
                accumulatorIndex: index % Self.accumulators)
        }
        let runs = runs
        let rows = kind == .hiddenStates ? layout.rows : layout.lengths.count
        let width = backbone.description.width
        output = [S](unsafeUninitializedCapacity: rows * width) { buffer, count in
            if let base = buffer.baseAddress {
                let target = SharedPointer(base: base)
                Parallel.forEach(runs.count, threads: threads) { index in
                    let run = runs[index]
                    backbone.run(input, kind, run, into: backbone.outputPlace(target, kind, run))
                }
            }
            count = rows * width
        }
    }

    deinit {
        for run in runs { backbone.workspaces.give(run.workspace) }
    }

    /// Adds the gradients that follow from `gradient` = ∂L/∂output to `gradients`. May be called once.
    public func backward(_ gradient: [S], into gradients: Gradients<S>) {
        precondition(gradient.count == output.count, "\(gradient.count) gradients for \(output.count) outputs")
        let count = min(Self.accumulators, runs.count)
        gradients.prepare(count)
        let width = backbone.description.width
        let samples = kind != .hiddenStates
        gradient.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let source = SharedPointer(base: UnsafeMutablePointer(mutating: base))
            Parallel.forEach(count, threads: threads) { [self] slot in
                var index = slot
                while index < runs.count {
                    let run = runs[index]
                    run.accumulator = gradients.accumulators[slot]
                    let first = samples ? run.block.samples.lowerBound : run.block.rows.lowerBound
                    backbone.runBackward(input, kind, run, gradient: source.base + first * width)
                    index += Self.accumulators
                }
            }
        }
        gradients.reduce(count)
        gradients.coefficients = backbone.coefficientGradient(runs, samples: lengths.count)
    }
}

extension Backbone {
    /// Where a block's output begins in the batch's.
    func outputPlace(_ base: SharedPointer<S>, _ kind: PassOutput, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        let first = kind == .hiddenStates ? run.block.rows.lowerBound : run.block.samples.lowerBound
        return base.base + first * description.width
    }

    /// One block through embedding, layers and output stage.
    func run(_ input: NetworkInput<S>, _ kind: PassOutput, _ run: BlockRun<S>, into y: UnsafeMutablePointer<S>) {
        let x = layers(input, run)
        let mark = run.scratch.mark
        finish(x, kind, into: y, run)
        run.scratch.release(to: mark)
    }

    /// One block through embedding and the plan's layers.
    func layers(_ input: NetworkInput<S>, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        var x = run.tape.take(run.rows * description.width)
        embed(input, into: x, run)
        for layer in run.plan.firstLayer..<run.plan.endLayer {
            x = run.plan.checkpoints && run.records(layer) ? checkpointed(x, layer, run) : through(layer, x, run)
        }
        return x
    }

    private func through(_ layer: Int, _ x: UnsafeMutablePointer<S>, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        run.enter(layer, x)
        return parts.layers[layer].forward(x, layer: layer, run)
    }

    /// As `through`, but of what the layer keeps only its input stays: the very same pass runs again before backward,
    /// so that gradients have the same bits.
    private func checkpointed(
        _ x: UnsafeMutablePointer<S>, _ layer: Int, _ run: BlockRun<S>
    ) -> UnsafeMutablePointer<S> {
        let mark = run.tape.mark
        let y = through(layer, x, run)
        run.tape.release(to: mark)
        let output = run.tape.take(run.rows * description.width)
        // The two may overlap.
        output.update(from: y, count: run.rows * description.width)
        return output
    }

    private func embed(_ input: NetworkInput<S>, into x: UnsafeMutablePointer<S>, _ run: BlockRun<S>) {
        guard case .activations(let prefix, let samples) = input else {
            parts.embedding.forward(input, into: x, run)
            return
        }
        let width = description.width
        for (place, sample) in run.block.samples.enumerated() {
            (x + run.block.offsets[place] * width).update(
                from: prefix.rows(of: samples[sample]), count: run.block.length(place) * width)
        }
    }

    /// Backward of `run`.
    func runBackward(_ input: NetworkInput<S>, _ kind: PassOutput, _ run: BlockRun<S>, gradient: UnsafePointer<S>) {
        guard let lowest = run.plan.recordFrom else { return }
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        let g = finishBackward(gradient, kind, run)
        for layer in (lowest..<run.plan.endLayer).reversed() {
            let kept = run.tape.mark
            if run.plan.checkpoints { _ = through(layer, run.kept(layer, BlockRun<S>.inputKey), run) }
            defer { if run.plan.checkpoints { run.tape.release(to: kept) } }
            parts.layers[layer].backward(g, layer: layer, run)
            if run.plan.router != nil { run.leaveLayer(layer, gradient: g) }
        }
        if let target = run.parameterGradient, run.plan.firstLayer == 0 {
            parts.embedding.backward(input, gradient: g, run, into: target)
        }
    }

    /// Gradient of given coefficients in their own shape, blocks in order.
    func coefficientGradient(_ runs: [BlockRun<S>], samples: Int) -> [S] {
        guard let plan = runs.first?.plan, plan.learnsCoefficients, let slots = plan.mix?.slots.count else { return [] }
        var result: [S]
        switch plan.coefficients {
        case .routed: return []
        case .constant: result = Array(repeating: 0, count: slots)
        case .perSample: result = Array(repeating: 0, count: samples * slots)
        case .perRow(let table): result = Array(repeating: 0, count: table.count)
        }
        for run in runs {
            guard let gradient = run.coefficientGradient else { continue }
            for sample in 0..<run.samples {
                for row in run.block.offsets[sample]..<run.block.offsets[sample + 1] {
                    let first: Int
                    switch plan.coefficients {
                    case .perSample: first = (run.block.samples.lowerBound + sample) * slots
                    case .perRow: first = (run.block.rows.lowerBound + row) * slots
                    default: first = 0
                    }
                    for slot in 0..<slots { result[first + slot] += gradient[row * slots + slot] }
                }
            }
        }
        return result
    }
}
