import Foundation

/// mean H(p_t) − H(p̄): the negative information that a decision carries about its row (section 4.4, `mi`).
public struct MutualInformationLoss: RouterLoss {
    public static let name = "mi"
    public static let about = "negative mutual information between row and expert"

    public init() {}

    public func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double {
        let (mean, count) = batch.meanProbability(0..<batch.rows)
        guard count > 0 else { return 0 }
        var conditional = 0.0
        for row in 0..<batch.rows where batch.counts(row) {
            conditional += batch.entropy(row)
            let first = row * batch.outputs
            let logs = (0..<batch.outputs).map { i in
                batch.p[first + i] > 0 ? log(mean[i]) - batch.logP[first + i] : 0
            }
            batch.addChain(row: row, scale: scale / Double(count)) { logs[$0] }
        }
        let marginal = -mean.reduce(0.0) { $0 + ($1 > 0 ? $1 * log($1) : 0) }
        return conditional / Double(count) - marginal
    }
}
