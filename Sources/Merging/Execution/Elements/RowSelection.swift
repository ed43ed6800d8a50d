/// Selection by magnitude among the entries of one row.
enum RowSelection {
    /// The threshold that keeps the `k` largest magnitudes of `count` entries.
    static func threshold(_ row: UnsafePointer<Float>, count: Int, k: Int, exact: Bool) -> MagnitudeThreshold {
        guard k > 0 else { return .nothing }
        guard k < count else { return .everything }
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: count) { scratch in
            for i in 0..<count { scratch[i] = Int32(bitPattern: row[i].bitPattern & 0x7FFF_FFFF) }
            let limit = largest(k, of: scratch)
            guard exact else { return MagnitudeThreshold(bits: limit, tiesKept: .max) }
            var above = 0
            for i in 0..<count where scratch[i] > limit { above += 1 }
            return MagnitudeThreshold(bits: limit, tiesKept: k - above)
        }
    }

    /// The k-th largest value, 1 ≤ k ≤ count; reorders the buffer. Quickselect with the median of three as pivot.
    private static func largest(_ k: Int, of values: UnsafeMutableBufferPointer<Int32>) -> Int32 {
        var low = 0
        var high = values.count - 1
        let wanted = k - 1
        while low < high {
            let pivot = median(values[low], values[(low + high) / 2], values[high])
            var left = low
            var right = high
            while left <= right {
                while values[left] > pivot { left += 1 }
                while values[right] < pivot { right -= 1 }
                if left <= right {
                    values.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if wanted <= right {
                high = right
            } else if wanted >= left {
                low = left
            } else {
                return pivot
            }
        }
        return values[low]
    }

    private static func median(_ a: Int32, _ b: Int32, _ c: Int32) -> Int32 {
        max(min(a, b), min(max(a, b), c))
    }
}
