import Diagnostics

/// Rows whose logits are held at the same time.
private let logitRows = 16

extension Backbone {
    /// Logits [rows, vocabulary] of hidden states [rows, width].
    ///
    /// - Throws: `config.feature_unsupported` when the checkpoint has no language head.
    public func logits(_ hidden: [S]) throws -> [S] {
        let head = try languageHead()
        let rows = hidden.count / description.width
        return [S](unsafeUninitializedCapacity: rows * head.outputs) { buffer, count in
            if let target = buffer.baseAddress {
                hidden.withUnsafeBufferPointer {
                    if let source = $0.baseAddress { head.forward(rows: rows, source, into: target) }
                }
            }
            count = rows * head.outputs
        }
    }

    /// −ln p(next token | tokens so far) for every token but the first of each sequence, sequence after sequence.
    public func tokenLosses(
        _ tokens: TokenBatch, mix: AdapterMix<S>? = nil, coefficients: Coefficients<S>? = nil, threads: Int? = nil
    ) throws -> [S] {
        try language(tokens, mix, coefficients, weights: nil, learning: [], into: nil, threads)
    }

    /// Adds the gradients of Σ_t weight_t · loss_t to `gradients` and returns the losses as ``tokenLosses(_:mix:coefficients:threads:)``.
    ///
    /// - Parameter weights: one number per predicted token (nil: 1 / their count, i.e. the mean); 0 leaves a token out.
    public func languageStep(
        _ tokens: TokenBatch, mix: AdapterMix<S>, coefficients: Coefficients<S>? = nil, weights: [S]? = nil,
        learning: Learning = .adapters, into gradients: Gradients<S>, threads: Int? = nil
    ) throws -> [S] {
        try language(tokens, mix, coefficients, weights: weights, learning: learning, into: gradients, threads)
    }

    private func language(
        _ tokens: TokenBatch, _ mix: AdapterMix<S>?, _ coefficients: Coefficients<S>?, weights: [S]?,
        learning: Learning, into gradients: Gradients<S>?, _ threads: Int?
    ) throws -> [S] {
        let head = try languageHead()
        let predicted = tokens.lengths.reduce(0) { $0 + max(0, $1 - 1) }
        if let weights, weights.count != predicted {
            throw Failure(.backboneBadInput, "\(weights.count) weights for \(predicted) predicted tokens")
        }
        let input = NetworkInput<S>.tokens(tokens)
        let (plan, layout) = try makePlan(input, .hiddenStates, mix, coefficients, learning: learning)
        let mean = 1 / S(max(1, predicted))
        return [S](unsafeUninitializedCapacity: predicted) { buffer, count in
            if let base = buffer.baseAddress {
                let losses = SharedPointer(base: base)
                let body: @Sendable (BlockRun<S>, UnsafePointer<S>, UnsafeMutablePointer<S>?) -> Void = {
                    run, hidden, gradient in
                    self.blockLosses(
                        run, head, tokens, hidden, gradient, weight: { weights?[$0] ?? mean }, into: losses)
                }
                if let gradients {
                    step(input, .hiddenStates, plan, layout, into: gradients, threads: threads) { body($0, $1, $2) }
                } else {
                    forEachBlock(layout, plan, threads) { run in
                        let hidden = run.tape.take(run.rows * description.width)
                        self.run(input, .hiddenStates, run, into: hidden)
                        body(run, hidden, nil)
                    }
                }
            }
            count = predicted
        }
    }

    /// Losses of one block's sequences, a few rows of logits at a time.
    private func blockLosses(
        _ run: BlockRun<S>, _ head: Linear<S>, _ tokens: TokenBatch, _ hidden: UnsafePointer<S>,
        _ gradient: UnsafeMutablePointer<S>?, weight: (Int) -> S, into losses: SharedPointer<S>
    ) {
        let width = description.width
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        let logits = run.scratch.take(logitRows * head.outputs)
        for sample in 0..<run.samples {
            let first = run.block.offsets[sample]
            let rows = run.block.length(sample) - 1
            let token = run.block.rows.lowerBound + first
            // Each sequence before this one predicts one token less than it has.
            let place = token - (run.block.samples.lowerBound + sample)
            var row = 0
            while row < rows {
                let count = min(logitRows, rows - row)
                head.forward(rows: count, hidden + (first + row) * width, into: logits)
                let from = row
                for r in 0..<count {
                    CrossEntropy.rows(
                        1, classes: head.outputs, logits: logits + r * head.outputs,
                        labels: { _ in Int(tokens.ids[token + from + r + 1]) }, scale: weight(place + from + r),
                        gradient: gradient == nil ? nil : logits + r * head.outputs,
                        losses: losses.base + place + from + r)
                }
                if let gradient {
                    S.multiply(
                        m: count, n: width, k: head.outputs, a: logits, lda: head.outputs,
                        b: parameters.pointer(head.weight), ldb: width, c: gradient + (first + row) * width, ldc: width)
                }
                row += count
            }
        }
    }
}
