import CVector

/// Counts floats by the bits of their magnitude, which order like the magnitudes themselves.
public enum MagnitudeCount {
    /// Adds one to `bins[(bits − low) >> shift]` for every magnitude whose bits lie in that range.
    ///
    /// - Parameter shift: 0…31; a bin covers 2^shift neighbouring magnitudes.
    /// - Returns: how many magnitudes lie above the last bin.
    public static func add(
        _ values: UnsafePointer<Float>, count: Int, low: UInt32, shift: Int,
        to bins: UnsafeMutableBufferPointer<UInt32>
    ) -> Int {
        cvector_count_magnitudes(
            count, values, low, Int32(truncatingIfNeeded: shift), UInt32(truncatingIfNeeded: bins.count),
            bins.baseAddress)
    }
}
