import Synchronization
import Tensors

/// Counts the NaN and infinite entries that `non_finite: zero` will replace.
struct NonFiniteScan {
    let plan: StagePlan
    let workers: Workers

    /// Adds a remark to every module concerned. Reads all operands once; without `non_finite: zero` it reads nothing,
    /// since the first one is an error when it is met.
    ///
    /// - Returns: the number of entries.
    func count(_ tasks: [ModuleTask]) throws -> Int {
        guard plan.zeroNonFinite else { return 0 }
        let total = Mutex(0)
        try workers.run(tasks.count) { index in
            let task = tasks[index]
            for operand in task.operands {
                for tensor in operand.tensors + [operand.bias].compactMap({ $0 }) {
                    let statistics = try tensor.statistics()
                    let bad = statistics.nans + statistics.infinities
                    guard bad > 0 else { continue }
                    task.context.remarks.add("\(bad) NaN or infinite entries of '\(operand.adapter)' count as zero")
                    total.withLock { $0 += bad }
                }
                operand.releasePages()
            }
        }
        return total.withLock { $0 }
    }
}
