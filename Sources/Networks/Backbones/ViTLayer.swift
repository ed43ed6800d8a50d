private enum Key {
    static let input = 0, statistics1 = 1, qkv = 2, probabilities = 3, hidden = 4, statistics2 = 5, slope = 6
    static let normed1 = 7, normed2 = 8, context = 9, active = 10
}

/// Pre-norm transformer block: h = X + MHA(LN1(X))·Woᵀ + bo; Y = h + f(LN2(h)·W1ᵀ + b1)·W2ᵀ + b2.
final class ViTLayer<S: NetworkScalar>: NetworkLayer, @unchecked Sendable {
    private let parameters: ParameterStore<S>
    private let norm1: Normalisation<S>
    private let qkv: Linear<S>
    private let attention: Attention<S>
    private let o: Linear<S>
    private let norm2: Normalisation<S>
    private let fc1: Linear<S>
    private let fc2: Linear<S>
    private let activation: Activation
    var linears: [Linear<S>] { [qkv, o, fc1, fc2] }

    init(
        _ parameters: ParameterStore<S>, norm1: Normalisation<S>, qkv: Linear<S>, attention: Attention<S>,
        o: Linear<S>, norm2: Normalisation<S>, fc1: Linear<S>, fc2: Linear<S>, activation: Activation
    ) {
        self.parameters = parameters
        self.norm1 = norm1
        self.qkv = qkv
        self.attention = attention
        self.o = o
        self.norm2 = norm2
        self.fc1 = fc1
        self.fc2 = fc2
        self.activation = activation
    }

    func forward(_ x: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        let rows = run.rows
        let width = norm1.width
        let recorded = run.records(layer)
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        run.note(x, layer, Key.input)

        let normed1 = run.keep(rows * width, layer, Key.normed1, if: run.needsInput(layer, 0))
        let statistics1 = recorded ? run.keep(rows * 2, layer, Key.statistics1) : nil
        norm1.forward(parameters, rows: rows, x, into: normed1, statistics: statistics1)
        let qkvRows = run.keep(rows * qkv.outputs, layer, Key.qkv)
        run.linear(layer, 0, qkv, normed1, into: qkvRows)
        let context = run.keep(rows * width, layer, Key.context, if: run.needsInput(layer, 1))
        run.attend(attention, qkvRows, into: context, layer: layer, key: Key.probabilities)
        let hidden = recorded ? run.keep(rows * width, layer, Key.hidden) : x
        addRow(rows: rows, width: width, x: x, nil, into: hidden)
        run.linear(layer, 1, o, context, into: hidden, accumulate: true)

        let normed2 = run.keep(rows * width, layer, Key.normed2, if: run.needsInput(layer, 2))
        let statistics2 = recorded ? run.keep(rows * 2, layer, Key.statistics2) : nil
        norm2.forward(parameters, rows: rows, hidden, into: normed2, statistics: statistics2)
        let slope = run.keep(rows * fc1.outputs, layer, Key.slope)
        run.linear(layer, 2, fc1, normed2, into: slope)
        // Where backward runs, the pre-activations make room for the derivatives.
        let active = recorded ? run.keep(rows * fc1.outputs, layer, Key.active, if: run.needsInput(layer, 3)) : slope
        activation.forward(rows * fc1.outputs, slope, into: active, derivative: recorded ? slope : nil)
        let output = recorded ? run.tape.take(rows * width) : hidden
        addRow(rows: rows, width: width, x: hidden, nil, into: output)
        run.linear(layer, 3, fc2, active, into: output, accumulate: true)
        return output
    }

    func backward(_ gradient: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) {
        let rows = run.rows
        let width = norm1.width
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }

        let dActive = run.flows(below: layer, group: 3) ? run.scratch.take(rows * fc1.outputs) : nil
        run.linearBackward(layer, 3, fc2, dy: gradient, dx: dActive)
        guard let dActive else { return }
        multiplyInto(rows * fc1.outputs, run.kept(layer, Key.slope), dActive)
        let dNormed = run.flows(below: layer, group: 2) ? run.scratch.take(rows * width) : nil
        run.linearBackward(layer, 2, fc1, dy: dActive, dx: dNormed)
        guard let dNormed else { return }
        norm2.backward(
            parameters, rows: rows, dy: dNormed, run.kept(layer, Key.hidden),
            statistics: run.kept(layer, Key.statistics2), dx: gradient, accumulate: true,
            gradient: run.parameterGradient)

        let dContext = run.flows(below: layer, group: 1) ? dNormed : nil
        run.linearBackward(layer, 1, o, dy: gradient, dx: dContext)
        guard let dContext else { return }
        let dqkv = run.scratch.take(rows * qkv.outputs)
        run.attendBackward(
            attention, run.kept(layer, Key.qkv), dc: dContext, into: dqkv, layer: layer, key: Key.probabilities)
        let dInput = run.flows(below: layer, group: 0) ? dNormed : nil
        run.linearBackward(layer, 0, qkv, dy: dqkv, dx: dInput)
        guard let dInput else { return }
        norm1.backward(
            parameters, rows: rows, dy: dInput, run.kept(layer, Key.input),
            statistics: run.kept(layer, Key.statistics1), dx: gradient, accumulate: true,
            gradient: run.parameterGradient)
    }
}
