import Tensors
import Testing

@Suite struct MatrixTests {
    static func counting(_ rows: Int, _ columns: Int) -> Matrix<Double> {
        Matrix(rows: rows, columns: columns, elements: (0..<rows * columns).map(Double.init))
    }

    @Test(arguments: [(1, 1), (1, 40), (17, 33), (64, 16), (0, 3), (3, 0)])
    func transpose(_ rows: Int, _ columns: Int) {
        let matrix = MatrixTests.counting(rows, columns)
        let turned = matrix.transposed()
        #expect(turned.rows == columns && turned.columns == rows)
        for i in 0..<rows {
            for j in 0..<columns { #expect(turned[j, i] == matrix[i, j]) }
        }
        #expect(turned.transposed() == matrix)
    }

    @Test func slices() {
        let matrix = MatrixTests.counting(3, 4)
        #expect(matrix.columns(1..<3).elements == [1, 2, 5, 6, 9, 10])
        #expect(matrix.columns(4..<4).elements.isEmpty)
        #expect(matrix.rows(1..<3).elements == [4, 5, 6, 7, 8, 9, 10, 11])
        #expect(Matrix.sideBySide([matrix.columns(0..<1), matrix.columns(1..<1), matrix.columns(1..<4)]) == matrix)
        #expect(Matrix.stacked([matrix.rows(0..<2), matrix.rows(2..<3)]) == matrix)
    }

    @Test func scaling() {
        let matrix = MatrixTests.counting(2, 2)
        #expect(matrix.scaled(by: -2).elements == [0, -2, -4, -6])
        #expect(matrix.scalingRows(by: [10, 100]).elements == [0, 10, 200, 300])
        #expect(matrix.scalingColumns(by: [10, 100]).elements == [0, 100, 20, 300])
    }

    @Test func normsAndPrecisions() {
        let matrix = Matrix<Float>(rows: 2, columns: 2, elements: [3e30, 0, 4e30, 0])
        #expect(abs(matrix.frobeniusNorm - 5e30) < 1e24)
        #expect(matrix.inDouble.inFloat == matrix)
        #expect(matrix.inDouble.frobeniusNorm == matrix.frobeniusNorm)
        #expect(Matrix<Double>.identity(3).frobeniusNorm == 3.0.squareRoot())
    }
}
