import Diagnostics
import Tensors

/// Exact selection by magnitude without storing the entries (merge-methods 2.2): magnitudes of floats order like their
/// bit patterns, so that counts of bits find the k-th largest. A histogram counts one range of bits and what lies above.
struct MagnitudeHistogram: Sendable {
    /// Bits of the first magnitude that is counted.
    private let low: UInt32
    /// A bin covers 2^shift neighbouring magnitudes.
    private let shift: Int
    private(set) var counts: [UInt32]
    /// Entries above the last bin.
    private(set) var above = 0

    private static let halfBits = 16

    private init(low: UInt32, shift: Int, bins: Int) {
        self.low = low
        self.shift = shift
        counts = [UInt32](repeating: 0, count: bins)
    }

    /// Every magnitude, 2¹⁵ bins by its upper 15 bits (the sign bit is cleared).
    static func ofUpperBits() -> MagnitudeHistogram { MagnitudeHistogram(low: 0, shift: halfBits, bins: 1 << 15) }

    /// The `bins` magnitudes from the one with the bits `low` on, one by one.
    static func single(from low: UInt32, bins: Int) -> MagnitudeHistogram {
        MagnitudeHistogram(low: low, shift: 0, bins: bins)
    }

    /// The magnitudes of one of the bins, one by one.
    func inside(_ bin: Int) -> MagnitudeHistogram {
        .single(from: low + UInt32(bin) << UInt32(shift), bins: 1 << shift)
    }

    /// As many magnitudes below the middle of a bin as above it, one by one, `bins` altogether.
    func around(_ bin: Int, bins: Int) -> MagnitudeHistogram {
        let middle = Int(low) + bin << shift + (1 << shift) / 2
        let last = Int(Float.greatestFiniteMagnitude.bitPattern)
        return .single(from: UInt32(max(0, min(middle - bins / 2, last + 1 - bins))), bins: bins)
    }

    /// Bits of the smallest magnitude of a bin.
    func bits(_ bin: Int) -> Int32 { Int32(truncatingIfNeeded: Int(low) + bin << shift) }

    mutating func add(_ values: UnsafePointer<Float>, count: Int) {
        above += counts.withUnsafeMutableBufferPointer {
            MagnitudeCount.add(values, count: count, low: low, shift: shift, to: $0)
        }
    }

    /// Adds the counts of another histogram of the same range.
    ///
    /// - Throws: `numeric.dimension_limit` when a bin passes 2³²−1.
    mutating func merge(_ other: MagnitudeHistogram) throws {
        var overflows = false
        counts.withUnsafeMutableBufferPointer { counts in
            other.counts.withUnsafeBufferPointer { other in
                for i in 0..<min(counts.count, other.count) {
                    let (sum, overflow) = counts[i].addingReportingOverflow(other[i])
                    counts[i] = sum
                    overflows = overflows || overflow
                }
            }
        }
        guard !overflows else {
            throw Failure(.numericDimensionLimit, "more than 2³² entries of one magnitude in one selection")
        }
        above += other.above
    }

    /// All entries in range and above it.
    var total: Int { counts.reduce(above) { $0 + Int($1) } }

    /// The bin that holds the k-th largest magnitude, the number of entries in the bins above it, and its own count.
    /// nil for k = 0 and where that magnitude lies outside the range.
    func bin(ofLargest k: Int) -> (bin: Int, above: Int, inside: Int)? {
        guard k > above else { return nil }
        var above = above
        return counts.withUnsafeBufferPointer { counts in
            for bin in stride(from: counts.count - 1, through: 0, by: -1) {
                let inside = Int(counts[bin])
                if above + inside >= k { return (bin, above, inside) }
                above += inside
            }
            return nil
        }
    }
}
