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
            make("one update", 40, 30, [4]), make("rank one", 24, 33, [1, 1, 1]),
            make("mixed ranks", 60, 70, [8, 2, 5, 1]),
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

    @Test(arguments: StackCase.all)
    func outputsAreExactToSinglePrecision(_ sample: StackCase) throws {
        let core = try JointCore(sample.factors)
        var random = TestRandom(17)
        let m = random.doubles(core.leftSize, 5)
        let q = try core.leftProduct(.identity(core.leftSize)).doubleMatrix()
        #expect(Reference.relativeError(try core.left(m).inDouble, Reference.product(q, m)) < 1e-7)
        let k = random.doubles(core.rightSize, 5)
        let p = try core.rightProduct(.identity(core.rightSize)).doubleMatrix()
        #expect(Reference.relativeError(try core.right(k).inDouble, Reference.product(k.transposed(), p)) < 1e-7)
    }

    @Test(arguments: StackCase.all)
    func coefficientsFormTheProductsFromTheStoredFactors(_ sample: StackCase) throws {
        let core = try JointCore(sample.factors)
        let left = try core.leftProduct(.identity(core.leftSize))
        #expect((left.coefficients == nil) == (core.routes.left == .householder))
        if let x = left.coefficients {
            let stored = Matrix.sideBySide(sample.factors.map { $0.b.inDouble })
            #expect(Reference.relativeError(Reference.product(stored, x), try left.doubleMatrix()) < 1e-9)
        }
        let right = try core.rightProduct(.identity(core.rightSize))
        if let x = right.coefficients {
            let stored = Matrix.stacked(sample.factors.map { $0.a.inDouble })
            #expect(Reference.relativeError(Reference.product(x.transposed(), stored), try right.doubleMatrix()) < 1e-9)
        }
    }

    @Test(arguments: [BasisRoute.gram, .gramTwice, .householder])
    func allRoutesGiveTheSameBasis(_ route: BasisRoute) throws {
        var random = TestRandom(18)
        let factors = [random.factors(700, 600, 6), random.factors(700, 600, 3)]
        let core = try JointCore(factors, route: route)
        let reference = try JointCore(factors, route: .householder)
        #expect(core.routes == (route, route))
        #expect(Reference.relativeError(core.rLeft, reference.rLeft) < 1e-12)
        #expect(Reference.relativeError(core.rRight, reference.rRight) < 1e-12)
        let m = random.doubles(9, 4)
        #expect(Reference.relativeError(try core.left(m).inDouble, try reference.left(m).inDouble) < 1e-7)
        #expect(Reference.relativeError(try core.right(m).inDouble, try reference.right(m).inDouble) < 1e-7)
    }

    @Test func theRouteFollowsTheConditioning() throws {
        func routes(_ name: String) throws -> (left: BasisRoute, right: BasisRoute) {
            try JointCore(try #require(StackCase.all.first { $0.testDescription == name }).factors).routes
        }
        #expect(try routes("mixed ranks") == (.gram, .gram))
        #expect(try routes("zero columns") == (.gram, .gram))
        #expect(try routes("columns of very different size") == (.gram, .gram))
        #expect(try routes("nearly the same A") == (.gram, .gramTwice))
        #expect(try routes("identical updates") == (.householder, .householder))
        #expect(try routes("more ranks than rows").left == .householder)
    }

    @Test(arguments: [BasisRoute.gram, .householder])
    func partsAreBitwiseEqualToTheWhole(_ route: BasisRoute) throws {
        var random = TestRandom(19)
        let core = try JointCore([random.factors(700, 601, 5), random.factors(700, 601, 4)], route: route)
        let m = random.doubles(9, 6)
        let left = try core.leftProduct(m)
        let right = try core.rightProduct(m)
        let (wholeLeft, wholeRight) = try (left.matrix(), right.matrix())
        for range in [0..<1, 255..<257, 256..<512, 3..<601, 600..<601, 10..<10] {
            var part = [Float](repeating: 0, count: range.count * 6)
            try part.withUnsafeMutableBufferPointer { try left.write(range, into: $0) }
            #expect(part == wholeLeft.rows(range).elements)
            try part.withUnsafeMutableBufferPointer { try right.write(range, into: $0) }
            #expect(part == wholeRight.columns(range).elements)
        }
    }

    @Test func weightedSumOfCores() throws {
        var random = TestRandom(20)
        let core = try JointCore([random.factors(30, 20, 3), random.factors(30, 20, 5, scale: -0.5)])
        let expected = try Reference.sum(core.cores(), weights: [2, -3])
        #expect(Reference.relativeError(try core.sum(weights: [2, -3]), expected) < 1e-13)
    }

    @Test(arguments: StackCase.all)
    func singularBasisDiagonalisesTheJointFactors(_ sample: StackCase) throws {
        let core = try JointCore(sample.factors, basis: .singular)
        let plain = try JointCore(sample.factors)
        for (r, other) in [(core.rLeft, plain.rLeft), (core.rRight, plain.rRight)] {
            // R·Rᵀ = Σ².
            let squares = Reference.product(r, r.transposed())
            let sigma = try thinSVD(other).sigma
            var expected = Matrix<Double>(rows: r.rows, columns: r.rows)
            for i in sigma.indices { expected[i, i] = sigma[i] * sigma[i] }
            #expect(Reference.relativeError(squares, expected) < 1e-12)
        }
        let q = try core.leftProduct(.identity(core.leftSize)).doubleMatrix()
        let p = try core.rightProduct(.identity(core.rightSize)).doubleMatrix()
        for (i, factors) in sample.factors.enumerated() {
            let rebuilt = try Reference.product(Reference.product(q, core.core(i)), p)
            #expect(Reference.relativeError(rebuilt, Reference.delta(factors)) < 1e-10)
        }
    }
}

