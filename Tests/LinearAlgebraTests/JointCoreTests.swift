import Diagnostics
import Tensors
import Testing

@testable import LinearAlgebra

/// Shapes and kinds of updates on which every route must be exact.
struct StackCase: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var factors: [LowRankFactors]

    static let all: [StackCase] = {
        var random = TestRandom(7)
        func make(_ name: String, _ m: Int, _ n: Int, _ ranks: [Int]) -> StackCase {
            StackCase(
                testDescription: name,
                factors: ranks.enumerated().map { random.factors(m, n, $1, scale: [2, 0.5, -1][$0 % 3]) })
        }
        var cases = [
            make("one update", 40, 30, [4]), make("rank one", 24, 33, [1, 1, 1]), make("mixed ranks", 60, 70, [8, 2, 5, 1]),
            make("more ranks than rows", 20, 45, [12, 10, 8]), make("more ranks than columns", 45, 20, [12, 10, 8]),
            make("more ranks than either", 9, 12, [8, 8]), make("one row", 1, 16, [2, 1]),
            make("longer than a tile", 530, 300, [6, 4]),
        ]
        var duplicate = make("identical updates", 50, 40, [6])
        duplicate.factors += [duplicate.factors[0], duplicate.factors[0]]
        var zeroColumns = make("zero columns", 50, 40, [6, 6])
        for i in 0..<50 { zeroColumns.factors[0].b[i, 2] = 0 }
        for j in 0..<40 { zeroColumns.factors[1].a[3, j] = 0 }
        var zeroB = make("a B of zeros", 50, 40, [3, 4])
        zeroB.factors[1].b = Matrix(rows: 50, columns: 4)
        var allZero = make("all zero", 30, 20, [3, 2])
        for i in 0..<2 { allZero.factors[i].b = Matrix(rows: 30, columns: allZero.factors[i].rank) }
        var near = make("nearly the same A", 80, 90, [8, 8])
        for i in near.factors[1].a.elements.indices {
            near.factors[1].a.elements[i] = near.factors[0].a.elements[i] + 1e-4 * near.factors[1].a.elements[i]
        }
        var scaled = make("columns of very different size", 60, 50, [5, 5])
        for i in 0..<60 { scaled.factors[0].b[i, 0] *= 1e-12 }
        for i in 0..<50 { scaled.factors[1].a[2, i] *= 1e12 }
        cases += [duplicate, zeroColumns, zeroB, allZero, near, scaled]
        return cases
    }()
}

@Suite struct JointCoreTests {
    @Test(arguments: StackCase.all, [BasisRoute?.none, .householder])
    func coresReproduceTheUpdates(_ sample: StackCase, _ route: BasisRoute?) throws {
        let core = try JointCore(sample.factors, route: route)
        let q = try core.leftProduct(.identity(core.leftSize)).doubleMatrix()
        let p = try core.rightProduct(.identity(core.rightSize)).doubleMatrix()
        #expect(Reference.orthonormalityError(q) < 1e-9)
        #expect(Reference.orthonormalityError(p.transposed()) < 1e-9)
        #expect(core.leftSize <= min(q.rows, sample.factors.reduce(0) { $0 + $1.rank }))
        for (i, factors) in sample.factors.enumerated() {
            let rebuilt = try Reference.product(Reference.product(q, core.core(i)), p)
            #expect(Reference.relativeError(rebuilt, Reference.delta(factors)) < 1e-10)
        }
    }

    @Test(arguments: StackCase.all)
    func singularValuesOfCoresAreThoseOfTheUpdates(_ sample: StackCase) throws {
        let core = try JointCore(sample.factors)
        for (i, factors) in sample.factors.enumerated() {
            let dense = try thinSVD(Reference.delta(factors)).sigma
            let top = max(dense[0], 1e-300)
            let found = try core.adapterSingularValues(i)
            for j in found.indices { #expect(abs(found[j] - dense[j]) < 1e-9 * top) }
            let svd = try core.adapterSVD(i)
            #expect(svd.sigma.count == numericalRank(dense))
            #expect(Reference.orthonormalityError(svd.u) < 1e-12 * 100)
            #expect(Reference.relativeError(try svd.product(), try core.core(i)) < 1e-6)
        }
    }
}
