import Tensors
import Testing

@testable import Merging

/// tsv_m against the dense formula with Jacobi decompositions.
@Suite struct MergeTSVMTests {
    /// λ · polar(U) · Σ · polar(V)ᵀ on dense updates; `kept` gives k_i for a spectrum.
    static func reference(
        _ deltas: [Dense], weights: [Double], lambda: Double, kept: ([Double]) -> Int
    ) -> Dense {
        var (left, right): ([Dense], [Dense]) = ([], [])
        var sigma: [Double] = []
        for (delta, weight) in zip(deltas, weights) {
            let svd = JacobiSVD(delta)
            let count = kept(Array(svd.sigma.prefix(svd.rank(1e-6))))
            let wanted = Array(0..<count)
            left.append(svd.u.columns(wanted))
            right.append(svd.v.columns(wanted))
            sigma += svd.sigma.prefix(count).map { weight * $0 }
        }
        var u = JacobiSVD(Dense.sideBySide(left)).polar(1e-9)
        let v = JacobiSVD(Dense.sideBySide(right)).polar(1e-9)
        for i in 0..<u.rows { for j in 0..<u.columns { u[i, j] *= lambda * sigma[j] } }
        return u * v.transposed
    }

    struct Case: CustomTestStringConvertible, Sendable {
        var rows: Int
        var columns: Int
        var ranks: [Int]
        var testDescription: String { "\(rows)×\(columns) ranks \(ranks)" }
    }

    static let cases = [
        Case(rows: 30, columns: 41, ranks: [4, 4, 4]), Case(rows: 96, columns: 25, ranks: [2, 7, 5]),
        Case(rows: 20, columns: 28, ranks: [10, 12, 8]), Case(rows: 16, columns: 16, ranks: [3]),
    ]

    @Test(arguments: cases) func `factor space equals the dense formula`(_ size: Case) throws {
        let adapters = TestAdapter.set(rows: size.rows, columns: size.columns, ranks: size.ranks, seed: 40)
        let deltas = adapters.map { $0.modules[0].delta }
        let weights = Array([1.0, -0.6, 0.3].prefix(adapters.count))
        let small = min(size.rows, size.columns)
        let choices: [(ParameterValue, ([Double]) -> Int)] = [
            (.text("full"), { $0.count }),
            (.text("paper"), { min($0.count, max(1, small / size.ranks.count)) }),
            (.number(2), { min($0.count, 2) }),
            (
                .choice("energy", 0.8),
                { sigma in
                    let total = sigma.reduce(0) { $0 + $1 * $1 }
                    var sum = 0.0
                    for (j, s) in sigma.enumerated() {
                        sum += s * s
                        if sum >= 0.8 * total { return j + 1 }
                    }
                    return sigma.count
                }
            ),
        ]
        for (k, kept) in choices {
            let trial = MergeTrial("tsv_m", adapters, weights: weights, ["k": k, "lambda": .number(0.4)])
            let expected = Self.reference(deltas, weights: weights, lambda: 0.4, kept: kept)
            let outcome = try trial.run()
            #expect(try outcome.delta().distance(to: expected) < 1e-6, "k = \(k)")
            #expect(try outcome.a().rows <= min(small, size.ranks.reduce(0, +)))
            #expect(try abs(outcome.module().frobenius / expected.norm - 1) < 1e-9)
        }
    }

    @Test func `one adapter, copies of one, opposites and orthogonal supports`() throws {
        var random = SplitMix(6)
        let module = TestModule.random("m", 40, 30, 5, &random)
        let one = TestAdapter("a", [module])
        let copy = TestAdapter("b", [module])
        var opposite = copy
        opposite.modules[0].scale *= -1
        #expect(try MergeTrial("tsv_m", [one]).delta().distance(to: module.delta) < 1e-6)
        #expect(try MergeTrial("tsv_m", [one, copy, copy]).delta().distance(to: module.delta) < 1e-6)
        let nothing = try MergeTrial("tsv_m", [one, opposite]).run()
        #expect(try nothing.delta().norm < 1e-6 * module.delta.norm)

        let (left, right) = (random.orthogonal(24), random.orthogonal(20))
        func block(_ range: Range<Int>) -> TestModule {
            TestModule("m", b: left.columns(Array(range)), a: right.columns(Array(range)).transposed, scale: 2)
        }
        let blocks = [block(0..<4), block(4..<7)]
        let merged = try MergeTrial(
            "tsv_m", blocks.enumerated().map { TestAdapter("b\($0)", [$1]) }, weights: [1, -3]
        ).delta()
        #expect(merged.distance(to: blocks[0].delta + -3 * blocks[1].delta) < 1e-6)
    }

    @Test func `adapters that share a factor, and factors with dependent columns`() throws {
        var random = SplitMix(15)
        let shared = random.matrix(4, 33)
        var modules = (0..<3).map { _ in TestModule("m", b: random.matrix(50, 4), a: shared) }
        // Nearly dependent: the third differs from the first by 1e-4.
        modules[2].b = modules[0].b + 1e-4 * random.matrix(50, 4)
        modules[2].b.values = modules[2].b.values.map { Double(Float($0)) }
        let adapters = modules.enumerated().map { TestAdapter("a\($0)", [$1]) }
        let expected = Self.reference(modules.map(\.delta), weights: [1, 1, 1], lambda: 1) { $0.count }
        #expect(try MergeTrial("tsv_m", adapters).delta().distance(to: expected) < 1e-6)
    }
}
