private enum Key {
    static let input = 0, statistics1 = 1, normed1 = 2, qkv = 3, raw = 4, headStatistics = 5, probabilities = 6
    static let context = 7, hidden = 8, statistics2 = 9, normed2 = 10, gateUp = 11, active = 12
}

/// Decoder block: h = X + MHA(RoPE(q), RoPE(k), v)·Woᵀ; Y = h + (SiLU(g)⊙u)·Wdᵀ, both behind RMSNorms.
final class LlamaLayer<S: NetworkScalar>: NetworkLayer, @unchecked Sendable {
    private let parameters: ParameterStore<S>
    private let norm1: Normalisation<S>
    private let qkv: Linear<S>
    private let headNorms: (query: Normalisation<S>, key: Normalisation<S>)?
    private let rotary: RotaryCache<S>
    private let attention: Attention<S>
    private let o: Linear<S>
    private let norm2: Normalisation<S>
    private let gateUp: Linear<S>
    private let down: Linear<S>
    var linears: [Linear<S>] { [qkv, o, gateUp, down] }

    init(
        _ parameters: ParameterStore<S>, norm1: Normalisation<S>, qkv: Linear<S>,
        headNorms: (query: Normalisation<S>, key: Normalisation<S>)?, rotary: RotaryCache<S>,
        attention: Attention<S>, o: Linear<S>, norm2: Normalisation<S>, gateUp: Linear<S>, down: Linear<S>
    ) {
        self.parameters = parameters
        self.norm1 = norm1
        self.qkv = qkv
        self.headNorms = headNorms
        self.rotary = rotary
        self.attention = attention
        self.o = o
        self.norm2 = norm2
        self.gateUp = gateUp
        self.down = down
    }

    private var width: Int { norm1.width }
    private var inner: Int { down.inputs }
    /// Heads that are rotated: queries and keys, side by side.
    private var rotated: Int { attention.heads + attention.keyHeads }

    func forward(_ x: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        let rows = run.rows
        let recorded = run.records(layer)
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        run.note(x, layer, Key.input)

        let normed1 = run.keep(rows * width, layer, Key.normed1, if: run.needsInput(layer, 0))
        norm1.forward(
            parameters, rows: rows, x, into: normed1,
            statistics: recorded ? run.keep(rows * 2, layer, Key.statistics1) : nil)
        let qkvRows = run.keep(rows * qkv.outputs, layer, Key.qkv)
        run.linear(layer, 0, qkv, normed1, into: qkvRows)
        normaliseHeads(qkvRows, layer, run)
        rotate(qkvRows, run, backward: false)
        let context = run.keep(rows * o.inputs, layer, Key.context, if: run.needsInput(layer, 1))
        attend(qkvRows, into: context, layer, run)
        let hidden = recorded ? run.keep(rows * width, layer, Key.hidden) : x
        addRow(rows: rows, width: width, x: x, nil, into: hidden)
        run.linear(layer, 1, o, context, into: hidden, accumulate: true)

        let normed2 = run.keep(rows * width, layer, Key.normed2, if: run.needsInput(layer, 2))
        norm2.forward(
            parameters, rows: rows, hidden, into: normed2,
            statistics: recorded ? run.keep(rows * 2, layer, Key.statistics2) : nil)
        let gu = run.keep(rows * gateUp.outputs, layer, Key.gateUp)
        run.linear(layer, 2, gateUp, normed2, into: gu)
        let active = run.keep(rows * inner, layer, Key.active, if: run.needsInput(layer, 3))
        gatedSiluForward(rows: rows, width: inner, gu, into: active)
        let output = recorded ? run.tape.take(rows * width) : hidden
        addRow(rows: rows, width: width, x: hidden, nil, into: output)
        run.linear(layer, 3, down, active, into: output, accumulate: true)
        return output
    }

    /// Qwen3: RMSNorm of each head of q and k; what stood there before is kept for backward.
    private func normaliseHeads(_ qkvRows: UnsafeMutablePointer<S>, _ layer: Int, _ run: BlockRun<S>) {
        guard let headNorms else { return }
        let columns = rotated * attention.headWidth
        var statistics: UnsafeMutablePointer<S>?
        if run.records(layer) {
            let raw = run.keep(run.rows * columns, layer, Key.raw)
            copyColumns(rows: run.rows, width: columns, from: qkvRows, ldx: qkv.outputs, to: raw, ldy: columns)
            statistics = run.keep(run.rows * rotated * 2, layer, Key.headStatistics)
        }
        for row in 0..<run.rows {
            let q = qkvRows + row * qkv.outputs
            let k = q + attention.outputWidth
            let place = statistics.map { $0 + row * rotated * 2 }
            headNorms.query.forward(parameters, rows: attention.heads, q, into: q, statistics: place)
            headNorms.key.forward(
                parameters, rows: attention.keyHeads, k, into: k, statistics: place.map { $0 + attention.heads * 2 })
        }
    }

