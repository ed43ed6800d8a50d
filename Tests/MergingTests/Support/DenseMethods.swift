import Foundation

/// Plain-loop forms of merge methods on dense updates, after the definitions of the papers; shared by several suites.
enum DenseMethods {
    /// Singular triples above `relative · σ₀`.
    static func support(_ a: Dense, _ relative: Double = 1e-6) -> (u: Dense, sigma: [Double], v: Dense) {
        let svd = JacobiSVD(a)
        let kept = Array(0..<svd.rank(relative))
        return (svd.u.columns(kept), kept.map { svd.sigma[$0] }, svd.v.columns(kept))
    }

    static func product(_ u: Dense, _ sigma: [Double], _ v: Dense) -> Dense {
        var scaled = u
        for i in 0..<u.rows { for j in sigma.indices { scaled[i, j] *= sigma[j] } }
        return scaled * v.transposed
    }

    static func isotropic(_ a: Dense, beta: Double = 1, overMinDim: Bool = false) -> Dense {
        let s = support(a)
        let mean = s.sigma.reduce(0, +) / Double(overMinDim ? min(a.rows, a.columns) : s.sigma.count)
        return product(s.u, s.sigma.map { (1 - beta) * $0 + beta * mean }, s.v)
    }

    static func isoCTS(_ updates: [Dense], fraction: Double) -> Dense {
        let sum = Dense.sum(updates.map { (1, $0) })
        let common = support(sum)
        let budget = common.sigma.count
        let wanted = Int((fraction * Double(budget) + 1e-9).rounded(.down))
        let own = Int((Double(budget - wanted) / Double(updates.count)).rounded(.toNearestOrEven))
        let k = budget - own * updates.count
        let first = Array(0..<k)
        let uc = common.u.columns(first)
        var (u, v): ([Dense], [Dense]) = ([], [])
        var sigma: [Double] = []
        for update in updates where own > 0 {
            let rest = update - uc * (uc.transposed * update)
            let svd = JacobiSVD(rest)
            let kept = Array(0..<min(own, svd.sigma.filter { $0 > 1e-6 * update.norm }.count))
            u.append(svd.u.columns(kept))
            v.append(svd.v.columns(kept))
            sigma += kept.map { svd.sigma[$0] }
        }
        u.append(uc)
        v.append(common.v.columns(first))
        sigma += first.map { common.sigma[$0] }
        let mean = sigma.reduce(0, +) / Double(sigma.count)
        let left = JacobiSVD(Dense.sideBySide(u)).polar(1e-9)
        let right = JacobiSVD(Dense.sideBySide(v)).polar(1e-9)
        return mean * (left * right.transposed)
    }

    static func svc(_ merged: Dense, _ updates: [Dense], alpha: Double) -> Dense {
        let s = support(merged)
        let own = s.u.transposed * merged
        var gamma = [Double](repeating: 0, count: s.sigma.count)
        for update in updates {
            let part = s.u.transposed * update
            for j in s.sigma.indices {
                var (inner, square) = (0.0, 0.0)
                for k in 0..<part.columns {
                    inner += own[j, k] * part[j, k]
                    square += part[j, k] * part[j, k]
                }
                gamma[j] += square < 1e-12 * s.sigma[j] * s.sigma[j] ? alpha : max(alpha, inner / square)
            }
        }
        return product(s.u, zip(s.sigma, gamma).map { $0 * Double(updates.count) / $1 }, s.v)
    }

    /// The steps as published, with the rescaling of every step, on one module.
    static func opcm(_ updates: [Dense], alpha: Double) -> Dense {
        var state = updates[0]
        var lambda = 1.0
        var norms = [updates[0].norm]
        for update in updates.dropFirst() {
            norms.append(update.norm)
            let s = support(state)
            let total = s.sigma.reduce(0, +)
            var (running, kappa) = (0.0, s.sigma.count)
            for (j, value) in s.sigma.enumerated() {
                running += value
                if running / total > alpha {
                    kappa = j
                    break
                }
            }
            var z = s.u.transposed * update * s.v
            for k in 0..<z.rows {
                for l in 0..<z.columns where k != l && !(k < kappa && l < kappa) { z[k, l] = 0 }
            }
            let sum = lambda * state + (update - s.u * z * s.v.transposed)
            let mean = norms.reduce(0, +) / Double(norms.count)
            lambda = sum.norm / mean
            state = (mean / sum.norm) * sum
        }
        return state
    }

    /// The KnOTS coordinates of all updates: U and the Y_i.
    static func knots(_ updates: [Dense]) -> (u: Dense, parts: [Dense]) {
        let all = Dense.sideBySide(updates)
        let svd = JacobiSVD(all)
        let u = svd.u.columns(Array(0..<svd.rank(1e-7)))
        return (u, updates.map { u.transposed * $0 })
    }

    static func flat(_ a: Dense) -> [Float] { a.values.map(Float.init) }

    static func inner(_ a: Dense, _ b: Dense) -> Double { zip(a.values, b.values).reduce(0) { $0 + $1.0 * $1.1 } }
}
