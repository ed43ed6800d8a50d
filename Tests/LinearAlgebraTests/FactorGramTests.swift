import Diagnostics
import Tensors
import Testing

@testable import LinearAlgebra

@Suite struct FactorGramTests {
    @Test(arguments: StackCase.all)
    func innerProductsEqualThoseOfTheDenseUpdates(_ sample: StackCase) throws {
        let gram = try FactorGram(sample.factors)
        let dense = sample.factors.map(Reference.delta)
        let (rowWise, columnWise, inner) = try (gram.rowWise(), gram.columnWise(), gram.inner)
        let t = dense.count
        for i in 0..<t {
            #expect(abs(gram.norms[i] - dense[i].frobeniusNorm) <= 1e-12 * dense[i].frobeniusNorm)
            for j in 0..<t {
                var total = 0.0
                var rows = [Double](repeating: 0, count: dense[0].rows)
                var columns = [Double](repeating: 0, count: dense[0].columns)
                for k in 0..<dense[0].rows {
                    for l in 0..<dense[0].columns {
                        let product = dense[i][k, l] * dense[j][k, l]
                        rows[k] += product
                        columns[l] += product
                        total += product
                    }
                }
                let bound = 1e-11 * dense[i].frobeniusNorm * dense[j].frobeniusNorm
                #expect(abs(inner[i, j] - total) <= bound)
                #expect(rows.indices.allSatisfy { abs(rowWise[$0, i * t + j] - rows[$0]) <= bound })
                #expect(columns.indices.allSatisfy { abs(columnWise[$0, i * t + j] - columns[$0]) <= bound })
            }
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func nonFiniteFactorsAreRefused(_ bad: Float) throws {
        var random = TestRandom(14)
        var factors = [random.factors(300, 20, 3), random.factors(300, 20, 4)]
        factors[1].b[290, 2] = bad
        factors[1].b[291, 0] = bad
        var failure = try #require(throws: Failure.self) { try FactorGram(factors, place: "layers.3.v_proj") }
        #expect(failure.code == .mergeNonFinite && failure.place == "layers.3.v_proj")
        #expect(failure.details == ["count": "2", "first_index": "\(290 * 4 + 2)"])
        factors[1] = random.factors(300, 20, 4)
        factors[0].a[1, 19] = bad
        failure = try #require(throws: Failure.self) { try JointCore(factors) }
        #expect(failure.details == ["count": "1", "first_index": "39"])
        factors[0] = random.factors(300, 20, 4, scale: Double(bad))
        failure = try #require(throws: Failure.self) { try JointCore(factors) }
        #expect(failure.code == .mergeNonFinite)
    }

    @Test func shapesMustAgree() throws {
        var random = TestRandom(15)
        let failure = try #require(throws: Failure.self) {
            try JointCore([random.factors(8, 9, 2), random.factors(8, 10, 2)], place: "m")
        }
        #expect(failure.code == .mergeShapeMismatch && failure.place == "m")
    }

    @Test func hugeAndTinyNumbersAreNoError() throws {
        var random = TestRandom(16)
        var factors = random.factors(20, 20, 2)
        factors.b = factors.b.scaled(by: 1e37)
        factors.a = factors.a.scaled(by: 1e-37)
        #expect(try FactorGram([factors]).norms[0].isFinite)
        let core = try JointCore([factors])
        #expect(core.routes.left == .gram && core.routes.right == .gram)
    }
}