    private func normaliseHeadsBackward(_ dqkv: UnsafeMutablePointer<S>, _ layer: Int, _ run: BlockRun<S>) {
        guard let headNorms else { return }
        let raw = run.kept(layer, Key.raw)
        let statistics = run.kept(layer, Key.headStatistics)
        for row in 0..<run.rows {
            let q = dqkv + row * qkv.outputs
            let k = q + attention.outputWidth
            let before = raw + row * rotated * attention.headWidth
            let place = statistics + row * rotated * 2
            headNorms.query.backward(
                parameters, rows: attention.heads, dy: q, before, statistics: place, dx: q, accumulate: false,
                gradient: nil)
            headNorms.key.backward(
                parameters, rows: attention.keyHeads, dy: k, before + attention.outputWidth,
                statistics: place + attention.heads * 2, dx: k, accumulate: false, gradient: nil)
        }
    }

    private func rotate(_ qkvRows: UnsafeMutablePointer<S>, _ run: BlockRun<S>, backward: Bool) {
        let first = run.decoder?.position ?? 0
        let longest = (0..<run.samples).map { run.block.length($0) }.max() ?? 0
        let table = rotary.table(positions: first + longest)
        for sample in 0..<run.samples {
            table.rotate(
                rows: run.block.length(sample), firstPosition: first, heads: rotated,
                qkvRows + run.block.offsets[sample] * qkv.outputs, ldx: qkv.outputs, backward: backward)
        }
    }

    private func attend(
        _ qkvRows: UnsafeMutablePointer<S>, into context: UnsafeMutablePointer<S>, _ layer: Int, _ run: BlockRun<S>
    ) {
        guard let decoder = run.decoder else {
            run.attend(attention, qkvRows, into: context, layer: layer, key: Key.probabilities)
            return
        }
        let keys = attention.keyHeads * attention.headWidth
        let cache = decoder.buffers(layer, rows: run.rows, keys, keys)
        let first = decoder.position
        copyColumns(
            rows: run.rows, width: keys, from: qkvRows + attention.outputWidth, ldx: qkv.outputs,
            to: cache.first + first * keys, ldy: keys)
        copyColumns(
            rows: run.rows, width: keys, from: qkvRows + attention.outputWidth + keys, ldx: qkv.outputs,
            to: cache.second + first * keys, ldy: keys)
        for row in 0..<run.rows {
            attention.step(
                position: first + row, qkvRows + row * qkv.outputs, keys: cache.first, values: cache.second,
                into: context + row * attention.outputWidth, scratch: run.scratch)
        }
    }

    func backward(_ gradient: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) {
        let rows = run.rows
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }

        let dActive = run.flows(below: layer, group: 3) ? run.scratch.take(rows * inner) : nil
        run.linearBackward(layer, 3, down, dy: gradient, dx: dActive)
        guard let dActive else { return }
        let dgu = run.kept(layer, Key.gateUp)
        gatedSiluBackward(rows: rows, width: inner, dy: dActive, dgu)
        let dNormed = run.flows(below: layer, group: 2) ? run.scratch.take(rows * width) : nil
        run.linearBackward(layer, 2, gateUp, dy: dgu, dx: dNormed)
        guard let dNormed else { return }
        norm2.backward(
            parameters, rows: rows, dy: dNormed, run.kept(layer, Key.hidden),
            statistics: run.kept(layer, Key.statistics2), dx: gradient, accumulate: true, gradient: nil)

        let dContext = run.flows(below: layer, group: 1) ? run.scratch.take(rows * o.inputs) : nil
        run.linearBackward(layer, 1, o, dy: gradient, dx: dContext)
        guard let dContext else { return }
        let dqkv = run.scratch.take(rows * qkv.outputs)
        run.attendBackward(
            attention, run.kept(layer, Key.qkv), dc: dContext, into: dqkv, layer: layer, key: Key.probabilities)
        rotate(dqkv, run, backward: true)
        normaliseHeadsBackward(dqkv, layer, run)
        let dInput = run.flows(below: layer, group: 0) ? dNormed : nil
        run.linearBackward(layer, 0, qkv, dy: dqkv, dx: dInput)
        guard let dInput else { return }
        norm1.backward(
            parameters, rows: rows, dy: dInput, run.kept(layer, Key.input),
            statistics: run.kept(layer, Key.statistics1), dx: gradient, accumulate: true, gradient: nil)
    }
}
