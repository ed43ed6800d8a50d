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

    /// The smallest λ that means something: ε₃₂ · tr(HᵀH), with ε₃₂ = 2⁻²³.
    ///
    /// Features are rounded to float32, which changes HᵀH by about ε₃₂ of its size; the solution changes by that times the
    /// condition number of HᵀH + λI, at most 1 + tr(HᵀH)/λ. Below the floor the weights fit the rounding.
    public var smallestLambda: Double { Self.smallestLambda(gram) }

    private static func smallestLambda(_ gram: Matrix<Double>) -> Double {
        let trace = (0..<gram.rows).reduce(0.0) { $0 + gram[$1, $1] }
        return Double(Float.ulpOfOne) * trace
    }

    /// The largest λ of 10⁻⁸ … 10⁸ whose squared error on the held-out part is that of the best within one standard error.
    ///
    /// The standard error is that of the mean difference to the best λ over held-out samples, pair by pair, so that equal
    /// and nearly equal errors go to the larger λ. λ below `smallestLambda` of the fitted part are left out.
    ///
    /// - Parameters:
    ///   - fit: features and labels to solve on (80 % of the task); nothing else is solved on.
    ///   - held: features and labels to judge on (20 %).
    /// - Throws: `numeric.no_convergence` when no λ gives a solvable system.
    public func chosenLambda(
        fit: (features: Matrix<Float>, labels: [Int]), held: (features: Matrix<Float>, labels: [Int])
    ) throws -> Double {
        let (fitGram, fitCross) = try sums(expanded(fit.features), labels: fit.labels)
        let heldFeatures = expanded(held.features)
        let grid = (-8...8).map { powerOfTen($0) }
        let sensible = grid.filter { $0 >= Self.smallestLambda(fitGram) }
        var candidates: [(lambda: Double, errors: [Double])] = []
        for lambda in sensible.isEmpty ? grid.suffix(1) : sensible[...] {
            guard let weight = try? Self.solved(fitGram, fitCross, lambda: lambda) else { continue }
            let scores = FeatureRows.products(heldFeatures, weight)
            candidates.append((lambda, squaredErrors(scores, labels: held.labels)))
        }
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }
        guard let best = candidates.min(by: { mean($0.errors) < mean($1.errors) }) else {
            throw Failure(.numericNoConvergence, "no λ gives a solvable system", place: "ridge head")
        }
        let equal = candidates.last { candidate in
            let more = zip(candidate.errors, best.errors).map { $0 - $1 }
            let centre = mean(more)
            let variance = more.reduce(0) { $0 + ($1 - centre) * ($1 - centre) } / Double(max(1, more.count - 1))
            return centre <= (variance / Double(more.count)).squareRoot()
        }
        return (equal ?? best).lambda
    }

    /// By sample: the sum over classes of the squared distance to the one-hot target.
    private func squaredErrors(_ scores: Matrix<Float>, labels: [Int]) -> [Double] {
        labels.enumerated().map { row, label in
            (0..<classCount).reduce(0) { sum, column in
                let difference = Double(scores[row, column]) - (column == label ? 1 : 0)
                return sum + difference * difference
            }
        }
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