/// Properties of a spectral rule that is run on the cores: here the sum of the polar factors.
@Suite struct CoreInvarianceTests {
    static func rule(_ factors: [LowRankFactors]) throws -> Matrix<Double> {
        let core = try JointCore(factors)
        let parts = try core.cores().map { try polarFactor($0, tolerance: 1e-6) }
        let merged = Reference.sum(parts, weights: parts.indices.map { Double($0) + 1 })
        let left = try core.leftProduct(merged).doubleMatrix()
        return try Reference.product(left, core.rightProduct(.identity(core.rightSize)).doubleMatrix())
    }

    @Test func equalsTheRuleOnDenseUpdates() throws {
        var random = TestRandom(21)
        let factors = [random.factors(20, 26, 12), random.factors(20, 26, 3), random.factors(20, 26, 9)]
        let dense = try factors.map { try polarFactor(Reference.delta($0), tolerance: 1e-6) }
        let expected = Reference.sum(dense, weights: [1, 2, 3])
        #expect(Reference.relativeError(try CoreInvarianceTests.rule(factors), expected) < 1e-10)
    }

    @Test func doesNotDependOnTheInnerBasis() throws {
        var random = TestRandom(22)
        let factors = [random.factors(40, 30, 4), random.factors(40, 30, 5)]
        var turned = factors
        for i in turned.indices {
            // Powers of two and permutations keep single precision numbers exact.
            turned[i].b = factors[i].b.scalingColumns(by: (0..<factors[i].rank).map { Float(1 << $0) })
            turned[i].a = factors[i].a.scalingRows(by: (0..<factors[i].rank).map { 1 / Float(1 << $0) })
        }
        let error = try Reference.relativeError(CoreInvarianceTests.rule(turned), CoreInvarianceTests.rule(factors))
        #expect(error < 1e-10)
    }

    @Test func isometriesPassThrough() throws {
        var random = TestRandom(23)
        let factors = [random.factors(18, 14, 3), random.factors(18, 14, 4)]
        var moved = factors
        for i in moved.indices {
            // A reversal with alternating signs is orthogonal and exact.
            for row in 0..<18 {
                for j in 0..<factors[i].rank {
                    moved[i].b[row, j] = (row % 2 == 0 ? 1 : -1) * factors[i].b[17 - row, j]
                }
            }
        }
        let plain = try CoreInvarianceTests.rule(factors)
        var expected = plain
        for row in 0..<18 {
            for column in 0..<14 { expected[row, column] = (row % 2 == 0 ? 1 : -1) * plain[17 - row, column] }
        }
        #expect(Reference.relativeError(try CoreInvarianceTests.rule(moved), expected) < 1e-10)
    }
}
