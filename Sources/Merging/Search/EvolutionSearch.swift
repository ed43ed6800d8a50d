import Foundation
import LinearAlgebra
import Settings
import Tensors

/// Covariance matrix adaptation (CMA-ES) over the box that the values of each dimension span.
///
/// Coordinates are scaled to 0…1; the search begins in the middle with σ = 0.3; candidates outside are moved to the
/// edge. Constants as in Hansen, "The CMA evolution strategy: a tutorial", 2016, table 1.
struct EvolutionSearch {
    private let bounds: [ClosedRange<Double>]
    private let isInteger: [Bool]
    private let budget: Int
    private let seed: UInt64

    init(_ dimensions: [SearchSettings.Dimension], budget: Int, seed: UInt64) {
        let numbers = dimensions.map { $0.values.compactMap(FieldReader.number) }
        bounds = numbers.map { ($0.min() ?? 0)...($0.max() ?? 0) }
        isInteger = dimensions.map {
            $0.values.allSatisfy { FieldReader.integer($0) != nil } && $0.key.contains("rank")
        }
        self.budget = budget
        self.seed = seed
    }

    private func texts(_ point: [Double]) -> [String] {
        point.indices.map { index in
            let range = bounds[index]
            let value = range.lowerBound + point[index] * (range.upperBound - range.lowerBound)
            return isInteger[index] ? String(Int(value.rounded())) : String(value)
        }
    }

    func run(_ evaluate: ([String]) throws -> RecipeSearch.Trial) throws -> [RecipeSearch.Trial] {
        let n = bounds.count
        let size = Double(n)
        let lambda = 4 + Int(3 * log(size))
        let mu = lambda / 2
        let raw = (0..<mu).map { log(Double(mu) + 0.5) - log(Double($0 + 1)) }
        let weights = raw.map { $0 / raw.reduce(0, +) }
        let mass = 1 / weights.reduce(0) { $0 + $1 * $1 }
        let cc = (4 + mass / size) / (size + 4 + 2 * mass / size)
        let cs = (mass + 2) / (size + mass + 5)
        let c1 = 2 / ((size + 1.3) * (size + 1.3) + mass)
        let cmu = min(1 - c1, 2 * (mass - 2 + 1 / mass) / ((size + 2) * (size + 2) + mass))
        let damping = 1 + 2 * max(0, ((mass - 1) / (size + 1)).squareRoot() - 1) + cs
        let expected = size.squareRoot() * (1 - 1 / (4 * size) + 1 / (21 * size * size))
        var mean = [Double](repeating: 0.5, count: n)
        var sigma = 0.3
        var covariance = Matrix<Double>(rows: n, columns: n)
        for i in 0..<n { covariance[i, i] = 1 }
        var (ps, pc) = ([Double](repeating: 0, count: n), [Double](repeating: 0, count: n))
        var trials: [RecipeSearch.Trial] = []
        var generation = 0
        while trials.count < budget {
            let eigen = try symmetricEigen(covariance, place: "cma_es")
            let roots = eigen.values.map { max($0, 1e-20).squareRoot() }
            var offspring: [(step: [Double], score: Double)] = []
            for k in 0..<lambda where trials.count < budget {
                let z = normals(n, generation: generation, index: k)
                var step = [Double](repeating: 0, count: n)
                for i in 0..<n {
                    for j in 0..<n { step[i] += eigen.vectors[i, j] * roots[j] * z[j] }
                }
                let point = (0..<n).map { min(1, max(0, mean[$0] + sigma * step[$0])) }
                step = (0..<n).map { (point[$0] - mean[$0]) / sigma }
                let trial = try evaluate(texts(point))
                trials.append(trial)
                offspring.append((step, trial.score))
            }
            guard offspring.count == lambda else { break }
            let order = offspring.indices.sorted { (-offspring[$0].score, $0) < (-offspring[$1].score, $1) }
            var step = [Double](repeating: 0, count: n)
            for (weight, index) in zip(weights, order) {
                for i in 0..<n { step[i] += weight * offspring[index].step[i] }
            }
            for i in 0..<n { mean[i] += sigma * step[i] }
            var whitened = [Double](repeating: 0, count: n)
            for j in 0..<n {
                let along = (0..<n).reduce(0) { $0 + eigen.vectors[$1, j] * step[$1] } / roots[j]
                for i in 0..<n { whitened[i] += eigen.vectors[i, j] * along }
            }
            let push = (cs * (2 - cs) * mass).squareRoot()
            for i in 0..<n { ps[i] = (1 - cs) * ps[i] + push * whitened[i] }
            let length = ps.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let fade = (1 - pow(1 - cs, Double(2 * (generation + 1)))).squareRoot()
            let holds = length / fade < (1.4 + 2 / (size + 1)) * expected
            let pull = (cc * (2 - cc) * mass).squareRoot()
            for i in 0..<n { pc[i] = (1 - cc) * pc[i] + (holds ? pull * step[i] : 0) }
            for i in 0..<n {
                for j in 0..<n {
                    let rank = zip(weights, order).reduce(0) {
                        $0 + $1.0 * offspring[$1.1].step[i] * offspring[$1.1].step[j]
                    }
                    let correction = holds ? 0 : cc * (2 - cc) * covariance[i, j]
                    covariance[i, j] =
                        (1 - c1 - cmu) * covariance[i, j] + c1 * (pc[i] * pc[j] + correction) + cmu * rank
                }
            }
            sigma *= exp(cs / damping * (length / expected - 1))
            generation += 1
        }
        return trials
    }

    private func normals(_ count: Int, generation: Int, index: Int) -> [Double] {
        let random = CounterRandom(seed: seed, stream: "cma_es", String(generation), String(index))
        return random.normalMatrix(rows: 1, columns: count).elements.map(Double.init)
    }
}
