import Diagnostics

/// Exact selection by magnitude without storing the entries (merge-methods 2.2): magnitudes of floats order like their
/// bit patterns, so two counts of 16 bits each find the k-th largest.
struct MagnitudeHistogram: Sendable {
    /// 2¹⁵ for the upper half (the sign bit is cleared), 2¹⁶ for the lower half.
    private(set) var counts: [UInt32]
    private(set) var total = 0

    static let upper = 1 << 15
    static let lower = 1 << 16

    /// Counts of the upper 15 bits of the magnitude.
    static func ofUpperBits() -> MagnitudeHistogram {
        MagnitudeHistogram(counts: [UInt32](repeating: 0, count: upper))
    }

    /// Counts of the lower 16 bits of those entries whose upper bits are `bucket`.
    static func ofLowerBits() -> MagnitudeHistogram {
        MagnitudeHistogram(counts: [UInt32](repeating: 0, count: lower))
    }

    mutating func addUpperBits(_ values: UnsafePointer<Float>, count: Int) {
        counts.withUnsafeMutableBufferPointer { bins in
            guard let bins = bins.baseAddress else { return }
            for i in 0..<count {
                bins[Int((values[i].bitPattern & 0x7FFF_FFFF) >> 16)] &+= 1
            }
        }
        total += count
    }

    mutating func addLowerBits(_ values: UnsafePointer<Float>, count: Int, bucket: Int) {
        let wanted = UInt32(truncatingIfNeeded: bucket)
        var added = 0
        counts.withUnsafeMutableBufferPointer { bins in
            guard let bins = bins.baseAddress else { return }
            for i in 0..<count {
                let bits = values[i].bitPattern & 0x7FFF_FFFF
                if bits >> 16 == wanted {
                    bins[Int(bits & 0xFFFF)] &+= 1
                    added &+= 1
                }
            }
        }
        total += added
    }

    /// Adds the counts of another histogram of the same kind.
    ///
    /// - Throws: `numeric.dimension_limit` when a bin passes 2³²−1.
    mutating func merge(_ other: MagnitudeHistogram) throws {
        for i in 0..<counts.count {
            let (sum, overflow) = counts[i].addingReportingOverflow(other.counts[i])
            guard !overflow else {
                throw Failure(.numericDimensionLimit, "more than 2³² entries of one magnitude in one selection")
            }
            counts[i] = sum
        }
        total += other.total
    }

    /// The bin that holds the k-th largest magnitude, the number of entries in the bins above it, and its own count.
    /// nil for k = 0 or when fewer than k entries were counted.
    func bin(ofLargest k: Int) -> (bin: Int, above: Int, inside: Int)? {
        guard k > 0, k <= total else { return nil }
        var above = 0
        for bin in stride(from: counts.count - 1, through: 0, by: -1) {
            let inside = Int(counts[bin])
            if above + inside >= k { return (bin, above, inside) }
            above += inside
        }
        return nil
    }
}
