import Adapters
import Diagnostics
import LinearAlgebra
import Tensors

/// Whether scale · B · A stays finite in 32 bits.
///
/// |scale| · Σ_j max|B[:, j]| · max|A[j, :]| bounds every entry; only where that fails is the product computed, tile by
/// tile.
struct DeltaBound {
    static let limit = Double(Float.greatestFiniteMagnitude)
    private static let tileRows = 256
    private static let tileColumns = 2048

    let module: LoRAModule
    let a: ValueStatistics
    let b: ValueStatistics

    init(_ module: LoRAModule, a: ValueStatistics, b: ValueStatistics) {
        self.module = module
        self.a = a
        self.b = b
    }

    func failure() throws -> Failure? {
        let coarse = abs(module.scale) * Double(module.rank) * a.largestMagnitude * b.largestMagnitude
        guard !(coarse < DeltaBound.limit) else { return nil }
        let factorA = try module.a.doubleMatrix(rows: module.rank, columns: module.dIn)
        let factorB = try module.b.doubleMatrix(rows: module.dOut, columns: module.rank)
        guard !(fineBound(factorA, factorB) < DeltaBound.limit), try overflows(factorA, factorB) else { return nil }
        return Failure(
            .weightsNonfiniteDelta, "the update scale · B · A overflows 32 bits", place: module.name,
            hint: "the training diverged: take an earlier checkpoint")
    }

    private func fineBound(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Double {
        var columns = [Double](repeating: 0, count: b.columns)
        for row in 0..<b.rows {
            for j in 0..<b.columns { columns[j] = max(columns[j], abs(b.elements[row * b.columns + j])) }
        }
        let sum = (0..<a.rows).reduce(0.0) { sum, j in
            let largest = a.elements[j * a.columns..<(j + 1) * a.columns].reduce(0) { max($0, abs($1)) }
            return sum + columns[j] * largest
        }
        return abs(module.scale) * sum
    }

    private func overflows(_ a: Matrix<Double>, _ b: Matrix<Double>) throws -> Bool {
        for column in stride(from: 0, to: a.columns, by: DeltaBound.tileColumns) {
            let width = min(DeltaBound.tileColumns, a.columns - column)
            let part = Matrix(
                rows: a.rows, columns: width,
                elements: (0..<a.rows).flatMap { a.elements[$0 * a.columns + column..<$0 * a.columns + column + width] }
            )
            for row in stride(from: 0, to: b.rows, by: DeltaBound.tileRows) {
                let height = min(DeltaBound.tileRows, b.rows - row)
                let slice = Array(b.elements[row * b.columns..<(row + height) * b.columns])
                let tile = try multiply(
                    Matrix(rows: height, columns: b.columns, elements: slice), part, alpha: module.scale)
                if !tile.elements.allSatisfy({ abs($0) < DeltaBound.limit }) { return true }
            }
        }
        return false
    }
}
