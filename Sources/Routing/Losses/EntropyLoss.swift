/// ς · mean H(p_t): flattens (`printed`, ς = −1) or sharpens (ς = +1) each row's distribution (section 4.3).
///
/// The paper's printed formula and its text disagree about the sign, so each has a name of its own.
public struct EntropyLoss: RouterLoss {
    public static let name = "entropy"
    public static let about = "entropy of each decision: printed flattens, sharpen sharpens"

    public enum Sign: String, Sendable, CaseIterable {
        case printed, sharpen

        var factor: Double { self == .printed ? -1 : 1 }
    }

    public var sign: Sign

    public init(_ sign: Sign = .printed) { self.sign = sign }

    public func evaluate(_ batch: inout RouterBatch, scale: Double) -> Double {
        let count = Double(max(1, batch.counted))
        var total = 0.0
        for row in 0..<batch.rows where batch.counts(row) {
            let entropy = batch.entropy(row)
            total += entropy
            let first = row * batch.outputs
            let slope = -scale * sign.factor / (count * batch.temperature)
            for i in 0..<batch.outputs where batch.p[first + i] > 0 {
                batch.dz[first + i] += slope * batch.p[first + i] * (batch.logP[first + i] + entropy)
            }
        }
        return sign.factor * total / count
    }
}
