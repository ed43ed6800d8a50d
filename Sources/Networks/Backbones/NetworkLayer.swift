/// One layer of a backbone: forward and backward for the rows of one block.
protocol NetworkLayer<S>: AnyObject, Sendable {
    associatedtype S: NetworkScalar

    /// The rows behind the layer, [rows, width]. Where nothing is recorded the result overwrites `x`.
    func forward(_ x: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>) -> UnsafeMutablePointer<S>

    /// Turns the gradient at the layer's output into the one at its input, in place; stops early where nothing below
    /// wants it. Adds the gradients of what is learned inside to the run's accumulator.
    func backward(_ gradient: UnsafeMutablePointer<S>, layer: Int, _ run: BlockRun<S>)

    /// Linears of the layer, one per group.
    var linears: [Linear<S>] { get }

    /// Derived forms of the weights, made again after these changed.
    func refresh()
}

extension NetworkLayer {
    func refresh() {
        for linear in linears { linear.refresh() }
    }
}

/// What turns input into the rows of layer 0.
protocol InputEmbedding<S>: AnyObject, Sendable {
    associatedtype S: NetworkScalar

    /// Rows per sample.
    ///
    /// - Throws: `backbone.bad_input` when the input is of another kind or shape.
    func lengths(of input: NetworkInput<S>) throws -> [Int]

    /// Writes the rows of the block, [rows, width].
    func forward(_ input: NetworkInput<S>, into x: UnsafeMutablePointer<S>, _ run: BlockRun<S>)

    /// Adds the gradients of the embedding's own weights.
    func backward(
        _ input: NetworkInput<S>, gradient: UnsafePointer<S>, _ run: BlockRun<S>,
        into parameters: UnsafeMutablePointer<S>)

    func refresh()
}

extension BlockRun {
    /// c := attention sample by sample; probabilities are kept under `key` when backward will run.
    func attend(
        _ attention: Attention<S>, _ qkv: UnsafePointer<S>, into c: UnsafeMutablePointer<S>, layer: Int, key: Int
    ) {
        let total = (0..<samples).reduce(0) { $0 + attention.keptCount(length: block.length($1)) }
        var kept: UnsafeMutablePointer<S>? = records(layer) && total > 0 ? keep(total, layer, key) : nil
        for sample in 0..<samples {
            let length = block.length(sample)
            let first = block.offsets[sample]
            let count = attention.keptCount(length: length)
            attention.forward(
                length: length, qkv + first * attention.rowWidth, into: c + first * attention.outputWidth,
                kept: count > 0 ? kept : nil, scratch: scratch)
            kept = kept.map { $0 + count }
        }
    }

    /// dqkv := gradient of `attend`.
    func attendBackward(
        _ attention: Attention<S>, _ qkv: UnsafePointer<S>, dc: UnsafePointer<S>, into dqkv: UnsafeMutablePointer<S>,
        layer: Int, key: Int
    ) {
        let total = (0..<samples).reduce(0) { $0 + attention.keptCount(length: block.length($1)) }
        var probabilities: UnsafePointer<S>? = total > 0 ? UnsafePointer(kept(layer, key)) : nil
        for sample in 0..<samples {
            let length = block.length(sample)
            let first = block.offsets[sample]
            let count = attention.keptCount(length: length)
            attention.backward(
                length: length, qkv + first * attention.rowWidth, dc: dc + first * attention.outputWidth,
                kept: count > 0 ? probabilities : nil, dqkv: dqkv + first * attention.rowWidth, scratch: scratch)
            probabilities = probabilities.map { $0 + count }
        }
    }
}
