import Tensors

/// Entries of the elementwise methods with full sorts and plain loops, on lists of one module.
enum SparseReference {
    /// Breadcrumbs: a stable sort by falling magnitude, cut at both ends.
    static func outliers(_ values: [Float], density: Double, gamma: Double) -> [Float] {
        if density >= 1 { return values }
        let n = values.count
        let keep = Int(density * Double(n) + 1e-9)
        var top = Int(gamma * Double(n) + 1e-9)
        var bottom = n - keep - top
        if bottom < 0 { (top, bottom) = (top + bottom, 0) }
        let order = values.indices.sorted { (abs(values[$0]), -$0) > (abs(values[$1]), -$1) }
        let kept = Set(order[top..<(n - bottom)])
        return values.indices.map { kept.contains($0) ? values[$0] : 0 }
    }

    /// The keep probabilities of DELLA for one row.
    static func probabilities(_ row: [Float], density: Double, epsilon: Double) -> [Double] {
        let order = row.indices.sorted { (abs(row[$0]), $0) < (abs(row[$1]), $1) }
        var result = [Double](repeating: density, count: row.count)
        guard row.count > 1 else { return result }
        for (rank, j) in order.enumerated() {
            result[j] = density - epsilon + 2 * epsilon * Double(rank) / Double(row.count - 1)
        }
        return result
    }

    /// What a mask leaves of a list, rescaled.
    static func masked(
        _ values: [Float], _ mask: [Bool], probabilities: [Double], rescale: String
    ) -> [Double] {
        let all = values.reduce(0) { $0 + Double(abs($1)) }
        let kept = zip(values, mask).reduce(0) { $0 + ($1.1 ? Double(abs($1.0)) : 0) }
        return values.indices.map { e in
            guard mask[e] else { return 0 }
            switch rescale {
            case "inverse": return Double(values[e]) / probabilities[e]
            case "l1": return Double(values[e]) * all / kept
            default: return Double(values[e])
            }
        }
    }

    /// SCE on lists.
    static func sce(_ x: [[Float]], topK: Double, erases: Bool = true) -> [Double] {
        var x = x
        let (count, n) = (x.count, x[0].count)
        let variances = (0..<n).map { e -> Float in
            let mean = x.reduce(0) { $0 + Double($1[e]) } / Double(count)
            return Float(x.reduce(0) { $0 + (Double($1[e]) - mean) * (Double($1[e]) - mean) } / Double(count))
        }
        if topK < 1 {
            let k = Int(topK * Double(variances.count { $0 != 0 }) + 1e-9)
            let kept = Set((0..<n).sorted { (variances[$0], -$0) > (variances[$1], -$1) }.prefix(k))
            for i in x.indices { for e in 0..<n where !kept.contains(e) { x[i][e] = 0 } }
        }
        let squares = x.map { $0.reduce(0) { $0 + Double($1) * Double($1) } / Double(n) }
        let sum = squares.reduce(0, +)
        let c = sum < 1e-6 ? squares.map { _ in 1 / Double(count) } : squares.map { $0 / sum }
        return (0..<n).map { e in
            let sign: Double = x.reduce(0) { $0 + Double($1[e]) } >= 0 ? 1 : -1
            var (numerator, divisor) = (0.0, 0.0)
            for i in x.indices where !erases || Double(x[i][e]) * sign > 0 {
                numerator += c[i] * Double(x[i][e])
                divisor += c[i]
            }
            return numerator / max(divisor, 1e-6)
        }
    }
}

extension TestAdapter {
    /// Entries as the engine sees them: single precision, of module `m`.
    var entries: [Float] { modules[0].delta.values.map(Float.init) }
}
