import Diagnostics
import Tensors
import Testing

@testable import LinearAlgebra

private let shapes = [(1, 1), (1, 6), (6, 1), (5, 5), (30, 7), (7, 30), (40, 40)]

@Suite struct QRTests {
    @Test(arguments: shapes)
    func factorsAreOrthonormalAndTriangular(_ m: Int, _ n: Int) throws {
        var random = TestRandom(3)
        let a = random.doubles(m, n)
        let qr = try thinQR(a)
        #expect(qr.q.columns == min(m, n) && qr.r.rows == min(m, n))
        #expect(Reference.orthonormalityError(qr.q) < 1e-13)
        #expect(Reference.relativeError(Reference.product(qr.q, qr.r), a) < 1e-14)
        for i in 0..<qr.r.rows {
            #expect(qr.r[i, i] >= 0)
            for j in 0..<i { #expect(qr.r[i, j] == 0) }
        }
        let single = try thinQR(a.inFloat)
        #expect(Reference.difference(single.r.inDouble, qr.r) < 1e-4)
    }

    @Test func columnsOfZerosAreLegal() throws {
        var random = TestRandom(4)
        var a = random.doubles(12, 5)
        for i in 0..<12 { a[i, 0] = 0 }
        let qr = try thinQR(a)
        #expect(Reference.orthonormalityError(qr.q) < 1e-13)
        #expect(Reference.relativeError(Reference.product(qr.q, qr.r), a) < 1e-14)
    }

    @Test func emptyMatrix() throws {
        let qr = try thinQR(Matrix<Double>(rows: 4, columns: 0))
        #expect(qr.q.columns == 0 && qr.r.rows == 0)
    }
}

@Suite struct SVDTests {
    @Test(arguments: shapes)
    func triplesRebuildTheMatrix(_ m: Int, _ n: Int) throws {
        var random = TestRandom(5)
        let a = random.doubles(m, n)
        let svd = try thinSVD(a)
        #expect(svd.sigma.count == min(m, n))
        #expect(svd.sigma == svd.sigma.sorted(by: >) && svd.sigma.allSatisfy { $0 >= 0 })
        #expect(Reference.orthonormalityError(svd.u) < 1e-12)
        #expect(Reference.orthonormalityError(svd.vt.transposed()) < 1e-12)
        #expect(Reference.relativeError(try svd.product(), a) < 1e-13)
        let single = try thinSVD(a.inFloat)
        #expect(Reference.relativeError(try single.product().inDouble, a) < 1e-5)
        // Singular values against the eigenvalues of the Gram matrix.
        let values = try symmetricEigen(symmetricProduct(a, transposed: m >= n)).values.reversed()
        for (sigma, value) in zip(svd.sigma, values) {
            #expect(abs(sigma * sigma - value) < 1e-11 * svd.sigma[0] * svd.sigma[0])
        }
    }

    @Test(arguments: shapes)
    func theLargestEntryOfEachLeftVectorIsPositive(_ m: Int, _ n: Int) throws {
        var random = TestRandom(6)
        let svd = try thinSVD(random.doubles(m, n))
        for j in 0..<svd.sigma.count {
            let column = svd.u.columns(j..<j + 1).elements
            let largest = column.map(abs).max() ?? 0
            #expect(column.first { abs($0) == largest } ?? 0 > 0)
        }
    }

    @Test func aTieForTheLargestEntryGoesToTheFirst() {
        var svd = ThinSVD<Double>(
            u: Matrix(rows: 2, columns: 1, elements: [-0.5, 0.5]), sigma: [2],
            vt: Matrix(rows: 1, columns: 2, elements: [1, 0]))
        svd.fixSigns()
        #expect(svd.u.elements == [0.5, -0.5] && svd.vt.elements == [-1, 0])
    }

    @Test func supportLeavesOutWhatIsZero() throws {
        var random = TestRandom(7)
        let a = Reference.product(random.doubles(20, 3), random.doubles(3, 15))
        let svd = try supportSVD(a)
        #expect(svd.sigma.count == 3)
        #expect(Reference.relativeError(try svd.product(), a) < 1e-13)
        #expect(try supportSVD(Matrix<Double>(rows: 4, columns: 5)).sigma.isEmpty)
        #expect(try supportSVD(Matrix<Double>.identity(3), absolute: 2).sigma.isEmpty)
    }

    @Test func numericalRankCountsValuesAboveTheThreshold() {
        #expect(numericalRank([2.0, 1, 3e-6, 2e-6, 0]) == 3)
        #expect(numericalRank([2.0, 1, 1e-7, 0], relative: RankTolerance.double) == 3)
        #expect(numericalRank([2.0, 1, 0.5], absolute: 0.7) == 2)
        #expect(numericalRank([0.0, 0]) == 0)
        #expect(numericalRank([Double]()) == 0)
        #expect(numericalRank([Float(1), 1e-3, 1e-7]) == 2)
    }

