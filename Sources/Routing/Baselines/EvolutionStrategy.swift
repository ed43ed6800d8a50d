import Foundation
import LinearAlgebra
import Tensors

/// CMA-ES (Hansen 2016, arXiv 1604.00772) for few variables within bounds, with an explicit seed. Candidates outside the
/// bounds are moved to them before they are evaluated.
struct EvolutionStrategy {
    var bounds: ClosedRange<Double>
    /// First step size.
    var sigma = 0.5
    var evaluations = 200
    var seed: UInt64

    /// - Returns: the best candidate that was evaluated, the start among them.
    func minimise(from start: [Double], _ function: ([Double]) throws -> Double) throws -> (
        point: [Double], value: Double
    ) {
        let n = start.count
        let d = Double(n)
        let size = 4 + Int(3 * log(d))
        let parents = size / 2
        let raw = (0..<parents).map { log(Double(parents) + 0.5) - log(Double($0 + 1)) }
        let weights = raw.map { $0 / raw.reduce(0, +) }
        let mass = 1 / weights.reduce(0) { $0 + $1 * $1 }
        let cSigma = (mass + 2) / (d + mass + 5)
        let damping = 1 + 2 * max(0, ((mass - 1) / (d + 1)).squareRoot() - 1) + cSigma
        let cPath = (4 + mass / d) / (d + 4 + 2 * mass / d)
        let cOne = 2 / ((d + 1.3) * (d + 1.3) + mass)
        let cMany = min(1 - cOne, 2 * (mass - 2 + 1 / mass) / ((d + 2) * (d + 2) + mass))
        let expected = d.squareRoot() * (1 - 1 / (4 * d) + 1 / (21 * d * d))

        var mean = start
        var step = sigma
        var covariance = Matrix<Double>.identity(n)
        var sigmaPath = [Double](repeating: 0, count: n)
        var path = sigmaPath
        var best = (point: clamped(start), value: try function(clamped(start)))
        var used = 1
        var generation = 0
        let random = CounterRandom(seed: seed, stream: "evolution strategy")
        while used + size <= evaluations {
            let eigen = try symmetricEigen(covariance)
            let roots = eigen.values.map { max($0, 1e-20).squareRoot() }
            let normals = Self.normals(random, generation, size * n)
            var candidates: [(y: [Double], x: [Double], value: Double)] = []
            for index in 0..<size {
                let z = Array(normals[index * n..<(index + 1) * n])
                let y = Self.transform(eigen.vectors, roots, z)
                let x = clamped(zip(mean, y).map { $0 + step * $1 })
                let value = try function(x)
                candidates.append((zip(x, mean).map { ($0 - $1) / step }, x, value))
                if value < best.value { best = (x, value) }
            }
            used += size
            let order = candidates.indices.sorted { (candidates[$0].value, $0) < (candidates[$1].value, $1) }
            let chosen = order.prefix(parents).map { candidates[$0].y }
            let shift = (0..<n).map { i in zip(weights, chosen).reduce(0.0) { $0 + $1.0 * $1.1[i] } }
            for i in 0..<n { mean[i] += step * shift[i] }
            let white = Self.transform(eigen.vectors, roots.map { 1 / $0 }, Self.project(eigen.vectors, shift))
            let sigmaGain = (cSigma * (2 - cSigma) * mass).squareRoot()
            for i in 0..<n { sigmaPath[i] = (1 - cSigma) * sigmaPath[i] + sigmaGain * white[i] }
            let length = sigmaPath.reduce(0) { $0 + $1 * $1 }.squareRoot()
            generation += 1
            let bias = (1 - pow(1 - cSigma, 2 * Double(generation))).squareRoot()
            let stalls = length / bias >= (1.4 + 2 / (d + 1)) * expected
            let pathGain = stalls ? 0 : (cPath * (2 - cPath) * mass).squareRoot()
            for i in 0..<n { path[i] = (1 - cPath) * path[i] + pathGain * shift[i] }
            let kept = 1 - cOne - cMany + (stalls ? cOne * cPath * (2 - cPath) : 0)
            for i in 0..<n {
                for j in 0..<n {
                    let many = zip(weights, chosen).reduce(0.0) { $0 + $1.0 * $1.1[i] * $1.1[j] }
                    covariance[i, j] = kept * covariance[i, j] + cOne * path[i] * path[j] + cMany * many
                }
            }
            step *= exp(cSigma / damping * (length / expected - 1))
        }
        return best
    }

    private func clamped(_ x: [Double]) -> [Double] { x.map { min(bounds.upperBound, max(bounds.lowerBound, $0)) } }

    private static func normals(_ random: CounterRandom, _ generation: Int, _ count: Int) -> [Double] {
        var buffer = [Float](repeating: 0, count: count)
        buffer.withUnsafeMutableBufferPointer { random.fillNormals(from: UInt64(generation) << 20, into: $0) }
        return buffer.map(Double.init)
    }

    /// V·(d ⊙ z) with the eigenvectors in the columns of V.
    private static func transform(_ vectors: Matrix<Double>, _ d: [Double], _ z: [Double]) -> [Double] {
        (0..<z.count).map { row in z.indices.reduce(0.0) { $0 + vectors[row, $1] * d[$1] * z[$1] } }
    }

    /// Vᵀ·x.
    private static func project(_ vectors: Matrix<Double>, _ x: [Double]) -> [Double] {
        x.indices.map { column in x.indices.reduce(0.0) { $0 + vectors[$1, column] * x[$1] } }
    }
}
