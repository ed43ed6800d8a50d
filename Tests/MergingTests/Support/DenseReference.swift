import Foundation

/// A dense matrix in double precision with plain loops: what the engine's results are compared with. Shares no code
/// with the product.
struct Dense: Equatable {
    var rows: Int
    var columns: Int
    var values: [Double]

    init(_ rows: Int, _ columns: Int, _ values: [Double]) {
        (self.rows, self.columns, self.values) = (rows, columns, values)
    }

    init(_ rows: Int, _ columns: Int) { self.init(rows, columns, [Double](repeating: 0, count: rows * columns)) }

    static func identity(_ n: Int) -> Dense {
        var result = Dense(n, n)
        for i in 0..<n { result[i, i] = 1 }
        return result
    }

    subscript(_ i: Int, _ j: Int) -> Double {
        get { values[i * columns + j] }
        set { values[i * columns + j] = newValue }
    }

    var transposed: Dense {
        var result = Dense(columns, rows)
        for i in 0..<rows { for j in 0..<columns { result[j, i] = self[i, j] } }
        return result
    }

    var norm: Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    static func * (a: Dense, b: Dense) -> Dense {
        var result = Dense(a.rows, b.columns)
        a.values.withUnsafeBufferPointer { x in
            b.values.withUnsafeBufferPointer { y in
                result.values.withUnsafeMutableBufferPointer { z in
                    for i in 0..<a.rows {
                        for k in 0..<a.columns {
                            let factor = x[i * a.columns + k]
                            if factor == 0 { continue }
                            for j in 0..<b.columns { z[i * b.columns + j] += factor * y[k * b.columns + j] }
                        }
                    }
                }
            }
        }
        return result
    }

    static func * (factor: Double, a: Dense) -> Dense { Dense(a.rows, a.columns, a.values.map { factor * $0 }) }
    static func + (a: Dense, b: Dense) -> Dense { Dense(a.rows, a.columns, zip(a.values, b.values).map { $0 + $1 }) }
    static func - (a: Dense, b: Dense) -> Dense { Dense(a.rows, a.columns, zip(a.values, b.values).map { $0 - $1 }) }

    static func sum(_ terms: [(Double, Dense)]) -> Dense {
        var result = Dense(terms[0].1.rows, terms[0].1.columns)
        for (factor, term) in terms { result = result + factor * term }
        return result
    }

    func columns(_ wanted: [Int]) -> Dense {
        var result = Dense(rows, wanted.count)
        for i in 0..<rows { for (k, j) in wanted.enumerated() { result[i, k] = self[i, j] } }
        return result
    }

    static func sideBySide(_ parts: [Dense]) -> Dense {
        var result = Dense(parts[0].rows, parts.reduce(0) { $0 + $1.columns })
        var start = 0
        for part in parts {
            for i in 0..<part.rows { for j in 0..<part.columns { result[i, start + j] = part[i, j] } }
            start += part.columns
        }
        return result
    }

    /// ‖self − other‖ / ‖other‖, absolute where the other is zero.
    func distance(to other: Dense) -> Double {
        guard rows == other.rows, columns == other.columns else { return .infinity }
        let difference = (self - other).norm
        return other.norm > 0 ? difference / other.norm : difference
    }
}

/// Singular value decomposition by one-sided Jacobi rotations (Hestenes): slow, simple, accurate.
struct JacobiSVD {
    /// m×k, k = min(m, n).
    let u: Dense
    /// Falling.
    let sigma: [Double]
    /// n×k
    let v: Dense

    init(_ a: Dense) {
        if a.rows < a.columns {
            let turned = JacobiSVD(a.transposed)
            (u, sigma, v) = (turned.v, turned.sigma, turned.u)
            return
        }
        // Columns as arrays: x becomes U·Σ, w becomes V.
        var x = (0..<a.columns).map { j in (0..<a.rows).map { a[$0, j] } }
        var w = (0..<a.columns).map { j in (0..<a.columns).map { $0 == j ? 1.0 : 0.0 } }
        for _ in 0..<60 where !JacobiSVD.sweep(&x, &w) {}
        let lengths = x.map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let order = lengths.indices.sorted { lengths[$0] > lengths[$1] }
        var left = Dense(a.rows, order.count)
        var right = Dense(a.columns, order.count)
        for (k, j) in order.enumerated() {
            for i in 0..<a.rows { left[i, k] = lengths[j] > 0 ? x[j][i] / lengths[j] : 0 }
            for i in 0..<a.columns { right[i, k] = w[j][i] }
        }
        (u, sigma, v) = (left, order.map { lengths[$0] }, right)
    }

    /// One sweep over all pairs of columns; true when nothing had to be rotated.
    private static func sweep(_ x: inout [[Double]], _ w: inout [[Double]]) -> Bool {
        var quiet = true
        for p in 0..<x.count {
            for q in (p + 1)..<max(p + 1, x.count) {
                var (alpha, beta, gamma) = (0.0, 0.0, 0.0)
                for i in x[p].indices {
                    alpha += x[p][i] * x[p][i]
                    beta += x[q][i] * x[q][i]
                    gamma += x[p][i] * x[q][i]
                }
                guard abs(gamma) > 1e-15 * (alpha * beta).squareRoot(), gamma != 0 else { continue }
                quiet = false
                let zeta = (beta - alpha) / (2 * gamma)
                let t = (zeta >= 0 ? 1.0 : -1.0) / (abs(zeta) + (1 + zeta * zeta).squareRoot())
                let c = 1 / (1 + t * t).squareRoot()
                rotate(&x, p, q, c, c * t)
                rotate(&w, p, q, c, c * t)
            }
        }
        return quiet
    }

    private static func rotate(_ x: inout [[Double]], _ p: Int, _ q: Int, _ c: Double, _ s: Double) {
        var (a, b) = (x[p], x[q])
        for i in a.indices { (a[i], b[i]) = (c * a[i] - s * b[i], s * a[i] + c * b[i]) }
        (x[p], x[q]) = (a, b)
    }

    /// Number of singular values above `relative · σ₀`.
    func rank(_ relative: Double) -> Int { sigma.prefix { $0 > relative * (sigma.first ?? 0) && $0 > 0 }.count }

    /// The best approximation of rank q.
    func truncated(_ q: Int) -> Dense {
        let kept = Array(0..<min(q, sigma.count))
        var scaled = u.columns(kept)
        for i in 0..<scaled.rows { for j in kept { scaled[i, j] *= sigma[j] } }
        return scaled * v.columns(kept).transposed
    }

    /// Σ P_ρ Q_ρᵀ of the directions above `relative · σ₀`.
    func polar(_ relative: Double) -> Dense {
        let kept = Array(0..<rank(relative))
        return u.columns(kept) * v.columns(kept).transposed
    }
}

/// A small seeded generator (SplitMix64) for the tests' own data.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    mutating func normal() -> Double {
        let radius = (-2 * Foundation.log(1 - uniform())).squareRoot()
        return radius * Foundation.cos(2 * .pi * uniform())
    }

    mutating func matrix(_ rows: Int, _ columns: Int, scale: Double = 1) -> Dense {
        Dense(rows, columns, (0..<rows * columns).map { _ in Double(Float(scale * normal())) })
    }

    /// An orthogonal matrix.
    mutating func orthogonal(_ n: Int) -> Dense {
        let svd = JacobiSVD(matrix(n, n))
        return svd.u * svd.v.transposed
    }
}
