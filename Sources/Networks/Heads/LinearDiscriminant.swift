import Diagnostics
import Foundation
import LinearAlgebra
import Tensors

/// Linear discriminant analysis: class means and one shared covariance with shrinkage (`lda`).
///
/// `z_c = μ_cᵀ Σ⁻¹ f − ½ μ_cᵀ Σ⁻¹ μ_c + log π_c`, Σ = (1 − shrinkage)·S + shrinkage·tr(S)/d·I.
public struct LinearDiscriminant: Sendable {
    public let width: Int
    public private(set) var counts: [Int]
    private var sums: Matrix<Double>
    private var squares: Matrix<Double>

    public init(width: Int, classCount: Int) {
        self.width = width
        counts = [Int](repeating: 0, count: classCount)
        sums = Matrix(rows: classCount, columns: width)
        squares = Matrix(rows: width, columns: width)
    }

    /// Adds features [samples, width] under their labels.
    public mutating func add(_ features: Matrix<Float>, labels: [Int]) throws {
        let f = features.inDouble
        let added = try symmetricProduct(f, transposed: true)
        for index in squares.elements.indices { squares.elements[index] += added.elements[index] }
        for (row, label) in labels.enumerated() {
            counts[label] += 1
            for column in 0..<width { sums[label, column] += f[row, column] }
        }
    }

    /// The head over all classes; classes without samples get −∞.
    ///
    /// - Parameter shrinkage: 0…1.
    /// - Throws: `data.too_few` without samples, `numeric.no_convergence` when Σ is singular.
    public func head(shrinkage: Double = 0.1) throws -> LinearHead {
        var means = sums
        for label in counts.indices where counts[label] > 0 {
            for column in 0..<width { means[label, column] /= Double(counts[label]) }
        }
        let weighted = means.scalingRows(by: counts.map(Double.init))
        let between = try multiply(means, weighted, transposeA: true)
        var scatter = squares
        for index in scatter.elements.indices { scatter.elements[index] -= between.elements[index] }
        return try Self.head(counts: counts, means: means, scatter: scatter, shrinkage: shrinkage)
    }

    /// The head of known class means and a known scatter.
    ///
    /// - Parameters:
    ///   - counts: samples per class.
    ///   - means: μ_c [classes, width].
    ///   - scatter: Σ (f − μ_c)(f − μ_c)ᵀ over all samples [width, width]; S is this divided by their number.
    ///   - shrinkage: 0…1.
    /// - Throws: as above.
    public static func head(
        counts: [Int], means: Matrix<Double>, scatter: Matrix<Double>, shrinkage: Double = 0.1
    ) throws -> LinearHead {
        let width = means.columns
        let total = counts.reduce(0, +)
        guard total > 0 else { throw Failure(.dataTooFew, "a discriminant needs samples", place: "lda head") }
        var within = scatter.scaled(by: 1 / Double(total))
        let trace = (0..<width).reduce(0) { $0 + within[$1, $1] }
        for index in within.elements.indices { within.elements[index] *= 1 - shrinkage }
        for index in 0..<width { within[index, index] += shrinkage * trace / Double(width) }
        guard let r = try cholesky(within, place: "lda head") else {
            throw Failure(
                .numericNoConvergence, "the shared covariance is singular", place: "lda head",
                hint: "raise the shrinkage")
        }
        let weight = try solveUpper(r, solveUpper(r, means.transposed(), transposed: true)).transposed()
        let bias = counts.indices.map { label -> Float in
            guard counts[label] > 0 else { return -.infinity }
            let energy = (0..<width).reduce(0) { $0 + weight[label, $1] * means[label, $1] }
            return Float(log(Double(counts[label]) / Double(total)) - energy / 2)
        }
        return LinearHead(weight: weight.inFloat, bias: bias)
    }
}
