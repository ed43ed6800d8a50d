import Tensors

extension LowRankFactors {
    /// As ``product(rows:into:)`` with products and sums in double precision, each entry rounded once: magnitudes order
    /// as those of the exact entries do, equal ones aside.
    ///
    /// - Throws: `numeric.dimension_limit`.
    public func roundedProduct(rows range: Range<Int>, into target: UnsafeMutableBufferPointer<Float>) throws {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows && target.count == range.count * columns)
        guard let output = target.baseAddress, rank > 0, columns > 0 else { return target.update(repeating: 0) }
        let sizes = try (n: blasDimension(columns), k: blasDimension(rank))
        let tile = LowRankFactors.denseTile
        let right = a.elements.map(Double.init)
        right.withUnsafeBufferPointer { right in
            withUnsafeTemporaryAllocation(of: Double.self, capacity: tile * (rank + columns)) { room in
                guard let right = right.baseAddress, let left = room.baseAddress else { return }
                let exact = left + tile * rank
                for start in stride(from: range.lowerBound / tile * tile, to: range.upperBound, by: tile) {
                    let whole = start..<min(start + tile, rows)
                    for i in 0..<whole.count * rank { left[i] = Double(b.elements[start * rank + i]) }
                    Double.gemm(
                        transposeA: false, transposeB: false, m: Int32(whole.count), n: sizes.n, k: sizes.k,
                        alpha: scale, a: left, lda: sizes.k, b: right, ldb: sizes.n, beta: 0, c: exact, ldc: sizes.n)
                    let wanted = whole.clamped(to: range)
                    let place = output + (wanted.lowerBound - range.lowerBound) * columns
                    let from = exact + (wanted.lowerBound - start) * columns
                    for i in 0..<wanted.count * columns { place[i] = Float(from[i]) }
                }
            }
        }
    }
}
