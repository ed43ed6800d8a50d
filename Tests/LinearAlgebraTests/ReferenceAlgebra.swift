import Tensors

@testable import LinearAlgebra

/// Slow and obvious forms, for comparison.
enum Reference {
    static func product(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Matrix<Double> {
        var c = Matrix<Double>(rows: a.rows, columns: b.columns)
        for i in 0..<a.rows {
            for k in 0..<a.columns {
                let factor = a[i, k]
                for j in 0..<b.columns { c[i, j] += factor * b[k, j] }
            }
        }
        return c
    }

    static func delta(_ factors: LowRankFactors) -> Matrix<Double> {
        product(factors.b.inDouble, factors.a.inDouble).scaled(by: factors.scale)
    }

    static func sum(_ parts: [Matrix<Double>], weights: [Double]) -> Matrix<Double> {
        var result = Matrix<Double>(rows: parts[0].rows, columns: parts[0].columns)
        for (part, weight) in zip(parts, weights) {
            for i in part.elements.indices { result.elements[i] += weight * part.elements[i] }
        }
        return result
    }

    static func difference(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Double {
        sum([a, b], weights: [1, -1]).frobeniusNorm
    }

    /// ‖a − b‖ / ‖b‖, absolute for b = 0.
    static func relativeError(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Double {
        let norm = b.frobeniusNorm
        return difference(a, b) / (norm > 0 ? norm : 1)
    }

    /// ‖QᵀQ − 1‖ of the columns.
    static func orthonormalityError(_ q: Matrix<Double>) -> Double {
        difference(product(q.transposed(), q), .identity(q.columns))
    }
}

/// Random matrices that depend on a seed alone.
struct TestRandom {
    var random: CounterRandom
    var position: UInt64 = 0

    init(_ seed: UInt64) { random = CounterRandom(seed: seed, stream: "test") }

    mutating func floats(_ rows: Int, _ columns: Int) -> Matrix<Float> {
        defer { position += UInt64(rows * columns + 4) }
        return Matrix(rows: rows, columns: columns, writtenBy: { random.fillNormals(from: position, into: $0) })
    }

    mutating func doubles(_ rows: Int, _ columns: Int) -> Matrix<Double> {
        // Two draws per number, so that the lower bits are random too.
        let coarse = floats(rows, columns).inDouble
        let fine = floats(rows, columns).inDouble
        return Reference.sum([coarse, fine], weights: [1, 1e-8])
    }

    mutating func factors(_ m: Int, _ n: Int, _ r: Int, scale: Double = 2) -> LowRankFactors {
        LowRankFactors(b: floats(m, r), a: floats(r, n), scale: scale)
    }

    mutating func integer(below bound: Int) -> Int {
        defer { position += 1 }
        return Int(random.word(position) % UInt32(bound))
    }
}
