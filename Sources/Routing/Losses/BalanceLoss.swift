/// c · Σ_i p̄_i f̄_i: spreads the load over the experts (section 4.2). The load f̄ is a constant, but for `soft`.
///
/// Sources: Fedus, Zoph, Shazeer, "Switch Transformers", JMLR 2022 (`top1`); Lepikhin et al., "GShard", ICLR 2021
/// (`topk`); LoRA-Mixer v2 (`mass`, and `soft` in its appendix).
public struct BalanceLoss: RouterLoss {
    public static let name = "balance"
    public static let about = "load balance Σ p̄·f̄ (Switch, GShard)"

    public enum Load: String, Sendable, CaseIterable {
        /// Share of rows whose likeliest expert it is.
        case top1
        /// Share of the places among the K chosen.
        case topk
        /// Share of the mass on the K chosen, renormalised.
        case mass
        /// p̄ itself, differentiated.
        case soft
    }

    public enum Factor: Sendable, Hashable {
        /// As printed in the paper.
        case one
        /// E, so that uniform routing gives 1.
        case experts
    }

    public enum Pool: String, Sendable, CaseIterable {
        case batch, sequence
    }

    public var load: Load
    public var factor: Factor
    public var pool: Pool

    public init(load: Load = .top1, factor: Factor = .experts, pool: Pool = .batch) {
        self.load = load
        self.factor = factor
        self.pool = pool
    }

    public func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double {
        let ranges =
            pool == .batch ? [0..<batch.rows] : zip(batch.offsets, batch.offsets.dropFirst()).map { $0..<$1 }
        let factor = (self.factor == .one ? 1 : Double(batch.outputs)) / Double(max(1, ranges.count))
        return ranges.reduce(0.0) { $0 + evaluate(&batch, $1, factor: factor, scale: scale) }
    }

    private func evaluate(_ batch: inout RouterBatch, _ range: Range<Int>, factor: Double, scale: Double) -> Double {
        let (mean, count) = batch.meanProbability(range)
        guard count > 0 else { return 0 }
        let load = load == .soft ? mean : loads(batch, range, count: count)
        let slope = factor * (self.load == .soft ? 2 : 1) / Double(count)
        for row in range where batch.counts(row) {
            batch.addChain(row: row, scale: scale * slope) { load[$0] }
        }
        return factor * zip(mean, load).reduce(0) { $0 + $1.0 * $1.1 }
    }

    /// f̄ of every expert.
    private func loads(_ batch: RouterBatch, _ range: Range<Int>, count: Int) -> [Double] {
        var sum = [Double](repeating: 0, count: batch.outputs)
        for row in range where batch.counts(row) {
            let chosen = batch.chosen(row, load == .top1 ? 1 : batch.active)
            let mass = chosen.reduce(0) { $0 + batch.p[row * batch.outputs + $1] }
            for i in chosen {
                sum[i] += load == .mass ? batch.p[row * batch.outputs + i] / mass : 1 / Double(chosen.count)
            }
        }
        return sum.map { $0 / Double(count) }
    }
}
