import LinearAlgebra
import Tensors

/// Class E on the tensors of checkpoints: the same rules and passes as for adapters, reading the updates from mapped
/// files, block by block.
struct TensorElements: Sendable {
    let task: TensorTask
    let rule: ElementRule
    let zeroNonFinite: Bool
    /// For all workers together, and their number.
    let memoryLimit: Int
    let threads: Int
    var blockHeight: Int?

    /// Entries per block where no rule asks for whole rows.
    private static let freeBlock = 1 << 16

    private var readsRows: Bool { rule.needsWholeRows || task.needsRows }

    var grid: TensorGrid { readsRows ? task.grid : TensorGrid(rows: task.count, columns: 1) }

    private var height: Int {
        if let blockHeight { return max(1, readsRows ? blockHeight : blockHeight * task.grid.columns) }
        let operands = task.operands.count + 1
        guard readsRows else {
            let fitting = memoryLimit / max(1, threads) / (4 * (operands + 3))
            return max(1, min(TensorElements.freeBlock, fitting, max(1, task.count)))
        }
        return ElementSource.blockHeight(
            rows: grid.rows, columns: grid.columns, operands: operands, memoryLimit: memoryLimit / max(1, threads))
    }

    /// The updates as the statistics passes read them.
    var work: ElementWork {
        ElementWork(rule: rule, rows: grid.rows, columns: grid.columns) { try source() }
    }

    /// Blocks of all operands, and of the base where the rule asked for it.
    func source() throws -> ElementSource {
        let reader = try TensorReader(task, grid: grid, zeroNonFinite: zeroNonFinite)
        let (task, grid) = (task, grid)
        let isLarge = task.inputs.reduce(0) { $0 + $1.bytes.count } > memoryLimit / max(1, 4 * threads)
        let count = task.operands.count + (task.context?.baseOperand == nil ? 0 : 1)
        return ElementSource(rows: grid.rows, columns: grid.columns, count: count, blockHeight: height) {
            rows, targets in
            let length = rows.count * grid.columns
            try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, length)) { scratch in
                guard let base = scratch.baseAddress else { return }
                try reader.base(rows, into: UnsafeMutableBufferPointer(start: base, count: length))
                for i in task.operands.indices {
                    let target = UnsafeMutableBufferPointer(start: targets[i], count: length)
                    try reader.update(i, rows, base: base, into: target)
                    guard ValueScan.firstNonFinite(UnsafeBufferPointer(target)) == nil else {
                        throw try task.nonFinite()
                    }
                }
                // Pages of a tensor that does not fit would count against the limit until its last pass is over.
                if isLarge { reader.release(rows) }
                if count > task.operands.count { targets[count - 1].update(from: base, count: length) }
            }
        }
    }

    /// Merges and writes.
    ///
    /// - Parameter state: the statistics where they were collected over several tensors.
    func run(
        _ state: ElementState?, to output: CheckpointOutput, index: Int, isCancelled: @escaping @Sendable () -> Bool
    ) throws -> CheckpointOutput.Summary {
        let alone = Workers(threads: 1, isCancelled: isCancelled)
        let state =
            try state
            ?? ElementStatistics(
                works: [work], workers: alone, memoryLimit: memoryLimit / max(1, threads)
            ).collect()[0]
        let reader = try TensorReader(task, grid: grid, zeroNonFinite: zeroNonFinite)
        var sink = TensorSink(task, output, index: index)
        var squares = 0.0
        let final = try withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, height * grid.columns)) {
            scratch in
            try rule.forEachMergedBlock(source(), state) { rows, merged in
                if isCancelled() { throw CancellationError() }
                let base = UnsafeMutableBufferPointer(rebasing: scratch[..<merged.count])
                try reader.base(rows, into: base)
                squares += ValueScan.sumOfSquares(UnsafeBufferPointer(merged))
                for e in 0..<merged.count { base[e] += merged[e] }
                try sink.append(UnsafeBufferPointer(base))
            }
        }
        try sink.flush()
        return CheckpointOutput.Summary(
            frobenius: squares.squareRoot(),
            trimmedShare: final.examined > 0 ? Double(final.trimmed) / Double(final.examined) : nil,
            maxError: sink.rounding.maxError)
    }
}
