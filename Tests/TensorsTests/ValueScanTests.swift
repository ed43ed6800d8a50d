import Tensors
import Testing

@Suite struct ValueScanTests {
    /// Statistics by the definition.
    static func reference(_ values: [Double]) -> ValueStatistics {
        var result = ValueStatistics()
        let finite = values.filter(\.isFinite)
        result.count = values.count
        result.nans = values.filter(\.isNaN).count
        result.firstNaN = values.firstIndex(where: \.isNaN)
        result.infinities = values.filter(\.isInfinite).count
        result.firstInfinity = values.firstIndex(where: \.isInfinite)
        result.zeros = finite.filter { $0 == 0 }.count
        result.minimum = finite.min() ?? 0
        result.maximum = finite.max() ?? 0
        result.sumOfSquares = finite.reduce(0) { $0 + $1 * $1 }
        return result
    }

    static func compare(_ found: ValueStatistics, _ expected: ValueStatistics) {
        var rounded = found
        #expect(abs(found.sumOfSquares - expected.sumOfSquares) <= 1e-12 * max(1e-30, expected.sumOfSquares))
        rounded.sumOfSquares = expected.sumOfSquares
        #expect(rounded == expected)
    }

    @Test(arguments: [1, 7, 8, 9, 63, 4095, 4096, 4097, 9001], [DType.f64, .f32, .f16, .bf16])
    func finiteValues(_ count: Int, _ dtype: DType) throws {
        let random = CounterRandom(seed: 3, stream: UInt64(count))
        var values = (0..<count).map { (random.uniform(UInt64($0)) - 0.25) * 1000 }
        for i in stride(from: 3, to: count, by: 11) { values[i] = i % 2 == 0 ? 0 : -0.0 }
        let view = try TensorBuffer(
            name: "x", dtype: dtype, matrix: Matrix(rows: 1, columns: count, elements: values)
        ).view
        let stored = try view.doubleMatrix(rows: 1, columns: count).elements
        ValueScanTests.compare(try view.statistics(), ValueScanTests.reference(stored))
    }

    @Test(arguments: [DType.f64, .f32, .f16, .bf16])
    func nanAndInfinityAreCountedAndPlaced(_ dtype: DType) throws {
        for places in [[0], [9000], [4096], [4095, 4097, 12], [8999, 3], Array(0..<9001)] {
            var values = (0..<9001).map { Float($0 % 100) }
            for (k, place) in places.enumerated() { values[place] = [.nan, .infinity, -.infinity][k % 3] }
            let view = try TensorBuffer(
                name: "x", dtype: dtype, matrix: Matrix(rows: 1, columns: values.count, elements: values)
            ).view
            let found = try view.statistics()
            ValueScanTests.compare(found, ValueScanTests.reference(values.map(Double.init)))
            #expect(!found.allFinite)
        }
    }

    @Test func emptyAndConstant() throws {
        let empty = try TensorBuffer(name: "x", dtype: .f32, shape: [0]).view.statistics()
        #expect(empty == ValueStatistics())
        let constant = Matrix<Float>(rows: 3, columns: 3, elements: [Float](repeating: -2.5, count: 9))
        let found = try TensorBuffer(name: "x", dtype: .bf16, matrix: constant).view.statistics()
        #expect(found.isConstant && found.largestMagnitude == 2.5 && found.sumOfSquares == 9 * 6.25)
    }

    @Test func valuesBeyondSinglePrecisionStayFinite() throws {
        let buffer = try TensorBuffer(name: "x", dtype: .f64, shape: [2])
        buffer.bytes.storeBytes(of: 1e100, toByteOffset: 8, as: Double.self)
        let found = try buffer.view.statistics()
        #expect(found.allFinite && found.maximum == 1e100 && found.zeros == 1)
    }

    @Test func firstNonFinite() {
        var values = [Float](repeating: 1, count: 10000)
        #expect(values.withUnsafeBufferPointer { ValueScan.firstNonFinite($0) } == nil)
        values[9999] = .nan
        values[5000] = -.infinity
        #expect(values.withUnsafeBufferPointer { ValueScan.firstNonFinite($0) } == 5000)
        let doubles = [1, 2, Double.nan]
        #expect(doubles.withUnsafeBufferPointer { ValueScan.firstNonFinite($0) } == 2)
    }

    @Test func sumOfSquaresIsDoublePrecision() {
        let values = [Float](repeating: 1 + 0x1p-20, count: 100_003)
        let exact = 100_003 * (1 + 0x1p-20) * (1 + 0x1p-20)
        let found = values.withUnsafeBufferPointer { ValueScan.sumOfSquares($0) }
        #expect(abs(found - exact) < 1e-12 * exact)
    }
}
