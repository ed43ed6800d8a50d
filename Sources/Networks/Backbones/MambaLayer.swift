import Foundation

private enum Key {
    static let input = 0, statistics = 1, normed = 2, xz = 3, convolved = 4, s = 5, raw = 6, partStatistics = 7
    static let parts = 8, delta = 9, slope = 10, step = 11, scanned = 12, checkpoints = 13, gated = 14
}

/// X′ = X + Mixer(RMS(X)): [x ; z] = in(u); s = SiLU(conv(x)); [δ ; B ; C] = x(s); Δ = softplus(dt(δ));
/// y = scan(Δ, s, B, C); out(y ⊙ SiLU(z)).
final class MambaLayer<S: NetworkScalar>: NetworkLayer, @unchecked Sendable {
    private let parameters: ParameterStore<S>
    private let shape: Mamba.Shape
    private let block: Mamba.Block
    private let norm: Normalisation<S>
    private let inProjection: Linear<S>
    private let xProjection: Linear<S>
    private let dtProjection: Linear<S>
    private let outProjection: Linear<S>
    /// A = −exp(A_log) as [states, inner] and the convolution's taps as [taps, inner].
    private let derived: UnsafeMutablePointer<S>
    var linears: [Linear<S>] { [inProjection, xProjection, dtProjection, outProjection] }

    init(_ parameters: ParameterStore<S>, shape: Mamba.Shape, block: Mamba.Block, norm: Normalisation<S>) {
        self.parameters = parameters
        self.shape = shape
        self.block = block
        self.norm = norm
        inProjection = Linear(
            parameters, outputs: 2 * shape.inner, inputs: shape.width, weight: block.in.weight, bias: block.in.bias)
        xProjection = Linear(
            parameters, outputs: shape.steps + 2 * shape.states, inputs: shape.inner, weight: block.x, bias: nil)
        dtProjection = Linear(
            parameters, outputs: shape.inner, inputs: shape.steps, weight: block.dt.weight, bias: block.dt.bias)
        outProjection = Linear(
            parameters, outputs: shape.width, inputs: shape.inner, weight: block.out.weight, bias: block.out.bias)
        derived = .allocate(capacity: (shape.states + shape.taps) * shape.inner)
        derived.initialize(repeating: 0, count: (shape.states + shape.taps) * shape.inner)
    }

    deinit { derived.deallocate() }

    func refresh() {
        for linear in linears { linear.refresh() }
        let logs = parameters.pointer(block.aLog)
        let weights = parameters.pointer(block.convolution.weight)
        for channel in 0..<shape.inner {
            for n in 0..<shape.states {
                derived[n * shape.inner + channel] = S(-exp(Double(logs[channel * shape.states + n])))
            }
            for j in 0..<shape.taps { taps[j * shape.inner + channel] = weights[channel * shape.taps + j] }
        }
    }

    private var taps: UnsafeMutablePointer<S> { derived + shape.states * shape.inner }
    private var partWidth: Int { shape.steps + 2 * shape.states }
    private var scan: SelectiveScan<S> {
        SelectiveScan(
            width: shape.inner, states: shape.states, a: UnsafePointer(derived),
            d: UnsafePointer(parameters.pointer(block.d)))
    }
    /// Columns of δ, B and C in the rows of `parts`.
    private var partColumns: [(first: Int, count: Int)] {
        [(0, shape.steps), (shape.steps, shape.states), (shape.steps + shape.states, shape.states)]
    }

    private func inputs(_ delta: UnsafePointer<S>, _ s: UnsafePointer<S>, _ parts: UnsafePointer<S>, row: Int)
        -> SelectiveScan<S>.Inputs
    {
        let first = parts + row * partWidth
        return SelectiveScan<S>.Inputs(
            delta: delta + row * shape.inner, s: s + row * shape.inner, b: first + shape.steps,
            c: first + shape.steps + shape.states, ld: partWidth)
    }

