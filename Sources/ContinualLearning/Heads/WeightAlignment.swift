import Networks

/// Post-hoc balance of a linear head (WA, Zhao et al. 2020; cil-engine 11.3).
public enum WeightAlignment {
    /// Multiplies the rows of new classes by γ = mean‖w_old‖ / mean‖w_new‖.
    ///
    /// - Returns: γ; nil, and nothing changed, when there are no old rows or the new ones are zero.
    @discardableResult
    public static func align(_ head: inout LinearHead, old: [Int], new: [Int]) -> Double? {
        let before = meanNorm(head, old)
        let now = meanNorm(head, new)
        guard let before, let now, now > 0 else { return nil }
        let gamma = before / now
        for row in new {
            for column in 0..<head.width { head.weight[row, column] = Float(gamma * Double(head.weight[row, column])) }
        }
        return gamma
    }

    /// Mean ‖w_c‖ over some classes; nil for none.
    public static func meanNorm(_ head: LinearHead, _ classes: [Int]) -> Double? {
        guard !classes.isEmpty else { return nil }
        let norms = classes.map { row in
            (0..<head.width).reduce(0.0) { $0 + Double(head.weight[row, $1]) * Double(head.weight[row, $1]) }
                .squareRoot()
        }
        return norms.reduce(0, +) / Double(norms.count)
    }
}
