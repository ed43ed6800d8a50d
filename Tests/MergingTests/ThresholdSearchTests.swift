import LinearAlgebra
import Tensors
import Testing

@testable import Merging

/// The threshold is that of a sort, however it is found.
@Suite struct ThresholdSearchTests {
    private static let side = 1_500

    /// Every search must work with one pass around a sample and, without room for it, with two passes.
    static let memoryLimits = [1 << 30, 0]

    private static func rule(_ k: Int, operands: Int, exact: Bool = false) -> ElementRule {
        ElementRule(
            rounds: [
                .select(
                    (0..<operands).map { operand in
                        MagnitudeSelection(quantity: .operand(operand), exact: exact, count: { _, _ in k })
                    })
            ]
        ) { _, _, _ in }
    }

    private static func thresholds(
        _ matrices: [Matrix<Float>], k: Int, exact: Bool = false, memoryLimit: Int
    ) throws -> [MagnitudeThreshold] {
        let work = ElementWork(rule: rule(k, operands: matrices.count, exact: exact), rows: side, columns: side) {
            ElementSource(rows: side, columns: side, updates: matrices.map { .dense($0) }, blockHeight: 64)
        }
        let workers = Workers(threads: 2, isCancelled: { false })
        return try ElementStatistics(works: [work], workers: workers, memoryLimit: memoryLimit).collect()[0]
            .thresholds[0]
    }

    private static func matrix(_ seed: UInt64, _ value: (Int, Float) -> Float) -> Matrix<Float> {
        let random = CounterRandom(seed: seed, stream: "entries")
        var words = [UInt32](repeating: 0, count: side * side)
        for i in stride(from: 0, to: words.count, by: 2) {
            let word = random.word(UInt64(i))
            words[i] = UInt32(truncatingIfNeeded: word)
            words[i + 1] = UInt32(truncatingIfNeeded: word >> 32)
        }
        var elements = [Float](repeating: 0, count: side * side)
        for i in elements.indices { elements[i] = value(i, Float(words[i]) / Float(UInt32.max) * 2 - 1) }
        return Matrix(rows: side, columns: side, elements: elements)
    }

    private static func sorted(_ matrix: Matrix<Float>) -> [UInt32] {
        matrix.elements.map { $0.bitPattern & 0x7FFF_FFFF }.sorted(by: >)
    }

    @Test(arguments: memoryLimits) func `the k-th magnitude is that of a sort`(_ memoryLimit: Int) throws {
        // Even, heavy-tailed and mostly zero.
        let matrices = [
            Self.matrix(1) { _, u in u }, Self.matrix(2) { _, u in u / (1.001 - abs(u)) },
            Self.matrix(3) { i, u in i % 7 == 0 ? u * 1e-20 : 0 },
        ]
        let sorted = matrices.map { Self.sorted($0) }
        for k in [1, 1_000, Self.side * Self.side / 5, Self.side * Self.side - 1] {
            let found = try Self.thresholds(matrices, k: k, memoryLimit: memoryLimit)
            #expect(found.map { UInt32($0.bits) } == sorted.map { $0[k - 1] }, "k = \(k)")
        }
    }

    @Test(arguments: memoryLimits) func `rows that a sample misses do not mislead it`(_ memoryLimit: Int) throws {
        // The first four rows of every block of 64 are what a sample sees; the others are a million times larger.
        let matrix = Self.matrix(4) { i, u in i / Self.side % 64 < 4 ? u : 1e6 * u }
        let sorted = Self.sorted(matrix)
        for k in [10, Self.side * Self.side / 2] {
            let found = try Self.thresholds([matrix], k: k, memoryLimit: memoryLimit)
            #expect(UInt32(found[0].bits) == sorted[k - 1])
        }
    }

    @Test(arguments: memoryLimits) func `ties at the threshold are counted`(_ memoryLimit: Int) throws {
        // Sixteen different magnitudes: every threshold is one of many equal entries.
        let matrix = Self.matrix(5) { _, u in (u * 8).rounded(.towardZero) }
        let sorted = Self.sorted(matrix)
        let k = Self.side * Self.side / 3
        let found = try Self.thresholds([matrix], k: k, exact: true, memoryLimit: memoryLimit)
        let limit = sorted[k - 1]
        #expect(UInt32(found[0].bits) == limit)
        #expect(found[0].tiesKept == k - sorted.count { $0 > limit })
    }
}