    func forward(_ x: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        let rows = run.rows
        let inner = shape.inner
        let recorded = run.records(layer)
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        run.note(x, layer, Key.input)

        let normed = run.keep(rows * shape.width, layer, Key.normed, if: run.needsInput(layer, 0))
        norm.forward(
            parameters, rows: rows, x, into: normed,
            statistics: recorded ? run.keep(rows * 2, layer, Key.statistics) : nil)
        let xz = run.keep(rows * 2 * inner, layer, Key.xz)
        run.linear(layer, 0, inProjection, normed, into: xz)
        let convolved = run.keep(rows * inner, layer, Key.convolved)
        convolve(xz, into: convolved, layer, run)
        // Where backward runs, pre-activations make room for the derivatives (here and at Δ).
        let s = run.keep(rows * inner, layer, Key.s)
        Activation.silu.forward(rows * inner, convolved, into: s, derivative: recorded ? convolved : nil)

        let parts = project(s, layer, run)
        let step = run.keep(rows * shape.steps, layer, Key.step, if: run.needsInput(layer, 2))
        copyColumns(rows: rows, width: shape.steps, from: parts, ldx: partWidth, to: step, ldy: shape.steps)
        let slope = run.keep(rows * inner, layer, Key.slope)
        run.linear(layer, 2, dtProjection, step, into: slope)
        let delta = run.keep(rows * inner, layer, Key.delta)
        softplusForward(rows * inner, slope, into: delta, derivative: recorded ? slope : nil)

        let scanned = run.keep(rows * inner, layer, Key.scanned)
        runScan(delta, s, parts, into: scanned, layer, run)
        let gated = run.keep(rows * inner, layer, Key.gated, if: run.needsInput(layer, 3))
        siluGateForward(rows: rows, width: inner, scanned, z: xz + inner, ldz: 2 * inner, into: gated)
        let output = recorded ? run.tape.take(rows * shape.width) : x
        addRow(rows: rows, width: shape.width, x: x, nil, into: output)
        run.linear(layer, 3, outProjection, gated, into: output, accumulate: true)
        return output
    }

    /// [δ ; B ; C] of all rows, normalised where the model does so.
    private func project(_ s: UnsafePointer<S>, _ layer: Int, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        let parts = run.keep(run.rows * partWidth, layer, Key.parts)
        guard let epsilon = shape.mixerEpsilon else {
            run.linear(layer, 1, xProjection, s, into: parts)
            return parts
        }
        let raw = run.keep(run.rows * partWidth, layer, Key.raw)
        run.linear(layer, 1, xProjection, s, into: raw)
        let statistics = run.keep(3 * run.rows * 2, layer, Key.partStatistics)
        for (index, part) in partColumns.enumerated() {
            normaliseRows(
                centred: false, rows: run.rows, width: part.count, epsilon: S(epsilon), raw + part.first,
                ldx: partWidth, weight: nil, bias: nil, into: parts + part.first, ldy: partWidth,
                statistics: statistics + index * run.rows * 2)
        }
        return parts
    }

    private func convolve(_ xz: UnsafePointer<S>, into c: UnsafeMutablePointer<S>, _ layer: Int, _ run: BlockRun<S>) {
        let inner = shape.inner
        let bias = block.convolution.bias.map { UnsafePointer(parameters.pointer($0)) }
        guard let decoder = run.decoder else {
            for sample in 0..<run.samples {
                let first = run.block.offsets[sample]
                causalConvolutionForward(
                    length: run.block.length(sample), width: inner, taps: taps, tapCount: shape.taps, bias: bias,
                    xz + first * 2 * inner, ldx: 2 * inner, into: c + first * inner)
            }
            return
        }
        // The last rows of what went before stand in front of the new ones.
        let before = shape.taps - 1
        let state = decoder.buffers(layer, rows: 0, before * inner, shape.states * inner).first
        let extended = run.scratch.take((before + run.rows) * inner)
        extended.update(from: state, count: before * inner)
        copyColumns(
            rows: run.rows, width: inner, from: xz, ldx: 2 * inner, to: extended + before * inner, ldy: inner)
        let result = run.scratch.take((before + run.rows) * inner)
        causalConvolutionForward(
            length: before + run.rows, width: inner, taps: taps, tapCount: shape.taps, bias: bias, extended,
            ldx: inner, into: result)
        c.update(from: result + before * inner, count: run.rows * inner)
        state.update(from: extended + run.rows * inner, count: before * inner)
    }

    private func runScan(
        _ delta: UnsafePointer<S>, _ s: UnsafePointer<S>, _ parts: UnsafePointer<S>, into y: UnsafeMutablePointer<S>,
        _ layer: Int, _ run: BlockRun<S>
    ) {
        let total = (0..<run.samples).reduce(0) { $0 + scan.checkpointCount(length: run.block.length($1)) }
        var checkpoints = run.records(layer) ? run.keep(total, layer, Key.checkpoints) : nil
        let state = run.decoder?.buffers(
            layer, rows: 0, (shape.taps - 1) * shape.inner, shape.states * shape.inner
        ).second
        for sample in 0..<run.samples {
            let length = run.block.length(sample)
            let first = run.block.offsets[sample]
            scan.forward(
                length: length, inputs(delta, s, parts, row: first), into: y + first * shape.inner,
                checkpoints: checkpoints, state: state, scratch: run.scratch)
            checkpoints = checkpoints.map { $0 + scan.checkpointCount(length: length) }
        }
    }

