import Foundation

/// Takes experts out of mixing weights.
struct Removal: Sendable {
    let experts: Set<Int>
    /// Experts in all.
    let count: Int
    /// Chooses anew among the others; nil: the weights that are left are scaled up to the old sum.
    var rule: MixingRule?

    var isEmpty: Bool { experts.isEmpty }

    /// - Parameters:
    ///   - weights: [rows, experts]. A row that used only removed experts becomes zero unless a rule chooses anew.
    ///   - p: probabilities of the same shape.
    func applied(to weights: [Float], p: [Float]) -> [Float] {
        guard !isEmpty else { return weights }
        var result = weights
        for first in stride(from: 0, to: weights.count, by: count) {
            if let rule {
                let row = chosen(Array(p[first..<first + count]), rule)
                for expert in 0..<count { result[first + expert] = row[expert] }
                continue
            }
            let before = weights[first..<first + count].reduce(0, +)
            for expert in experts { result[first + expert] = 0 }
            let after = result[first..<first + count].reduce(0, +)
            guard after > 0 else { continue }
            for expert in 0..<count { result[first + expert] *= before / after }
        }
        return result
    }

    /// Weights as the rule gives them when the removed experts had never been there.
    private func chosen(_ p: [Float], _ rule: MixingRule) -> [Float] {
        var rest = 1.0
        var all = [Double](repeating: 0, count: rule.outputs)
        for expert in 0..<count {
            rest -= Double(p[expert])
            if !experts.contains(expert) { all[expert] = Double(p[expert]) }
        }
        if rule.outputs > count { all[count] = max(0, rest) }
        let total = all.reduce(0, +)
        guard total > 0 else { return Array(repeating: 0, count: count) }
        all = all.map { $0 / total }
        let logs = all.map { $0 > 0 ? log($0) : -.infinity }
        var w = [Double](repeating: 0, count: rule.outputs)
        all.withUnsafeBufferPointer { p in
            logs.withUnsafeBufferPointer { logP in
                w.withUnsafeMutableBufferPointer { w in
                    guard let p = p.baseAddress, let logP = logP.baseAddress, let w = w.baseAddress else { return }
                    rule.weights(p: p, logP: logP, domain: nil, into: w)
                }
            }
        }
        return w.prefix(count).map(Float.init)
    }
}
