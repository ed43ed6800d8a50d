import Tensors
import Testing

@testable import LinearAlgebra

@Suite struct LowRankFactorsTests {
    @Test func denseRowsDoNotDependOnTheRangeAskedFor() throws {
        var random = TestRandom(24)
        let factors = random.factors(200, 37, 5)
        let whole = factors.dense()
        let packed = PackedFactors(factors)
        #expect(Reference.relativeError(whole.inDouble, Reference.delta(factors)) < 1e-6)
        for height in [1, 7, 64, 200] {
            for start in stride(from: 0, to: 200, by: height) {
                let range = start..<min(start + height, 200)
                var part = [Float](repeating: 0, count: range.count * 37)
                part.withUnsafeMutableBufferPointer { packed.product(rows: range, into: $0) }
                #expect(part == whole.rows(range).elements)
            }
        }
    }

    @Test func rankZeroIsTheZeroUpdate() throws {
        let factors = LowRankFactors(b: Matrix(rows: 3, columns: 0), a: Matrix(rows: 0, columns: 4))
        #expect(factors.dense() == Matrix(rows: 3, columns: 4))
    }

    @Test(arguments: [(30, 20, 4), (6, 40, 9), (40, 5, 8), (300, 1, 2)])
    func svdEqualsThatOfTheDenseUpdate(_ m: Int, _ n: Int, _ r: Int) throws {
        var random = TestRandom(25)
        let factors = random.factors(m, n, r, scale: -3)
        let dense = Reference.delta(factors)
        let svd = try factors.svd()
        #expect(Reference.orthonormalityError(svd.u) < 1e-9)
        #expect(Reference.relativeError(try svd.product(), dense) < 1e-10)
        let expected = try thinSVD(dense).sigma
        for (found, sigma) in zip(try factors.singularValues(), expected) {
            #expect(abs(found - sigma) < 1e-11 * expected[0])
        }
    }

    @Test func singularValuesOfAZeroUpdateAreZero() throws {
        let zero = LowRankFactors(b: Matrix(rows: 9, columns: 2), a: Matrix(rows: 2, columns: 7))
        #expect(try zero.singularValues() == [0, 0])
        #expect(try zero.svd().sigma.isEmpty)
    }
}

@Suite struct RankBudgetTests {
    let sigma = [4.0, 2, 1, 0.5, 0]

    @Test func keepsWhatTheBudgetAsksFor() {
        #expect(RankBudget.all.rank(of: sigma) == 4)
        #expect(RankBudget.atMost(2).rank(of: sigma) == 2)
        #expect(RankBudget.atMost(9).rank(of: sigma) == 4)
        #expect(RankBudget.atMost(0).rank(of: sigma) == 1)
        // Energies 16, 4, 1, 0.25 of 21.25.
        #expect(RankBudget.energy(0.7).rank(of: sigma) == 1)
        #expect(RankBudget.energy(0.9).rank(of: sigma) == 2)
        #expect(RankBudget.energy(1).rank(of: sigma) == 4)
        #expect(RankBudget.energy(1, cap: 3).rank(of: sigma) == 3)
        #expect(RankBudget.tail(0).rank(of: sigma) == 4)
        #expect(RankBudget.tail(0.11).rank(of: sigma) == 3)
        #expect(RankBudget.tail(0.25).rank(of: sigma) == 2)
        #expect(RankBudget.tail(1).rank(of: sigma) == 1)
        #expect(RankBudget.tail(0, cap: 2).rank(of: sigma) == 2)
        #expect(RankBudget.energy(0.9).rank(of: [4, 2], total: 42.5) == 2)
        #expect(RankBudget.all.rank(of: [0, 0]) == 1)
        #expect(RankBudget.all.rank(of: []) == 0)
    }

    @Test func splitsShareTheValues() {
        for split in FactorSplit.allCases {
            let shares = split.shares([4, -9])
            #expect(zip(shares.left, shares.right).map { $0 * $1 } == [4, -9])
        }
        #expect(FactorSplit.sqrt.shares([4, -9]).left == [2, -3])
        #expect(FactorSplit.left.shares([4, -9]).right == [1, 1])
        #expect(FactorSplit.right.shares([4, -9]).right == [4, 9])
    }
}

@Suite struct RecompressionTests {
    @Test(arguments: 1...6)
    func errorIsTheEnergyOfWhatWasCutOff(_ rank: Int) throws {
        var random = TestRandom(26)
        let factors = random.factors(50, 40, 6)
        let dense = Reference.delta(factors)
        let result = try factors.recompressed(budget: .atMost(rank))
        #expect(result.factors.rank == rank && result.factors.scale == 1)
        let error = Reference.difference(Reference.delta(result.factors), dense)
        #expect(abs(error * error - result.discardedEnergy) < 1e-6 * dense.frobeniusNorm * dense.frobeniusNorm)
        let total = dense.frobeniusNorm * dense.frobeniusNorm
        #expect(abs(result.discardedShare - result.discardedEnergy / total) < 1e-10)
        #expect((result.discardedEnergy == 0) == (rank == 6))
    }

