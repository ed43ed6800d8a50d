/// TIES and magnitude pruning on dense entries with full sorts: the meaning of the parameters, spelled out.
struct TiesReference {
    var densities: [Double]
    var weights: [Double]
    var scope = "tensor"
    var tieBreak = "threshold"
    var elect = "sum"
    var zeroSign = "plus"
    var reduce = "mean"
    var lambda = 1.0

    /// Sets all but the largest magnitudes of a list to zero.
    func trimmed(_ values: [Float], density: Double) -> [Float] {
        if density >= 1 { return values }
        let k = Int((density * Double(values.count) + 1e-9).rounded(.down))
        if k == 0 { return values.map { _ in 0 } }
        // A stable sort: of equal magnitudes the first ones come first.
        let order = values.indices.sorted { (abs(values[$0]), -$0) > (abs(values[$1]), -$1) }
        let threshold = abs(values[order[k - 1]])
        let kept = Set(order.prefix(k))
        return values.indices.map { i in
            let keep = tieBreak == "exact" ? kept.contains(i) : abs(values[i]) >= threshold
            return keep ? values[i] : 0
        }
    }

    /// All adapters' entries (adapter, module, entry), trimmed in their scope. `columns`: entries per row by module.
    func trimmed(_ entries: [[[Float]]], columns: [Int]) -> [[[Float]]] {
        entries.enumerated().map { adapter, modules in
            switch scope {
            case "adapter":
                var flat = trimmed(modules.flatMap { $0 }, density: densities[adapter])[...]
                return modules.map { module in
                    defer { flat = flat.dropFirst(module.count) }
                    return Array(flat.prefix(module.count))
                }
            case "row":
                return zip(modules, columns).map { module, width in
                    stride(from: 0, to: module.count, by: width).flatMap {
                        trimmed(Array(module[$0..<$0 + width]), density: densities[adapter])
                    }
                }
            default: return modules.map { trimmed($0, density: densities[adapter]) }
            }
        }
    }

    private func sign(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : 0 }

    private func vote(_ entries: [[[Float]]], _ module: Int, _ e: Int) -> Double {
        var sum = 0.0
        for (i, w) in weights.enumerated() {
            let term = w * Double(entries[i][module][e])
            sum += elect == "count" ? sign(term) : term
        }
        return sum
    }

    /// The merged entries by module.
    func merged(_ all: [[[Float]]], columns: [Int]) -> [[Float]] {
        let x = trimmed(all, columns: columns)
        let balances = x[0].indices.map { module in
            x[0][module].indices.reduce(0.0) { $0 + sign(vote(x, module, $1)) }
        }
        return x[0].indices.map { module in
            let balance = scope == "adapter" ? balances.reduce(0, +) : balances[module]
            let draw: Double = zeroSign == "plus" || balance > 0 ? 1 : -1
            return x[0][module].indices.map { e in
                let score = sign(vote(x, module, e))
                let elected = score == 0 ? draw : score
                var (sum, count, mass, largest) = (0.0, 0.0, 0.0, 0.0)
                for (i, w) in weights.enumerated() {
                    let term = w * Double(x[i][module][e])
                    guard sign(term) == elected else { continue }
                    sum += term
                    count += 1
                    mass += w
                    largest = max(largest, abs(term))
                }
                switch reduce {
                case "sum": return Float(lambda * sum)
                case "max": return Float(lambda * (elected * largest))
                case "weighted_mean": return Float(lambda * (sum / (mass == 0 ? 1 : mass)))
                default: return Float(lambda * (sum / max(1, count)))
                }
            }
        }
    }

    /// Σ w_i of the trimmed entries, by module.
    func pruned(_ all: [[[Float]]], columns: [Int]) -> [[Float]] {
        let x = trimmed(all, columns: columns)
        return x[0].indices.map { module in
            x[0][module].indices.map { e in
                var sum = 0.0
                for (i, w) in weights.enumerated() { sum += lambda * w * Double(x[i][module][e]) }
                return Float(sum)
            }
        }
    }
}
