import LinearAlgebra
import Tensors

extension MergeMethod {
    /// The minimiser X of Σ_i ‖(X − Δ_i) Δ_iᵀ‖² / ‖Δ_i‖² (merge-methods 3.21): with H = Σ Δ_iᵀΔ_i/‖Δ_i‖² and
    /// N = Σ Δ_iΔ_iᵀΔ_i/‖Δ_i‖²,
    ///
    ///     X = N (H + η tr(H)/a · I)⁻¹
    ///
    /// and for η = 0 the minimum-norm solution N H⁺. Runs on the cores.
    static let wudi = MergeMethod(
        MethodDescription(
            id: "wudi", title: "WUDI: least interference in the row spaces",
            summary:
                "Finds the update that differs least from every adapter's in the directions that this adapter uses.",
            exactness: .spectral, source: "objective of WUDI-Merging, arXiv 2503.08099; closed form of this project",
            parameters: [
                .weight, .lambda(),
                ParameterDeclaration(
                    "ridge", .number, default: .number(1e-3), range: .nonNegative,
                    summary: "damping relative to the mean eigenvalue; 0 gives the minimum-norm optimum"),
                ParameterDeclaration(
                    "solver", .choice(Solver.allCases.map(\.rawValue)), default: .text("closed"),
                    summary: "the closed form, or the early-stopped Adam run of the paper from the sum, on the cores"),
                ParameterDeclaration(
                    "iterations", .integer, default: .number(300), range: .atLeast(1), summary: "steps of Adam"),
                ParameterDeclaration(
                    "learning_rate", .number, default: .number(1e-5), range: .positive, summary: "step size of Adam"),
            ],
            cost: "O(R²(m+n) + R³) per module, R = total rank"),
        .spectral { context, space in
            let cores = try (0..<space.count).map { try space.core($0).scaled(by: context.weights[$0]) }
            let used = cores.filter { $0.frobeniusNorm > 0 }
            guard !used.isEmpty else { return MergedCore(space.zero) }
            let problem = try Interference(used)
            let result =
                switch try context.word("solver", as: Solver.self) {
                case .closed: try problem.solution(ridge: context.number("ridge"), place: context.module)
                case .adam:
                    try problem.descended(
                        from: used.dropFirst().reduce(used[0]) { $0.adding($1) },
                        steps: Int(context.number("iterations")), rate: context.number("learning_rate"))
                }
            return MergedCore(result.scaled(by: try context.number("lambda")))
        })

    private enum Solver: String, CaseIterable { case closed, adam }
}

/// The quadratic problem of `wudi`.
private struct Interference {
    /// H, a×a.
    private var curvature: Matrix<Double>
    /// N, b×a.
    private var target: Matrix<Double>

    /// Eigenvalues below this share of the largest count as zero when there is no damping.
    private static let cutoff = 1e-8

    init(_ cores: [Matrix<Double>]) throws {
        curvature = Matrix(rows: cores[0].columns, columns: cores[0].columns)
        target = Matrix(rows: cores[0].rows, columns: cores[0].columns)
        for core in cores {
            let square = core.frobeniusNorm * core.frobeniusNorm
            let part = try symmetricProduct(core, transposed: true).scaled(by: 1 / square)
            curvature = curvature.adding(part)
            target = target.adding(try multiply(core, part))
        }
    }

    func solution(ridge: Double, place: String) throws -> Matrix<Double> {
        let eigen = try symmetricEigen(curvature, place: place)
        let largest = eigen.values.last ?? 0
        let trace = eigen.values.reduce(0, +)
        let damping = ridge * trace / Double(max(1, eigen.values.count))
        let inverse = eigen.values.map { value in
            ridge > 0 ? 1 / (max(value, 0) + damping) : value > Interference.cutoff * largest ? 1 / value : 0
        }
        let turned = try multiply(target, eigen.vectors).scalingColumns(by: inverse)
        return try multiply(turned, eigen.vectors, transposeB: true)
    }

    /// Adam (β₁ 0.9, β₂ 0.999) on the loss, whose gradient is 2 (X H − N).
    func descended(from start: Matrix<Double>, steps: Int, rate: Double) throws -> Matrix<Double> {
        var x = start
        var first = [Double](repeating: 0, count: x.elements.count)
        var second = first
        for step in 1...steps {
            let gradient = try multiply(x, curvature)
            let (bias1, bias2) = (1 - power(0.9, step), 1 - power(0.999, step))
            for e in x.elements.indices {
                let g = 2 * (gradient.elements[e] - target.elements[e])
                first[e] = 0.9 * first[e] + 0.1 * g
                second[e] = 0.999 * second[e] + 0.001 * g * g
                x.elements[e] -= rate * (first[e] / bias1) / ((second[e] / bias2).squareRoot() + 1e-8)
            }
        }
        return x
    }

    private func power(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0
        for _ in 0..<exponent { result *= base }
        return result
    }
}
