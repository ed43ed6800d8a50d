/// Var(p̄) / mean(p̄)²: the squared coefficient of variation of the experts' importance (Shazeer et al., "Outrageously
/// large neural networks", ICLR 2017; section 4.5).
public struct ImportanceVariation: RouterLoss {
    public static let name = "cv"
    public static let about = "squared coefficient of variation of importance"

    public init() {}

    public func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double {
        let (mean, count) = batch.meanProbability(0..<batch.rows)
        guard count > 0 else { return 0 }
        let variation = SquaredVariation(mean)
        for row in 0..<batch.rows where batch.counts(row) {
            batch.addChain(row: row, scale: scale / Double(count)) { variation.slope(mean[$0]) }
        }
        return variation.value
    }
}

/// V/μ² of some numbers and its derivative.
struct SquaredVariation {
    let value: Double
    private let mean: Double
    private let variance: Double
    private let count: Double

    init(_ numbers: [Double]) {
        count = Double(max(1, numbers.count))
        let mean = numbers.reduce(0, +) / count
        self.mean = mean
        variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
        value = mean == 0 ? 0 : variance / (mean * mean)
    }

    /// ∂(V/μ²)/∂x at one of the numbers.
    func slope(_ x: Double) -> Double {
        mean == 0 ? 0 : (2 * (x - mean) - 2 * variance / mean) / (count * mean * mean)
    }
}
