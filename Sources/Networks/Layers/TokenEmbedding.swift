import Diagnostics

private enum Key {
    static let sums = 8, statistics = 9
}

/// Rows of a table by token id, for BERT with learned positions and segments added and a LayerNorm behind.
final class TokenEmbedding<S: NetworkScalar>: InputEmbedding, @unchecked Sendable {
    /// Tables in the parameter store: words [vocabulary, width], positions [count, width], types [count, width].
    struct Tables {
        var words: Int
        var vocabulary: Int
        var positions: (offset: Int, count: Int)?
        /// Position of the first token (RoBERTa: 2).
        var firstPosition = 0
        var types: (offset: Int, count: Int)?
    }

    private let parameters: ParameterStore<S>
    private let width: Int
    private let tables: Tables
    private let norm: Normalisation<S>?

    init(_ parameters: ParameterStore<S>, width: Int, tables: Tables, norm: Normalisation<S>? = nil) {
        self.parameters = parameters
        self.width = width
        self.tables = tables
        self.norm = norm
    }

    func refresh() {}

    func lengths(of input: NetworkInput<S>) throws -> [Int] {
        guard case .tokens(let batch) = input else {
            throw Failure(.backboneBadInput, "this backbone reads tokens, not images")
        }
        guard batch.lengths.reduce(0, +) == batch.ids.count, batch.lengths.allSatisfy({ $0 > 0 }) else {
            throw Failure(.backboneBadInput, "token sequences must not be empty, and their lengths must add up")
        }
        if let id = batch.ids.first(where: { $0 < 0 || Int($0) >= tables.vocabulary }) {
            throw Failure(.backboneBadInput, "token id \(id) is outside the vocabulary of \(tables.vocabulary)")
        }
        if let positions = tables.positions, let longest = batch.lengths.max(),
            longest + tables.firstPosition > positions.count
        {
            throw Failure(
                .backboneBadInput,
                "a sequence of \(longest) tokens; this backbone knows \(positions.count - tables.firstPosition) "
                    + "positions", hint: "shorten the texts (input.max_tokens)")
        }
        if let types = batch.types {
            guard types.count == batch.ids.count, let known = tables.types,
                types.allSatisfy({ $0 >= 0 && Int($0) < known.count })
            else { throw Failure(.backboneBadInput, "token types do not fit the tokens or the backbone") }
        }
        return batch.lengths
    }

    /// Offsets of the table rows that make up each row of the block.
    private func forEachRow(
        _ input: NetworkInput<S>, _ run: BlockRun<S>,
        _ body: (_ row: Int, _ word: Int, _ position: Int?, _ type: Int?) -> Void
    ) {
        guard case .tokens(let batch) = input else { return }
        let first = run.block.rows.lowerBound
        for sample in 0..<run.samples {
            let begin = run.block.offsets[sample]
            for row in begin..<run.block.offsets[sample + 1] {
                let place = row - begin + tables.firstPosition
                let type = batch.types.map { Int($0[first + row]) } ?? 0
                body(
                    row, tables.words + Int(batch.ids[first + row]) * width,
                    tables.positions.map { $0.offset + place * width }, tables.types.map { $0.offset + type * width })
            }
        }
    }

    func forward(_ input: NetworkInput<S>, into x: UnsafeMutablePointer<S>, _ run: BlockRun<S>) {
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        let layer = run.backbone.depth
        let sums = norm == nil ? x : run.keep(run.rows * width, layer, Key.sums, if: run.plan.learnsParameters)
        forEachRow(input, run) { row, word, position, type in
            let target = sums + row * width
            target.update(from: parameters.pointer(word), count: width)
            if let position { addInto(width, parameters.pointer(position), target) }
            if let type { addInto(width, parameters.pointer(type), target) }
        }
        let statistics = run.keep(run.rows * 2, layer, Key.statistics, if: run.plan.learnsParameters)
        norm?.forward(parameters, rows: run.rows, sums, into: x, statistics: statistics)
    }

    func backward(
        _ input: NetworkInput<S>, gradient: UnsafePointer<S>, _ run: BlockRun<S>,
        into target: UnsafeMutablePointer<S>
    ) {
        let mark = run.scratch.mark
        defer { run.scratch.release(to: mark) }
        let layer = run.backbone.depth
        let slope = run.scratch.take(run.rows * width)
        if let norm {
            norm.backward(
                parameters, rows: run.rows, dy: gradient, run.kept(layer, Key.sums),
                statistics: run.kept(layer, Key.statistics), dx: slope, accumulate: false, gradient: target)
        } else {
            slope.update(from: gradient, count: run.rows * width)
        }
        forEachRow(input, run) { row, word, position, type in
            let line = slope + row * width
            addInto(width, line, target + word)
            if let position { addInto(width, line, target + position) }
            if let type { addInto(width, line, target + type) }
        }
    }
}
