import Foundation

/// mean logsumexp(z_t)²: keeps scores small (Zoph et al., "ST-MoE", 2022; section 4.5). The temperature plays no part.
public struct ZLoss: RouterLoss {
    public static let name = "z"
    public static let about = "squared logsumexp of the scores (ST-MoE)"

    public init() {}

    public func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double {
        let count = Double(max(1, batch.counted))
        var total = 0.0
        for row in 0..<batch.rows where batch.counts(row) {
            let first = row * batch.outputs
            let live = (0..<batch.outputs).filter { batch.p[first + $0] > 0 || batch.logP[first + $0] > -.infinity }
            let top = live.map { batch.z[first + $0] }.max() ?? 0
            let sum = live.reduce(0.0) { $0 + exp(batch.z[first + $1] - top) }
            let value = top + log(sum)
            total += value * value
            for i in live {
                batch.dz[first + i] += scale * 2 * value / count * exp(batch.z[first + i] - top) / sum
            }
        }
        return total / count
    }
}