    func backward(_ gradient: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) {
        let rows = run.rows
        let inner = shape.inner
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }

        let dScanned = run.flows(below: layer, group: 3) ? run.scratch.take(rows * inner) : nil
        run.linearBackward(layer, 3, outProjection, dy: gradient, dx: dScanned)
        guard let dScanned else { return }
        let xz = run.kept(layer, Key.xz)
        let dxz = run.scratch.take(rows * 2 * inner)
        siluGateBackward(
            rows: rows, width: inner, dScanned, run.kept(layer, Key.scanned), z: xz + inner, ldz: 2 * inner,
            dz: dxz + inner)
        let dDelta = run.scratch.take(rows * inner)
        let ds = run.scratch.take(rows * inner)
        let dParts = run.scratch.take(rows * partWidth)
        scanBackward(dScanned, dDelta: dDelta, ds: ds, dParts: dParts, layer, run)

        multiplyInto(rows * inner, run.kept(layer, Key.slope), dDelta)
        let dStep = run.flows(below: layer, group: 2) ? run.scratch.take(rows * shape.steps) : nil
        run.linearBackward(layer, 2, dtProjection, dy: dDelta, dx: dStep)
        guard let dStep else { return }
        copyColumns(rows: rows, width: shape.steps, from: dStep, ldx: shape.steps, to: dParts, ldy: partWidth)
        normalisePartsBackward(dParts, layer, run)
        let dInner = run.flows(below: layer, group: 1) ? run.scratch.take(rows * inner) : nil
        run.linearBackward(layer, 1, xProjection, dy: dParts, dx: dInner)
        guard let dInner else { return }
        addInto(rows * inner, dInner, ds)
        multiplyInto(rows * inner, run.kept(layer, Key.convolved), ds)
        for sample in 0..<run.samples {
            let first = run.block.offsets[sample]
            causalConvolutionBackward(
                length: run.block.length(sample), width: inner, taps: taps, tapCount: shape.taps,
                dc: ds + first * inner, dx: dxz + first * 2 * inner, lddx: 2 * inner)
        }
        let dNormed = run.flows(below: layer, group: 0) ? run.scratch.take(rows * shape.width) : nil
        run.linearBackward(layer, 0, inProjection, dy: dxz, dx: dNormed)
        guard let dNormed else { return }
        norm.backward(
            parameters, rows: rows, dy: dNormed, run.kept(layer, Key.input),
            statistics: run.kept(layer, Key.statistics), dx: gradient, accumulate: true, gradient: nil)
    }

    private func scanBackward(
        _ dy: UnsafePointer<S>, dDelta: UnsafeMutablePointer<S>, ds: UnsafeMutablePointer<S>,
        dParts: UnsafeMutablePointer<S>, _ layer: Int, _ run: BlockRun<S>
    ) {
        var checkpoints = UnsafePointer(run.kept(layer, Key.checkpoints))
        for sample in 0..<run.samples {
            let length = run.block.length(sample)
            let first = run.block.offsets[sample]
            let target = dParts + first * partWidth
            scan.backward(
                length: length,
                inputs(run.kept(layer, Key.delta), run.kept(layer, Key.s), run.kept(layer, Key.parts), row: first),
                dy: dy + first * shape.inner, checkpoints: checkpoints,
                SelectiveScan<S>.Gradients(
                    delta: dDelta + first * shape.inner, s: ds + first * shape.inner, b: target + shape.steps,
                    c: target + shape.steps + shape.states, ld: partWidth), scratch: run.scratch)
            checkpoints += scan.checkpointCount(length: length)
        }
    }

    private func normalisePartsBackward(_ dParts: UnsafeMutablePointer<S>, _ layer: Int, _ run: BlockRun<S>) {
        guard shape.mixerEpsilon != nil else { return }
        let raw = run.kept(layer, Key.raw)
        let statistics = run.kept(layer, Key.partStatistics)
        for (index, part) in partColumns.enumerated() {
            normaliseRowsBackward(
                centred: false, rows: run.rows, width: part.count, dy: dParts + part.first, lddy: partWidth,
                raw + part.first, ldx: partWidth, weight: nil, statistics: statistics + index * run.rows * 2,
                dx: dParts + part.first, lddx: partWidth, accumulate: false)
        }
    }
}