    @Test(arguments: FactorSplit.allCases)
    func splitsKeepTheUpdate(_ split: FactorSplit) throws {
        var random = TestRandom(27)
        let factors = random.factors(45, 60, 5, scale: -0.25)
        let result = try factors.recompressed(budget: .all, split: split)
        #expect(Reference.relativeError(Reference.delta(result.factors), Reference.delta(factors)) < 1e-6)
        let b = try symmetricProduct(result.factors.b.inDouble, transposed: true)
        let a = try symmetricProduct(result.factors.a.inDouble)
        let sigma = result.singularValues
        for i in 0..<5 {
            let (left, right) =
                switch split {
                case .sqrt: (sigma[i], sigma[i])
                case .left: (sigma[i] * sigma[i], 1)
                case .right: (1, sigma[i] * sigma[i])
                }
            #expect(abs(b[i, i] - left) < 1e-5 * left && abs(a[i, i] - right) < 1e-5 * right)
        }
    }

    @Test func aZeroResultHasRankOne() throws {
        var random = TestRandom(28)
        let core = try JointCore([random.factors(12, 10, 3)])
        let result = try core.lowRank(Matrix(rows: core.leftSize, columns: core.rightSize))
        #expect(result.factors.rank == 1 && result.discardedShare == 0)
        #expect(result.factors.b.frobeniusNorm == 0 && result.factors.a.frobeniusNorm == 0)
    }

    @Test func productsWithoutAnSVD() throws {
        var random = TestRandom(29)
        let core = try JointCore([random.factors(30, 20, 3), random.factors(30, 20, 2)])
        let (p, k) = (random.doubles(5, 4), random.doubles(5, 4))
        let values = [2.0, -1, 0, 0.5]
        let merged = Reference.product(p.scalingColumns(by: values), k.transposed())
        let expected = try core.lowRank(merged).factors
        for split in FactorSplit.allCases {
            let found = try core.lowRank(left: p, right: k, values: values, split: split)
            #expect(Reference.relativeError(Reference.delta(found), Reference.delta(expected)) < 1e-6)
        }
    }
}

@Suite struct RandomizedSVDTests {
    struct Dense: StreamedOperator {
        let matrix: Matrix<Float>
        var rows: Int { matrix.rows }
        var columns: Int { matrix.columns }
        func apply(_ x: Matrix<Float>) throws -> Matrix<Float> { try multiply(matrix, x) }
        func applyTransposed(_ y: Matrix<Float>) throws -> Matrix<Float> {
            try multiply(matrix, y, transposeA: true)
        }
    }

    /// Singular values 1/(1 + j): a slowly falling spectrum, as that of a trimmed update.
    static func slow(_ m: Int, _ n: Int) throws -> Dense {
        var random = TestRandom(30)
        let k = min(m, n)
        let u = try thinQR(random.doubles(m, k)).q
        let v = try thinQR(random.doubles(n, k)).q
        let sigma = (0..<k).map { 1 / (1 + Double($0)).squareRoot() }
        return Dense(matrix: Reference.product(u.scalingColumns(by: sigma), v.transposed()).inFloat)
    }

    @Test(arguments: [(120, 90), (90, 120)])
    func isNearTheOptimum(_ m: Int, _ n: Int) throws {
        let op = try RandomizedSVDTests.slow(m, n)
        let exact = try thinSVD(op.matrix.inDouble)
        let rank = 12
        let optimum = exact.sigma.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
        for (power, bound) in [(1, 1.05), (2, 1.01)] {
            let found = try RandomizedSVD(rank: rank, power: power, seed: 1)(op)
            #expect(found.sigma.count == rank)
            #expect(Reference.orthonormalityError(found.u.inDouble) < 1e-5)
            #expect(Reference.orthonormalityError(found.vt.transposed().inDouble) < 1e-5)
            let error = Reference.difference(try found.product().inDouble, op.matrix.inDouble)
            #expect(error < bound * optimum && error > 0.999 * optimum)
        }
    }

    @Test func exactForLowRank() throws {
        var random = TestRandom(31)
        let factors = random.factors(80, 70, 4)
        let found = try RandomizedSVD(rank: 10, seed: 3)(Dense(matrix: factors.dense()))
        #expect(Reference.relativeError(try found.product().inDouble, Reference.delta(factors)) < 1e-5)
        #expect(found.sigma[4] < 1e-4 * found.sigma[0])
    }

    @Test func dependsOnTheSeedAlone() throws {
        let op = try RandomizedSVDTests.slow(40, 50)
        let first = try RandomizedSVD(rank: 5, seed: 9, streamKey: "m")(op)
        let again = try RandomizedSVD(rank: 5, seed: 9, streamKey: "m")(op)
        let other = try RandomizedSVD(rank: 5, seed: 10, streamKey: "m")(op)
        #expect(first.u == again.u && first.sigma == again.sigma && first.vt == again.vt)
        #expect(first.u != other.u)
    }

    @Test func smallAndZeroOperators() throws {
        let zero = try RandomizedSVD(rank: 3, seed: 1)(Dense(matrix: Matrix(rows: 6, columns: 5)))
        #expect(zero.sigma == [0, 0, 0])
        let tiny = try RandomizedSVD(rank: 9, seed: 1)(
            Dense(matrix: Matrix(rows: 2, columns: 3, elements: [1, 0, 0, 0, 2, 0])))
        #expect(tiny.sigma.count == 2 && abs(tiny.sigma[0] - 2) < 1e-6 && abs(tiny.sigma[1] - 1) < 1e-6)
    }
}
