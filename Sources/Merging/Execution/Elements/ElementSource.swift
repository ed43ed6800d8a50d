import LinearAlgebra
import Tensors

/// The updates X_i of one module as rows of floats, formed when they are needed.
struct ElementSource: Sendable {
    enum Update: Sendable {
        case lowRank(PackedFactors)
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

    /// Rows that stay in L2 or near it with all operands; larger blocks lose. A multiple of the height of the products' tiles.
    static let usefulHeight = 24

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
        let updates = try stack.lowRankFactors().map { Update.lowRank(PackedFactors($0)) }
        stack.releasePages()
        self.init(rows: stack.rows, columns: stack.columns, updates: updates, blockHeight: blockHeight)
    }

    /// Entries may overflow while they are formed: the rules would take an undefined one for zero.
    var mayOverflow: Bool {
        updates.contains { if case .lowRank(let factors) = $0 { factors.mayOverflow } else { false } }
    }

    /// Entries of one operand.
    var count: Int { rows * columns }

    /// Calls `body` with every block of rows in order. The block's entries may be overwritten.
    ///
    /// - Parameter share: the first 1/share of every block's rows only.
    func forEachBlock(share: Int = 1, _ body: (Range<Int>, ElementChunk) throws -> Void) throws {
        let height = max(1, blockHeight / share)
        let size = height * columns
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, size * operandCount)) { entries in
            try withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Float>.self, capacity: operandCount) {
                pointers in
                guard let base = entries.baseAddress else { return }
                for i in 0..<operandCount { pointers[i] = base + i * size }
                for start in stride(from: 0, to: rows, by: blockHeight) {
                    let range = start..<min(start + height, rows)
                    let count = range.count * columns
                    try together?(range, pointers)
                    for (i, update) in updates.enumerated() {
                        fill(update, range, UnsafeMutableBufferPointer(start: pointers[i], count: count))
                    }
                    let chunk = ElementChunk(
                        operands: UnsafeBufferPointer(pointers), offset: 0, start: start * columns, count: count,
                        columns: columns)
                    try body(range, chunk)
                }
            }
        }
    }

    /// Calls `body` with the entries of the operands `wanted`, block by block and one operand after the other, so that
    /// each is still in the second cache when it is looked at.
    ///
    /// - Parameter share: the first 1/share of every block's rows only.
    func forEachOperand(
        _ wanted: [Int], share: Int = 1, _ body: (Int, UnsafePointer<Float>, Int) throws -> Void
    ) throws {
        guard together == nil else {
            return try forEachBlock(share: share) { _, chunk in
                for i in wanted { try body(i, chunk.operand(i), chunk.count) }
            }
        }
        let height = max(1, blockHeight / share)
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, height * columns)) { entries in
            for start in stride(from: 0, to: rows, by: blockHeight) {
                let range = start..<min(start + height, rows)
                let part = UnsafeMutableBufferPointer(rebasing: entries[..<(range.count * columns)])
                guard let values = part.baseAddress else { return }
                for i in wanted {
                    fill(updates[i], range, part)
                    try body(i, values, part.count)
                }
            }
        }
    }

    private func fill(_ update: Update, _ range: Range<Int>, _ target: UnsafeMutableBufferPointer<Float>) {
        switch update {
        case .lowRank(let factors): factors.product(rows: range, into: target)
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
