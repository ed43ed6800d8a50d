import Diagnostics
import Foundation
import Tensors

extension MergeMethod {
    /// Barycentre on the sphere in one step (merge-methods 3.11): with unit updates u_i and their normalised weighted mean
    /// μ, the mean of the tangents at μ leads to the direction u*; Δ* = (Σ w_i ‖Δ_i‖) u*.
    static let multiSlerp = MergeMethod(
        MethodDescription(
            id: "multislerp", title: "Spherical barycentre, one step",
            summary:
                "Averages the directions of any number of updates on the sphere and their lengths apart from that.",
            exactness: .gram, source: "arcee-ai/mergekit, multislerp",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "normalize_weights", .bool, default: .bool(true), summary: "divide the weights by their sum"),
            ],
            cost: "one pass over the factors for the Gram matrix", baseUse: .optional),
        .gram { context, gram in
            let weights = try context.sphereWeights(normalized: context.flag("normalize_weights"))
            let lambda = try context.number("lambda")
            return try Sphere(gram).tangentMean(weights, context).map { lambda * $0 }
        })

    /// Karcher mean: the barycentre on the sphere, iterated until the mean tangent is shorter than `tol`.
    static let karcher = MergeMethod(
        MethodDescription(
            id: "karcher", title: "Karcher mean",
            summary: "The mean direction on the sphere, found by iteration, with the mean length.", exactness: .gram,
            source: "arXiv 2603.04972; arcee-ai/mergekit, karcher",
            parameters: [.weight, .lambda(), .maximumIterations, .karcherTolerance],
            cost: "one pass over the factors for the Gram matrix", baseUse: .optional),
        .gram { context, gram in
            let weights = try context.sphereWeights(normalized: true)
            let lambda = try context.number("lambda")
            return Sphere(gram).karcherMean(
                weights, iterations: Int(try context.number("max_iter")), tolerance: try context.number("tol")
            ).map { lambda * $0 }
        })
}

extension ParameterDeclaration {
    static let maximumIterations = ParameterDeclaration(
        "max_iter", .integer, default: .number(10), range: .atLeast(1), summary: "most iterations")
    static let karcherTolerance = ParameterDeclaration(
        "tol", .number, default: .number(1e-5), range: .positive, summary: "length of the mean tangent to stop at")
}

extension MethodContext {
    /// The weights, divided by their sum where asked for.
    ///
    /// - Throws: `recipe.zero_weight_sum`.
    func sphereWeights(normalized: Bool) throws -> [Double] {
        let divisor = try weightDivisor(normalize: normalized)
        return weights.map { $0 / divisor }
    }
}

/// Unit vectors u_i = Δ_i/‖Δ_i‖ known by their inner products. Points are coefficient vectors on the u_i; zero updates have
/// no direction and never get a coefficient.
struct Sphere {
    private let norms: [Double]
    private let cosines: Matrix<Double>

    init(_ gram: Matrix<Double>) {
        norms = (0..<gram.rows).map { max(gram[$0, $0], 0).squareRoot() }
        var cosines = Matrix<Double>(rows: gram.rows, columns: gram.columns)
        for i in 0..<gram.rows {
            for j in 0..<gram.columns where norms[i] > 0 && norms[j] > 0 {
                cosines[i, j] = i == j ? 1 : gram[i, j] / (norms[i] * norms[j])
            }
        }
        self.cosines = cosines
    }

    private func inner(_ a: [Double], _ b: [Double]) -> Double {
        var sum = 0.0
        for i in a.indices {
            for j in b.indices { sum += a[i] * cosines[i, j] * b[j] }
        }
        return sum
    }

    private func length(_ a: [Double]) -> Double { max(inner(a, a), 0).squareRoot() }

    private func unit(_ i: Int) -> [Double] { norms.indices.map { $0 == i && norms[i] > 0 ? 1 : 0 } }

    private static func add(_ a: [Double], _ factor: Double, _ b: [Double]) -> [Double] {
        zip(a, b).map { $0 + factor * $1 }
    }

    /// Coefficients on the Δ_i of a direction with the weighted mean length.
    private func scaled(_ direction: [Double], _ weights: [Double]) -> [Double] {
        let mean = zip(weights, norms).reduce(0) { $0 + $1.0 * $1.1 }
        return zip(direction, norms).map { $1 > 0 ? mean * $0 / $1 : 0 }
    }

    private func mean(_ weights: [Double]) -> [Double] { zip(weights, norms).map { $1 > 0 ? $0 : 0 } }

    /// A step along a tangent from a point of the sphere.
    private func step(_ point: [Double], _ tangent: [Double], _ size: Double) -> [Double] {
        Sphere.add(point.map { $0 * cos(size) }, sin(size) / size, tangent)
    }

    /// - Throws: `numeric.no_convergence` when the directions of three or more updates cancel.
    func tangentMean(_ weights: [Double], _ context: MethodContext) throws -> [Double] {
        let sum = mean(weights)
        let size = length(sum)
        guard size >= 1e-8 else {
            if weights.count <= 2 || norms.allSatisfy({ $0 == 0 }) { return weights }
            throw Failure(
                .numericNoConvergence, "the weighted directions of the updates cancel, so that they have no mean",
                place: context.module, hint: "choose other weights, or linear")
        }
        let point = sum.map { $0 / size }
        var tangent = [Double](repeating: 0, count: weights.count)
        for (i, w) in weights.enumerated() where norms[i] > 0 {
            let u = unit(i)
            tangent = Sphere.add(tangent, w, Sphere.add(u, -inner(u, point), point))
        }
        let move = length(tangent)
        return scaled(move > 1e-12 ? step(point, tangent, move) : point, weights)
    }

    func karcherMean(_ weights: [Double], iterations: Int, tolerance: Double) -> [Double] {
        guard let first = norms.firstIndex(where: { $0 > 0 }) else { return weights }
        let sum = mean(weights)
        let size = length(sum)
        var point = size < tolerance ? unit(first) : sum.map { $0 / size }
        for _ in 0..<iterations {
            var tangent = [Double](repeating: 0, count: weights.count)
            for (i, w) in weights.enumerated() where norms[i] > 0 {
                let u = unit(i)
                let cosine = min(1, max(-1, inner(u, point)))
                let angle = acos(cosine)
                let stretch = sin(angle) < 1e-8 ? 1 : angle / sin(angle)
                tangent = Sphere.add(tangent, w * stretch, Sphere.add(u, -cosine, point))
            }
            let move = length(tangent)
            guard move >= tolerance else { break }
            point = step(point, tangent, move)
            let norm = length(point)
            point = point.map { $0 / norm }
        }
        return scaled(point, weights)
    }
}
