import LinearAlgebra
import Tensors

/// The updates X_i of one module as rows of floats, formed when they are needed.
struct ElementSource: Sendable {
    enum Update: Sendable {
        /// Formed in tiles of rows at absolute multiples of one height, so that no entry depends on the block.
        case lowRank(LowRankFactors)
        case dense(Matrix<Float>)
    }

    /// Writes the rows `range` of all operands at once.
    typealias Fill =
        @Sendable (_ range: Range<Int>, UnsafeMutableBufferPointer<UnsafeMutablePointer<Float>>) throws -> Void

    let rows: Int
    let columns: Int
    private let updates: [Update]
    private let together: Fill?
    /// Number of operands.
    let operandCount: Int
    /// h, rows per block.
    let blockHeight: Int

    /// Rows that fit into L2 or L3 with all operands; larger blocks gain nothing. A multiple of the products' tiles.
    static let usefulHeight = 64

    /// h of merge-methods 2.1, not more than is useful.
    static func blockHeight(rows: Int, columns: Int, operands: Int, memoryLimit: Int) -> Int {
        let fitting = memoryLimit / max(1, 4 * columns * (operands + 3))
        return max(1, min(max(fitting, 16), usefulHeight, rows))
    }

    init(rows: Int, columns: Int, updates: [Update], blockHeight: Int) {
        self.rows = rows
        self.columns = columns
        self.updates = updates
        together = nil
        operandCount = updates.count
        self.blockHeight = blockHeight
    }

    /// Updates that somebody else forms, `count` of them.
    init(rows: Int, columns: Int, count: Int, blockHeight: Int, fill: @escaping Fill) {
        self.rows = rows
        self.columns = columns
        updates = []
        together = fill
        operandCount = count
        self.blockHeight = blockHeight
    }

    /// Reads the factors of a module; their pages are given back.
    init(_ stack: FactorStack, blockHeight: Int) throws {
        let updates = try stack.lowRankFactors().map { Update.lowRank($0) }
        stack.releasePages()
        self.init(rows: stack.rows, columns: stack.columns, updates: updates, blockHeight: blockHeight)
    }

    /// Entries of one operand.
    var count: Int { rows * columns }

    /// Calls `body` with every block of rows in order. The block's entries may be overwritten.
    func forEachBlock(_ body: (Range<Int>, ElementChunk) throws -> Void) throws {
        let size = blockHeight * columns
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, size * operandCount)) { entries in
            try withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Float>.self, capacity: operandCount) {
                pointers in
                guard let base = entries.baseAddress else { return }
                for i in 0..<operandCount { pointers[i] = base + i * size }
                for start in stride(from: 0, to: rows, by: blockHeight) {
                    let range = start..<min(start + blockHeight, rows)
                    let count = range.count * columns
                    try together?(range, pointers)
                    for (i, update) in updates.enumerated() {
                        try fill(update, range, UnsafeMutableBufferPointer(start: pointers[i], count: count))
                    }
                    let chunk = ElementChunk(
                        operands: UnsafeBufferPointer(pointers), offset: 0, start: start * columns, count: count,
                        columns: columns)
                    try body(range, chunk)
                }
            }
        }
    }

    private func fill(_ update: Update, _ range: Range<Int>, _ target: UnsafeMutableBufferPointer<Float>) throws {
        switch update {
        case .lowRank(let factors): try factors.product(rows: range, into: target)
        case .dense(let matrix):
            matrix.elements.withUnsafeBufferPointer { source in
                guard let from = source.baseAddress else { return }
                target.baseAddress?.update(from: from + range.lowerBound * columns, count: target.count)
            }
        }
    }
}

extension ElementRule {
    /// Passes over the entries of a module after the statistics: calls `body` with Δ*'s rows, block by block.
    ///
    /// - Returns: the state at the end, with the counts of trimmed entries.
    @discardableResult
    func forEachMergedBlock(
        _ source: ElementSource, _ state: ElementState,
        _ body: (Range<Int>, UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws -> ElementState {
        var state = state
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, source.blockHeight * source.columns)) {
            result in
            guard let merged = result.baseAddress else { return }
            try source.forEachBlock { range, chunk in
                merge(chunk, &state, merged)
                try body(range, UnsafeMutableBufferPointer(start: merged, count: chunk.count))
            }
        }
        return state
    }

    /// Δ* as a dense matrix.
    func dense(_ source: ElementSource, _ state: ElementState) throws -> (matrix: Matrix<Float>, state: ElementState) {
        var final = state
        let matrix = try Matrix<Float>(rows: source.rows, columns: source.columns) { target in
            final = try forEachMergedBlock(source, state) { range, rows in
                guard let to = target.baseAddress, let from = rows.baseAddress else { return }
                (to + range.lowerBound * source.columns).update(from: from, count: rows.count)
            }
        }
        return (matrix, final)
    }

    /// Applies the rule to matrices in memory, each a scope of its own.
    func applied(to matrices: [Matrix<Float>]) throws -> Matrix<Float> {
        guard let first = matrices.first else { return Matrix(rows: 0, columns: 0) }
        let source = ElementSource(
            rows: first.rows, columns: first.columns, updates: matrices.map { .dense($0) },
            blockHeight: max(1, first.rows))
        let work = ElementWork(rule: self, rows: first.rows, columns: first.columns) { source }
        let states = try ElementStatistics(works: [work], workers: Workers(threads: 1, isCancelled: { false }))
            .collect()
        return try dense(source, states[0]).matrix
    }
}
