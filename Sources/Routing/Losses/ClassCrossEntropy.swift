import Foundation

/// −mean ln softmax(u_t)[unit of the sample's class]: for routers of kind `prototypes`, whose units are classes.
///
/// Not in the paper. A task is the union of its classes; a router that tells the classes apart draws the tasks' borders
/// better than one hyperplane per task does.
public struct ClassCrossEntropy: RouterLoss {
    public static let name = "class"
    public static let about = "cross-entropy over the classes behind a prototypes router"

    public init() {}

    public func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double {
        guard batch.labels.count == max(0, batch.offsets.count - 1) else { return 0 }
        let count = Double(max(1, batch.counted))
        let owner = batch.sampleOfRow
        var total = 0.0
        for row in 0..<batch.rows where batch.counts(row) {
            guard let label = batch.labels[owner[row]] else { continue }
            let first = row * batch.units
            var top = -Double.infinity
            for j in 0..<batch.units { top = max(top, batch.u[first + j]) }
            var sum = 0.0
            for j in 0..<batch.units { sum += exp(batch.u[first + j] - top) }
            total += top + log(sum) - batch.u[first + label]
            for j in 0..<batch.units {
                batch.du[first + j] += scale / count * (exp(batch.u[first + j] - top) / sum - (j == label ? 1 : 0))
            }
        }
        return total / count
    }
}
