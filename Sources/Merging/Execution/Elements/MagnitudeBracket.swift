import Diagnostics

/// Counts of the magnitudes in a narrow range, one bin per bit pattern, and of those above it: where the k-th largest lies
/// inside, one pass finds it exactly.
struct MagnitudeBracket: Sendable {
    /// Bits of the smallest magnitude inside.
    let low: UInt32
    private(set) var bins: [UInt32]
    /// Entries above the range.
    private(set) var above = 0
    private var inside = 0

    /// Widest range: 2²⁰ patterns, an eighth of a binade, 4 MiB.
    static let widest = 1 << 20
    /// Half a range in standard errors of the sampled threshold: what lies outside costs two more passes.
    private static let standardErrors = 4.0

    init(low: UInt32, width: Int) {
        self.low = low
        bins = [UInt32](repeating: 0, count: width)
    }

    /// The range in which the magnitude that a share of the entries exceeds lies almost certainly, from samples of which
    /// every group has rows and columns of its own; nil where they are too few or scatter too much.
    ///
    /// - Parameter share: of the entries that are as large or larger, in 0…1.
    init?(groups: [[Float]], share: Double) {
        let found = groups.compactMap { group -> Double? in
            guard group.count >= 64 else { return nil }
            return MagnitudeBracket.magnitude(of: group, share: share).map { Double($0) }
        }
        guard found.count == groups.count, found.count > 1 else { return nil }
        let n = Double(found.count)
        let mean = found.reduce(0, +) / n
        let variance = found.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
        // The groups share rows and columns in part: their mean scatters by half of what one of them does.
        let half = (MagnitudeBracket.standardErrors * variance.squareRoot() / 2).rounded(.up) + 512
        let width = Int(2 * half) + 1
        guard width <= MagnitudeBracket.widest else { return nil }
        self.init(low: UInt32(max(0, (mean - half).rounded())), width: width)
    }

    /// Bits of the magnitude at this place of the falling order.
    private static func magnitude(of values: [Float], share: Double) -> UInt32? {
        let k = min(values.count, max(1, Int((share * Double(values.count)).rounded())))
        return values.withUnsafeBufferPointer { values -> UInt32? in
            guard let base = values.baseAddress else { return nil }
            var upper = MagnitudeHistogram.ofUpperBits()
            upper.addUpperBits(base, count: values.count)
            guard let bucket = upper.bin(ofLargest: k) else { return nil }
            var lower = MagnitudeHistogram.ofLowerBits()
            lower.addLowerBits(base, count: values.count, bucket: bucket.bin)
            return lower.bin(ofLargest: k - bucket.above).map { UInt32(bucket.bin << 16 | $0.bin) }
        }
    }

    mutating func add(_ values: UnsafePointer<Float>, count: Int) {
        let width = UInt32(bins.count)
        let low = low
        var over = 0
        var within = 0
        bins.withUnsafeMutableBufferPointer { bins in
            guard let bins = bins.baseAddress else { return }
            for start in stride(from: 0, to: count, by: 4096) {
                let end = min(start + 4096, count)
                var larger: Int32 = 0
                for i in start..<end {
                    let place = Int32(truncatingIfNeeded: (values[i].bitPattern & 0x7FFF_FFFF) &- low)
                    larger &+= place >= Int32(truncatingIfNeeded: width) ? 1 : 0
                }
                over &+= Int(larger)
                for i in start..<end {
                    let place = (values[i].bitPattern & 0x7FFF_FFFF) &- low
                    if place < width {
                        bins[Int(place)] &+= 1
                        within &+= 1
                    }
                }
            }
        }
        above += over
        inside += within
    }

    /// Adds the counts of another bracket of the same range.
    ///
    /// - Throws: `numeric.dimension_limit` when a bin passes 2³²−1.
    mutating func merge(_ other: MagnitudeBracket) throws {
        for i in bins.indices {
            let (sum, overflow) = bins[i].addingReportingOverflow(other.bins[i])
            guard !overflow else {
                throw Failure(.numericDimensionLimit, "more than 2³² entries of one magnitude in one selection")
            }
            bins[i] = sum
        }
        above += other.above
        inside += other.inside
    }

    /// Bits of the k-th largest magnitude, and how many of the entries with these bits are among the k largest; nil when
    /// it lies outside.
    func threshold(ofLargest k: Int) -> (bits: Int32, ties: Int)? {
        guard k > above, k <= above + inside else { return nil }
        var counted = above
        for bin in stride(from: bins.count - 1, through: 0, by: -1) {
            let here = Int(bins[bin])
            if counted + here >= k { return (Int32(bitPattern: low + UInt32(bin)), k - counted) }
            counted += here
        }
        return nil
    }
}
