import Diagnostics
import Tensors
import Testing

@testable import LinearAlgebra

@Suite struct ProductTests {
    @Test(arguments: [(1, 1, 1), (3, 5, 7), (17, 4, 9), (33, 20, 1), (2, 0, 3), (0, 4, 2), (2, 4, 0)], [false, true])
    func multiplyEqualsTheTripleLoop(_ shape: (Int, Int, Int), _ transposed: Bool) throws {
        var random = TestRandom(1)
        let (m, k, n) = shape
        let a = random.doubles(m, k)
        let b = random.doubles(k, n)
        let expected = Reference.product(a, b).scaled(by: -1.5)
        let left = transposed ? a.transposed() : a
        let right = transposed ? b.transposed() : b
        let found = try multiply(left, right, transposeA: transposed, transposeB: transposed, alpha: -1.5)
        #expect(Reference.difference(found, expected) < 1e-12)
        let single = try multiply(
            left.inFloat, right.inFloat, transposeA: transposed, transposeB: transposed, alpha: -1.5)
        #expect(Reference.difference(single.inDouble, expected) < 1e-4)
    }

    @Test(arguments: [false, true])
    func symmetricProductFillsBothTriangles(_ transposed: Bool) throws {
        var random = TestRandom(2)
        let a = random.doubles(9, 14)
        let expected = transposed ? Reference.product(a.transposed(), a) : Reference.product(a, a.transposed())
        #expect(Reference.difference(try symmetricProduct(a, transposed: transposed), expected) < 1e-12)
        let single = try symmetricProduct(a.inFloat, transposed: transposed)
        #expect(Reference.difference(single.inDouble, expected) < 1e-4)
        #expect(try symmetricProduct(Matrix<Double>(rows: 3, columns: 0)) == Matrix(rows: 3, columns: 3))
    }

    /// Shapes on both sides of the stretches that the products work in.
    @Test(arguments: [(1, 1, 1), (97, 513, 40), (200, 65, 17), (3, 1_030, 2), (0, 4, 2), (4, 0, 2), (4, 3, 0)])
    func narrowProductsEqualTheTripleLoop(_ shape: (Int, Int, Int)) {
        var random = TestRandom(4)
        let (rows, wide, narrow) = shape
        let m = random.doubles(rows, wide).inFloat
        let x = random.doubles(wide, narrow).inFloat
        let y = random.doubles(rows, narrow).inFloat
        let product = NarrowFactor.product(m, x)
        #expect(Reference.difference(product.inDouble, Reference.product(m.inDouble, x.inDouble)) < 1e-3)
        let transposed = NarrowFactor.transposedProduct(m, y)
        let expected = Reference.product(m.inDouble.transposed(), y.inDouble)
        #expect(Reference.difference(transposed.inDouble, expected) < 1e-3)
        // A row's result is the same without the rows beside it.
        for row in [0, rows / 2, rows - 1] where row >= 0 && row < rows {
            #expect(NarrowFactor.product(m.rows(row..<row + 1), x) == product.rows(row..<row + 1))
        }
    }

    @Test func pointerLevelProductHonoursStridesAndBeta() {
        let a: [Float] = [1, 2, 9, 3, 4, 9]
        let b: [Float] = [1, 0, 9, 9, 0, 1, 9, 9]
        var c: [Float] = [1, 1, 7, 1, 1, 7]
        Float.gemm(
            transposeA: false, transposeB: false, m: 2, n: 2, k: 2, alpha: 2, a: a, lda: 3, b: b, ldb: 4, beta: 10,
            c: &c, ldc: 3)
        #expect(c == [12, 14, 7, 16, 18, 7])
    }

    @Test func dimensionsThatBLASCannotCountAreRefused() throws {
        #expect(try blasDimension(Int(Int32.max)) == Int32.max)
        for value in [1 << 31, 1 << 40] {
            let failure = try #require(throws: Failure.self) { try blasDimension(value) }
            #expect(failure.code == .numericDimensionLimit)
        }
    }

    @Test func runsOnOneThread() {
        #expect(BLASThreads.count == 1)
        #expect(!BLASThreads.coreName.isEmpty)
    }
}
