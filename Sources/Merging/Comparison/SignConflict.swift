import LinearAlgebra
import Tensors

/// Counts entries where two updates have opposite signs.
enum SignConflict {
    /// Rows that are formed and compared at a time, and that are drawn together.
    static let blockRows = 64

    /// - Parameters:
    ///   - share: 1 looks at every row; below, `⌈share · blocks⌉` blocks of rows are drawn without replacement.
    /// - Returns: the counts per pair (symmetric, zero diagonal) and how many entries were looked at.
    static func count(
        _ factors: [LowRankFactors], share: Double, random: CounterRandom
    ) -> (opposite: Matrix<Double>, entries: Double) {
        var opposite = Matrix<Double>(rows: factors.count, columns: factors.count)
        guard let first = factors.first, first.rows > 0, first.columns > 0 else { return (opposite, 0) }
        let blocks = drawn((first.rows + blockRows - 1) / blockRows, share: share, random: random)
        let size = blockRows * first.columns
        let packed = factors.map { PackedFactors($0) }
        var entries = 0
        withUnsafeTemporaryAllocation(of: Float.self, capacity: size * factors.count) { scratch in
            for block in blocks {
                let rows = block * blockRows..<min(first.rows, (block + 1) * blockRows)
                let used = rows.count * first.columns
                let parts = factors.indices.map {
                    UnsafeMutableBufferPointer(rebasing: scratch[$0 * size..<$0 * size + used])
                }
                for (index, factor) in packed.enumerated() { factor.product(rows: rows, into: parts[index]) }
                for i in factors.indices {
                    for j in (i + 1)..<max(i + 1, factors.count) {
                        let number = Double(oppositeSigns(UnsafeBufferPointer(parts[i]), UnsafeBufferPointer(parts[j])))
                        opposite[i, j] += number
                        opposite[j, i] += number
                    }
                }
                entries += used
            }
        }
        return (opposite, Double(entries))
    }

    /// Block numbers in ascending order: all of them, or those with the smallest random words.
    private static func drawn(_ count: Int, share: Double, random: CounterRandom) -> [Int] {
        guard share < 1 else { return Array(0..<count) }
        let wanted = max(1, Int((share * Double(count)).rounded(.up)))
        let order = (0..<count).map { (random.word(UInt64($0)), $0) }.sorted { $0 < $1 }
        return order.prefix(wanted).map(\.1).sorted()
    }

    /// How often x and y have opposite signs, zeros left out. One pass without branches; both are of one length.
    static func oppositeSigns(_ x: UnsafeBufferPointer<Float>, _ y: UnsafeBufferPointer<Float>) -> Int {
        let length = min(x.count, y.count)
        guard let x = x.baseAddress, let y = y.baseAddress else { return 0 }
        var total = 0
        var start = 0
        while start < length {
            // A block of 2^20 entries cannot overflow the 32-bit count.
            let end = min(length, start &+ (1 << 20))
            var count: UInt32 = 0
            for i in start..<end {
                let differ = (x[i].bitPattern ^ y[i].bitPattern) >> 31
                let bothNonZero: UInt32 = (x[i] != 0 ? 1 : 0) & (y[i] != 0 ? 1 : 0)
                count &+= differ & bothNonZero
            }
            total &+= Int(count)
            start = end
        }
        return total
    }
}
