/// −mean ln p_{t, d(t)}: the router learns the sample's task as a classifier would (section 4.5).
public struct DomainCrossEntropy: RouterLoss {
    public static let name = "domain"
    public static let about = "cross-entropy with the expert of the sample's task"

    public init() {}

    public func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double {
        guard batch.domains.count == max(0, batch.offsets.count - 1) else { return 0 }
        let count = Double(max(1, batch.counted))
        let owner = batch.sampleOfRow
        var total = 0.0
        for row in 0..<batch.rows where batch.counts(row) {
            // Where the task's own expert is masked out, there is nothing to learn.
            guard let domain = batch.domains[owner[row]], batch.logP[row * batch.outputs + domain] > -.infinity
            else { continue }
            let first = row * batch.outputs
            total -= batch.logP[first + domain]
            for i in 0..<batch.outputs {
                batch.dz[first + i] +=
                    scale / (count * batch.temperature) * (batch.p[first + i] - (i == domain ? 1 : 0))
            }
        }
        return total / count
    }
}
