import Diagnostics
import LinearAlgebra
import Tensors

/// Ridge regression on frozen random features (RanPAC, McDonnell et al. 2023): `H = relu(f · R)`,
/// `W = (HᵀH + λI)⁻¹ HᵀY` with one-hot targets. Sums only grow, so the order of samples and tasks does not matter.
public struct RandomFeatureRidge: Sendable {
    public let width: Int
    public let classCount: Int
    /// Random features; 0 for plain ridge on the features themselves.
    public let hidden: Int
    /// [width, hidden] standard normal numbers.
    private let projection: Matrix<Float>
    /// HᵀH and HᵀY in double precision.
    public private(set) var gram: Matrix<Double>
    public private(set) var cross: Matrix<Double>

    /// - Parameter hidden: number of random features; default min(2000, 20·width).
    public init(width: Int, classCount: Int, hidden: Int? = nil, seed: UInt64 = 1) {
        let hidden = hidden ?? min(2_000, 20 * width)
        self.width = width
        self.classCount = classCount
        self.hidden = hidden
        projection = CounterRandom(seed: seed, stream: "random-feature-ridge").normalMatrix(
            rows: width, columns: hidden)
        let size = hidden > 0 ? hidden : width
        gram = Matrix(rows: size, columns: size)
        cross = Matrix(rows: size, columns: classCount)
    }

    /// Random features [samples, hidden].
    func expanded(_ features: Matrix<Float>) -> Matrix<Float> {
        guard hidden > 0 else { return features }
        var result = FeatureRows.products(features, projection.transposed())
        for index in result.elements.indices where result.elements[index] < 0 { result.elements[index] = 0 }
        return result
    }

    /// Adds features [samples, width] under their labels.
    public mutating func add(_ features: Matrix<Float>, labels: [Int]) throws {
        let (addedGram, addedCross) = try sums(expanded(features), labels: labels)
        for index in gram.elements.indices { gram.elements[index] += addedGram.elements[index] }
        for index in cross.elements.indices { cross.elements[index] += addedCross.elements[index] }
    }

    /// Puts back sums that were stored.
    ///
    /// - Throws: `merge.shape_mismatch` when they do not have this model's sizes.
    public mutating func restore(gram: Matrix<Double>, cross: Matrix<Double>) throws {
        guard gram.rows == self.gram.rows, gram.columns == self.gram.columns, cross.rows == self.cross.rows,
            cross.columns == self.cross.columns
        else {
            throw Failure(
                .mergeShapeMismatch,
                "sums of \(gram.rows)×\(gram.columns) and \(cross.rows)×\(cross.columns) for a model of "
                    + "\(self.gram.rows) features and \(classCount) classes",
                place: "ridge head")
        }
        self.gram = gram
        self.cross = cross
    }

    private func sums(_ expanded: Matrix<Float>, labels: [Int]) throws -> (Matrix<Double>, Matrix<Double>) {
        let h = expanded.inDouble
        var targets = Matrix<Double>(rows: labels.count, columns: classCount)
        for (row, label) in labels.enumerated() { targets[row, label] = 1 }
        return (try symmetricProduct(h, transposed: true), try multiply(h, targets, transposeA: true))
    }

    /// The head for a fixed λ.
    ///
    /// - Throws: `numeric.no_convergence` when HᵀH + λI is not positive definite.
    public func head(lambda: Double) throws -> RidgeHead {
        RidgeHead(model: self, weight: try Self.solved(gram, cross, lambda: lambda))
    }

    private static func solved(_ gram: Matrix<Double>, _ cross: Matrix<Double>, lambda: Double) throws -> Matrix<Float>
    {
        var regular = gram
        for index in 0..<gram.rows { regular[index, index] += lambda }
        guard let r = try cholesky(regular, place: "ridge head") else {
            throw Failure(
                .numericNoConvergence, "HᵀH + λI is not positive definite for λ = \(lambda)", place: "ridge head",
                hint: "choose a larger λ")
        }
        let solution = try solveUpper(r, solveUpper(r, cross, transposed: true))
        return solution.transposed().inFloat
    }

    /// λ from 10⁻⁸ … 10⁸ with the least squared error on the held-out part; solved on `fit` alone.
    ///
    /// - Parameters:
    ///   - fit: features and labels to solve on (80 % of the task).
    ///   - held: features and labels to judge on (20 %).
    public func chosenLambda(
        fit: (features: Matrix<Float>, labels: [Int]), held: (features: Matrix<Float>, labels: [Int])
    ) throws -> Double {
        let (fitGram, fitCross) = try sums(expanded(fit.features), labels: fit.labels)
        let heldFeatures = expanded(held.features)
        var best: (error: Double, lambda: Double)?
        for lambda in (-8...8).map({ powerOfTen($0) }) {
            guard let weight = try? Self.solved(fitGram, fitCross, lambda: lambda) else { continue }
            let scores = FeatureRows.products(heldFeatures, weight)
            var error = 0.0
            for (row, label) in held.labels.enumerated() {
                for column in 0..<classCount {
                    let difference = Double(scores[row, column]) - (column == label ? 1 : 0)
                    error += difference * difference
                }
            }
            if best.map({ error < $0.error }) ?? true { best = (error, lambda) }
        }
        guard let best else {
            throw Failure(.numericNoConvergence, "no λ gives a solvable system", place: "ridge head")
        }
        return best.lambda
    }

    private func powerOfTen(_ exponent: Int) -> Double {
        exponent < 0 ? 1 / powerOfTen(-exponent) : (0..<exponent).reduce(1) { value, _ in value * 10 }
    }
}

/// A solved `RandomFeatureRidge`.
public struct RidgeHead: ClassHead {
    let model: RandomFeatureRidge
    /// [classes, hidden].
    public let weight: Matrix<Float>

    public var width: Int { model.width }
    public var classCount: Int { model.classCount }

    public func logits(_ features: Matrix<Float>) -> Matrix<Float> {
        FeatureRows.products(model.expanded(features), weight)
    }
}
