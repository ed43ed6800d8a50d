private enum Key {
    static let input = 0, qkv = 1, probabilities = 2, context = 3, sum1 = 4, statistics1 = 5, hidden = 6, slope = 7
    static let active = 8, sum2 = 9, statistics2 = 10
}

/// Post-norm transformer block: h = LN_a(X + MHA(X)·Woᵀ + bo); Y = LN_o(h + f(h·W1ᵀ + b1)·W2ᵀ + b2).
final class BERTLayer<S: NetworkScalar>: NetworkLayer, @unchecked Sendable {
    private let parameters: ParameterStore<S>
    private let qkv: Linear<S>
    private let attention: Attention<S>
    private let o: Linear<S>
    private let norm1: Normalisation<S>
    private let fc1: Linear<S>
    private let fc2: Linear<S>
    private let norm2: Normalisation<S>
    private let activation: Activation
    var linears: [Linear<S>] { [qkv, o, fc1, fc2] }

    init(
        _ parameters: ParameterStore<S>, qkv: Linear<S>, attention: Attention<S>, o: Linear<S>,
        norm1: Normalisation<S>, fc1: Linear<S>, fc2: Linear<S>, norm2: Normalisation<S>, activation: Activation
    ) {
        self.parameters = parameters
        self.qkv = qkv
        self.attention = attention
        self.o = o
        self.norm1 = norm1
        self.fc1 = fc1
        self.fc2 = fc2
        self.norm2 = norm2
        self.activation = activation
    }

    func forward(_ x: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) -> UnsafeMutablePointer<S> {
        let rows = run.rows
        let width = norm1.width
        let recorded = run.records(layer)
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        run.note(x, layer, Key.input)

        let qkvRows = run.keep(rows * qkv.outputs, layer, Key.qkv)
        run.linear(layer, 0, qkv, x, into: qkvRows)
        let context = run.keep(rows * width, layer, Key.context, if: run.needsInput(layer, 1))
        run.attend(attention, qkvRows, into: context, layer: layer, key: Key.probabilities)
        let sum1 = recorded ? run.keep(rows * width, layer, Key.sum1) : x
        addRow(rows: rows, width: width, x: x, nil, into: sum1)
        run.linear(layer, 1, o, context, into: sum1, accumulate: true)
        let hidden = recorded ? run.keep(rows * width, layer, Key.hidden) : sum1
        norm1.forward(
            parameters, rows: rows, sum1, into: hidden,
            statistics: recorded ? run.keep(rows * 2, layer, Key.statistics1) : nil)

        let slope = run.keep(rows * fc1.outputs, layer, Key.slope)
        run.linear(layer, 2, fc1, hidden, into: slope)
        // Where backward runs, the pre-activations make room for the derivatives.
        let active = recorded ? run.keep(rows * fc1.outputs, layer, Key.active, if: run.needsInput(layer, 3)) : slope
        activation.forward(rows * fc1.outputs, slope, into: active, derivative: recorded ? slope : nil)
        let sum2 = recorded ? run.keep(rows * width, layer, Key.sum2) : hidden
        addRow(rows: rows, width: width, x: hidden, nil, into: sum2)
        run.linear(layer, 3, fc2, active, into: sum2, accumulate: true)
        let output = recorded ? run.tape.take(rows * width) : sum2
        norm2.forward(
            parameters, rows: rows, sum2, into: output,
            statistics: recorded ? run.keep(rows * 2, layer, Key.statistics2) : nil)
        return output
    }

    func backward(_ gradient: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) {
        let rows = run.rows
        let width = norm1.width
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }

        norm2.backward(
            parameters, rows: rows, dy: gradient, run.kept(layer, Key.sum2),
            statistics: run.kept(layer, Key.statistics2), dx: gradient, accumulate: false,
            gradient: run.parameterGradient)
        let dActive = run.flows(below: layer, group: 3) ? run.scratch.take(rows * fc1.outputs) : nil
        run.linearBackward(layer, 3, fc2, dy: gradient, dx: dActive)
        guard let dActive else { return }
        multiplyInto(rows * fc1.outputs, run.kept(layer, Key.slope), dActive)
        let dHidden = run.flows(below: layer, group: 2) ? run.scratch.take(rows * width) : nil
        run.linearBackward(layer, 2, fc1, dy: dActive, dx: dHidden)
        guard let dHidden else { return }
        addInto(rows * width, dHidden, gradient)
        norm1.backward(
            parameters, rows: rows, dy: gradient, run.kept(layer, Key.sum1),
            statistics: run.kept(layer, Key.statistics1), dx: gradient, accumulate: false,
            gradient: run.parameterGradient)

        let dContext = run.flows(below: layer, group: 1) ? dHidden : nil
        run.linearBackward(layer, 1, o, dy: gradient, dx: dContext)
        guard let dContext else { return }
        let dqkv = run.scratch.take(rows * qkv.outputs)
        run.attendBackward(
            attention, run.kept(layer, Key.qkv), dc: dContext, into: dqkv, layer: layer, key: Key.probabilities)
        let dInput = run.flows(below: layer, group: 0) ? dHidden : nil
        run.linearBackward(layer, 0, qkv, dy: dqkv, dx: dInput)
        if let dInput { addInto(rows * width, dInput, gradient) }
    }
}