    @Test func nanAndInfinityAreRefusedWithTheirPlace() throws {
        var a = Matrix<Double>(rows: 3, columns: 4)
        a[1, 2] = .nan
        let failure = try #require(throws: Failure.self) { try thinSVD(a, place: "layers.0.q_proj") }
        #expect(failure.code == .mergeNonFinite)
        #expect(failure.place == "layers.0.q_proj")
        #expect(failure.details["first_index"] == "6")
        a[1, 2] = .infinity
        let square = a.columns(0..<3)
        for run in [
            { _ = try thinQR(a) }, { _ = try thinSVD(a.inFloat) }, { _ = try polarFactor(a) },
            { _ = try symmetricEigen(square) }, { _ = try cholesky(square) }, { _ = try solve(square, a) },
        ] as [() throws -> Void] {
            #expect(try #require(throws: Failure.self, performing: run).code == .mergeNonFinite)
        }
    }
}

@Suite struct SymmetricTests {
    @Test(arguments: [1, 2, 8, 50])
    func eigenvectorsDiagonalise(_ n: Int) throws {
        var random = TestRandom(8)
        let half = random.doubles(n, n)
        let a = Reference.sum([half, half.transposed()], weights: [1, 1])
        let eigen = try symmetricEigen(a)
        #expect(eigen.values == eigen.values.sorted())
        #expect(Reference.orthonormalityError(eigen.vectors) < 1e-12)
        let rebuilt = Reference.product(eigen.vectors.scalingColumns(by: eigen.values), eigen.vectors.transposed())
        #expect(Reference.relativeError(rebuilt, a) < 1e-13)
    }

    /// LAPACK answers size queries as floating-point numbers; in single precision the answer for this size is rounded
    /// down below what the routine then demands.
    @Test func singlePrecisionEigenvaluesBeyondTheQueryLimit() throws {
        let n = 2900
        #expect(Int(Float(1 + 6 * n + 2 * n * n)) != 1 + 6 * n + 2 * n * n || n < 2895)
        var a = Matrix<Float>(rows: n, columns: n)
        for i in 0..<n { a[i, i] = Float(n - i) }
        let eigen = try symmetricEigen(a)
        #expect(eigen.values == (1...n).map { Float($0) })
    }

    @Test func workspaceAnswersAreRoundedUp() throws {
        let exact = (1 << 24) + 1
        #expect(Int(Float(exact)) < exact)
        #expect(try workspaceLength(Float(exact), minimum: 1) >= exact)
        #expect(try workspaceLength(0.0, minimum: 77) == 77)
        let failure = try #require(throws: Failure.self) { try workspaceLength(Double(1 << 31), minimum: 1) }
        #expect(failure.code == .numericDimensionLimit)
    }

    @Test func choleskyOfPositiveDefiniteMatricesOnly() throws {
        var random = TestRandom(9)
        let a = try symmetricProduct(random.doubles(8, 20))
        let r = try #require(try cholesky(a))
        #expect(Reference.relativeError(Reference.product(r.transposed(), r), a) < 1e-14)
        for i in 0..<8 {
            #expect(r[i, i] > 0)
            for j in 0..<i { #expect(r[i, j] == 0) }
        }
        #expect(try cholesky(Matrix<Double>(rows: 3, columns: 3)) == nil)
        #expect(try cholesky(Matrix<Double>.identity(3).scaled(by: -1)) == nil)
    }

    @Test func triangularAndGeneralSystems() throws {
        var random = TestRandom(10)
        let a = random.doubles(12, 12)
        let b = random.doubles(12, 5)
        let x = try solve(a, b)
        #expect(Reference.relativeError(Reference.product(a, x), b) < 1e-11)
        let r = try thinQR(a).r
        #expect(Reference.relativeError(Reference.product(r, try solveUpper(r, b)), b) < 1e-11)
        let turned = try solveUpper(r, b, transposed: true)
        #expect(Reference.relativeError(Reference.product(r.transposed(), turned), b) < 1e-11)
        let single = try solve(a.inFloat, b.inFloat)
        #expect(Reference.relativeError(single.inDouble, x) < 1e-3)
    }

    @Test func aSingularSystemIsRefused() throws {
        let failure = try #require(throws: Failure.self) {
            try solve(
                Matrix<Double>(rows: 2, columns: 2, elements: [1, 2, 2, 4]), .identity(2), place: "normal equations")
        }
        #expect(failure.code == .numericNoConvergence && failure.place == "normal equations")
    }
}

@Suite struct PolarFactorTests {
    @Test(arguments: [(5, 5), (12, 4), (4, 12)])
    func equalsTheDefinition(_ m: Int, _ n: Int) throws {
        var random = TestRandom(11)
        let x = random.doubles(m, n)
        let polar = try polarFactor(x)
        #expect(m >= n ? Reference.orthonormalityError(polar) < 1e-12 : true)
        // X = P·H with H = PᵀX symmetric and positive semidefinite.
        let h = Reference.product(polar.transposed(), x)
        #expect(Reference.relativeError(h, h.transposed()) < 1e-12)
        #expect(Reference.relativeError(Reference.product(polar, h), x) < 1e-12)
        #expect(try symmetricEigen(h).values.allSatisfy { $0 > -1e-12 })
    }

    @Test func isRestrictedToTheRank() throws {
        var random = TestRandom(12)
        let q = try thinQR(random.doubles(20, 3)).q
        let copies = Matrix.sideBySide([q, q, q])
        // Three copies of an isometry: each gets the same share, 1/√3.
        let polar = try polarFactor(copies)
        #expect(Reference.relativeError(polar, copies.scaled(by: 1 / 3.0.squareRoot())) < 1e-13)
        #expect(try polarFactor(Matrix(rows: 3, columns: 2)) == Matrix(rows: 3, columns: 2))
    }

    @Test func smallSingularValuesKeepTheirDirections() throws {
        var random = TestRandom(13)
        let u = try thinQR(random.doubles(30, 6)).q
        let v = try thinQR(random.doubles(6, 6)).q
        let sigma = [2.8, 1, 5e-3, 1e-5, 1e-8, 1e-11]
        let x = Reference.product(u.scalingColumns(by: sigma), v.transposed())
        let kept = sigma.map { $0 > 1e-9 * 2.8 ? 1.0 : 0.0 }
        let expected = Reference.product(u.scalingColumns(by: kept), v.transposed())
        #expect(Reference.relativeError(try polarFactor(x), expected) < 1e-6)
    }
}
