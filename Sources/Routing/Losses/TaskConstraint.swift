/// Squared coefficient of variation of Σ_t p_t per sample and expert, weighted by 1 + δ where the expert is that of the
/// sample's task and 1 − δ elsewhere (Dou et al., "LoRAMoE", ACL 2024; section 4.5): balance within a task's experts,
/// but not between tasks.
public struct TaskConstraint: RouterLoss {
    public static let name = "loramoe"
    public static let about = "LoRAMoE's balance weighted by the sample's task"

    /// 0…1.
    public var delta: Double

    public init(delta: Double = 0.1) { self.delta = delta }

    public func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double {
        let samples = max(0, batch.offsets.count - 1)
        guard samples > 0, batch.domains.count == samples else { return 0 }
        func weight(_ sample: Int, _ i: Int) -> Double { batch.domains[sample] == i ? 1 + delta : 1 - delta }
        var sums = [Double](repeating: 0, count: samples * batch.outputs)
        let owner = batch.sampleOfRow
        for row in 0..<batch.rows where batch.counts(row) {
            for i in 0..<batch.outputs {
                sums[owner[row] * batch.outputs + i] += weight(owner[row], i) * batch.p[row * batch.outputs + i]
            }
        }
        let variation = SquaredVariation(sums)
        for row in 0..<batch.rows where batch.counts(row) {
            let sample = owner[row]
            let slopes = (0..<batch.outputs).map { i in
                weight(sample, i) * variation.slope(sums[sample * batch.outputs + i])
            }
            batch.addChain(row: row, scale: scale) { slopes[$0] }
        }
        return variation.value
    }
}
